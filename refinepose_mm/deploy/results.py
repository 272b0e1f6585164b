"""The keypoints that were found, as json and as tables for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..files import named_if_full, replacing
from .poses import Poses
from .predictor import Scene
from .tables import FORMATS, Joints, Lines, write_table

LINES = 'predictions.jsonl'
PREDICTIONS = 'predictions.json'


class Results:
    """Keypoints, one line of json for each image as it comes, and tables at the end.

    A line of ``predictions.jsonl`` is ``{"name": ..., "width": ..., "height": ..., "persons":
    [...]}``, for frames with ``"time"`` in seconds; persons are those of
    :meth:`~refinepose_mm.deploy.poses.Poses.to_dict`. ``predictions.json`` maps names to persons.
    Files of an earlier run stay until the first image of this one is done; then the lines begin
    anew, and :meth:`close` replaces the tables, each in one step. Nothing is kept in memory.

    Args:
        folder: Where they go; it exists.
        joints: Names and links of the keypoints.
        threshold: Keypoints with a lower score are marked as hidden where a format can tell.
        formats: Further tables: names of :data:`~refinepose_mm.deploy.tables.FORMATS`.

    Attributes:
        images: Number of images so far.
        persons: Number of persons in them.
    """

    def __init__(self, folder: Path, joints: Joints, threshold: float,
                 formats: Sequence[str] = ()):
        self.folder, self.formats = folder, formats
        self.lines = Lines(folder / LINES, joints, threshold)
        self.file = None
        self.images = self.persons = 0

    def write(self, scene: Scene, poses: Poses) -> None:
        """Append the persons of an image."""
        if self.file is None:
            self.file = open(self.lines.path, 'w', encoding='utf-8')
        height, width = scene.image.shape[:2]
        entry = dict(name=scene.name, width=width, height=height)
        if scene.time is not None:
            entry['time'] = round(float(scene.time), 6)
        entry.update(poses.to_dict())
        with named_if_full(self.lines.path):
            self.file.write(json.dumps(entry) + '\n')
            self.file.flush()
        self.images += 1
        self.persons += len(entry['persons'])

    def close(self) -> None:
        """Write the tables of all lines, if there are any."""
        if self.file is None:
            return
        self.file.close()
        with replacing(self.folder / PREDICTIONS) as temporary, \
                open(temporary, 'w', encoding='utf-8') as table:
            table.write('{')
            for number, entry in enumerate(self.lines):
                table.write(f'{", " if number else ""}{json.dumps(entry["name"])}: '
                            f'{json.dumps(entry["persons"])}')
            table.write('}')
        for kind in self.formats:
            write_table(kind, self.lines, self.folder)


def result_files(formats: Sequence[str]) -> list[str]:
    """Names of the files that :class:`Results` writes."""
    return [PREDICTIONS, LINES, *(name for kind in formats for name in FORMATS[kind].files)]

"""The keypoints that were found, as json."""

from __future__ import annotations

import json
from pathlib import Path

from ..files import named_if_full, replacing
from .predictor import Poses

LINES = 'predictions.jsonl'
PREDICTIONS = 'predictions.json'


class Results:
    """Keypoints, one line of json for each image as it comes, and one table at the end.

    A line of ``predictions.jsonl`` is ``{"name": ..., "persons": [...]}``; a person is
    ``{"keypoints": [[x, y], ...], "scores": [...]}``, in pixels. ``predictions.json`` maps names
    to persons. Files of an earlier run stay until the first image of this one is done; then the
    lines begin anew, and :meth:`close` replaces the table in one step. Nothing is kept in memory.

    Args:
        folder: Where they go; it exists.

    Attributes:
        images: Number of images so far.
        persons: Number of persons in them.
    """

    def __init__(self, folder: Path):
        self.lines, self.table = folder / LINES, folder / PREDICTIONS
        self.file = None
        self.images = self.persons = 0

    def write(self, name: str, poses: Poses) -> None:
        """Append the persons of an image."""
        if self.file is None:
            self.file = open(self.lines, 'w', encoding='utf-8')
        persons = [dict(keypoints=keypoints.round(2).tolist(), scores=scores.round(4).tolist())
                   for keypoints, scores in zip(*poses)]
        with named_if_full(self.lines):
            self.file.write(json.dumps(dict(name=name, persons=persons)) + '\n')
            self.file.flush()
        self.images += 1
        self.persons += len(persons)

    def close(self) -> None:
        """Write the table of all lines, if there are any."""
        if self.file is None:
            return
        self.file.close()
        with replacing(self.table) as temporary, open(temporary, 'w', encoding='utf-8') as table, \
                open(self.lines, encoding='utf-8') as lines:
            table.write('{')
            for number, line in enumerate(lines):
                entry = json.loads(line)
                table.write(f'{", " if number else ""}{json.dumps(entry["name"])}: '
                            f'{json.dumps(entry["persons"])}')
            table.write('}')

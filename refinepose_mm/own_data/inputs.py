"""Annotations of other tools, as the json that everything else reads.

================  =================================  =============================================
tool              file                               module
================  =================================  =============================================
COCO's format     .json, an object                   :mod:`~refinepose_mm.own_data.schema`
YOLO-pose         data.yaml                          :mod:`~refinepose_mm.own_data.yolo`
Label Studio      .json, a list (JSON or JSON-MIN)   :mod:`~refinepose_mm.own_data.label_studio`
CVAT              .xml, "CVAT for images 1.1"        :mod:`~refinepose_mm.own_data.cvat`
================  =================================  =============================================

The readers are our own: of the libraries that convert annotations, labelformat 0.1.17 has no
keypoints, Label Studio's own converter drops their names, and datumaro brings a framework along.
"""

from __future__ import annotations

from pathlib import Path

from ..deploy.config import require_file
from ..engine.annotations import read_json
from . import cvat, label_studio, yolo
from .schema import Data, read_data

YAML = ('.yaml', '.yml')


def read_input(path: str | Path, images: str | Path | None = None, part: str = 'train') -> Data:
    """Read annotations of any tool.

    Args:
        path: Of the export.
        images: Folder of the photos, where it is given.
        part: Of a data.yaml: train, val or test.

    Raises:
        FileNotFoundError: If it does not exist, or photos of a format that names them do not.
        ValueError: If it is none of these formats, or is broken; says where.
    """
    require_file(path)
    path = Path(path)
    if path.suffix.lower() in YAML:
        return yolo.read(path, part)
    if path.suffix.lower() == '.xml':
        return cvat.read(path)
    content = read_json(str(path))
    if isinstance(content, list) and content:
        return label_studio.read(path, content, images)
    return read_data(path)


def has_part(path: str | Path, part: str) -> bool:
    """Whether a file holds several parts, and this one among them."""
    return Path(path).suffix.lower() in YAML and yolo.has_part(Path(path), part)

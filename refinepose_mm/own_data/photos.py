"""The photos of a json: where they are, what is wrong with them, and which look alike."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..pillow import open_photo
from .findings import Finding, original
from .schema import Data

ORIENTATION = 0x112  # a tag of EXIF
GREY = ('1', 'L', 'LA')
# A difference hash: is each of 16x16 pixels brighter than its right neighbour? Ten lines of numpy
# stand in for the package imagehash, which would bring PyWavelets along.
HASH = 16
ALIKE = 10  # of its 256 bits may differ: another quality or size of the same photo
FLAT = 8  # grey values: the hash of a photo with less contrast says nothing


class Look(NamedTuple):
    """What one look at a photo found.

    Attributes:
        problem: Why it cannot be read, or empty.
        size: Width and height in pixels, upright.
        turned: Whether its EXIF orientation turns it.
        grey: Whether it has no colours.
        deep: Whether it has 16 bits or more.
        bits: (256,), its hash; empty for a photo without contrast.
    """

    problem: str = ''
    size: tuple[int, int] = (0, 0)
    turned: bool = False
    grey: bool = False
    deep: bool = False
    bits: np.ndarray = np.empty(0, bool)


def find_folder(data: Data, given: str | Path | None = None) -> Path:
    """The folder of a json's photos: the given one, or the one near the json that has them.

    Where the format names the folder, that is it. Else looked at are the json's folder, the one
    above it, and their folders; a folder whose name is a part of the json's name comes first, such
    as train/ for lspet_train.json.

    Raises:
        FileNotFoundError: If the folder, or one with the first, middle and last photo, is not
            there.
        ValueError: If several folders have them.
    """
    if given is None and data.folder is not None:
        given = data.folder
    names = [data.file_name(index) for index in
             dict.fromkeys((0, len(data.photos) // 2, len(data.photos) - 1)) if data.photos]
    if given is not None:
        if not Path(given).is_dir():
            raise FileNotFoundError(f'folder of images {given} not found')
        return Path(given)
    home = data.path.resolve().parent
    near = [home, *_folders(home), home.parent, *_folders(home.parent)]
    found = [folder for folder in dict.fromkeys(near)
             if names and all((folder / name).is_file() for name in names)]
    named = [folder for folder in found if folder.name in data.path.stem]
    if named or len(found) == 1:
        return (named or found)[0]
    if found:
        raise ValueError(f'photos of {data.path} may be in {" or ".join(map(str, found))}; say '
                         'which')
    raise FileNotFoundError(f'photos of {data.path} not found near it, such as '
                            f'{names[0] if names else "any"}')


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def look(path: Path) -> Look:
    """Look at a photo; JPEG is decoded small, and to its end."""
    try:
        with open_photo(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION, 1) > 1
            swapped = image.getexif().get(ORIENTATION, 1) > 4
            mode = image.mode
            image.draft('L', (4 * HASH, 4 * HASH))
            small = np.asarray(image.convert('L').resize((HASH + 1, HASH)), int)
    except FileNotFoundError:
        return Look('is not there')
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, ...
        return Look(f'cannot be read ({(str(error) or type(error).__name__).splitlines()[0]})')
    flat = np.ptp(small) < FLAT
    return Look('', (height, width) if swapped else (width, height), turned, mode in GREY,
                mode[0] in 'IF', np.empty(0, bool) if flat else (np.diff(small) > 0).ravel())


def upright_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a photo as its EXIF orientation turns it; None if it cannot be read."""
    try:
        with open_photo(path) as image:
            width, height = image.size
            swapped = image.getexif().get(ORIENTATION, 1) > 4
    except Exception:  # Pillow's plugins raise all kinds; `look` says why
        return None
    return (height, width) if swapped else (width, height)


def photo_findings(data: Data, looks: list[Look]) -> list[Finding]:
    """What is wrong with photos.

    Args:
        data: Their json.
        looks: At each of its photos.
    """
    names = [data.file_name(index) for index in range(len(data.photos))]
    seen = [(name, found) for name, found in zip(names, looks) if not found.problem]
    sizes = [(f'{name} ({found.size[0]}x{found.size[1]}, json: {width:.0f}x{height:.0f})')
             for name, found, (width, height) in zip(names, looks, data.sizes)
             if not found.problem and (width, height) != found.size and np.isfinite(width)]
    same = alike(looks)
    listed = [
        Finding('images', 'files are not there', [
            name for name, found in zip(names, looks) if found.problem == 'is not there']),
        Finding('images', 'files cannot be read', [
            f'{name} {found.problem[15:]}' for name, found in zip(names, looks)
            if found.problem.startswith('cannot')]),
        Finding('images', 'files have another size than the json says', sizes),
        Finding('images', 'photos are turned by their EXIF orientation; boxes and joints must be '
                'those of the upright photo', [name for name, found in seen if found.turned]),
        Finding('images', 'photos have 16 bits and are read as 8', [
            name for name, found in seen if found.deep], note=True),
        Finding('images', 'photos are grey', [
            name for name, found in seen if found.grey], note=True),
        Finding('duplicates', 'photos look like another one', [
            f'{names[first]} = {names[second]}' for first, second in same]),
    ]
    return [finding._replace(total=len(names)) for finding in listed if finding.names]


def alike(looks: list[Look], others: list[Look] | None = None) -> list[tuple[int, int]]:
    """Pairs of photos whose hashes are nearly equal.

    Args:
        looks: At photos.
        others: At photos of another set, to compare with those; default: with each other.
    """
    left, right = ([index for index, found in enumerate(part) if found.bits.size]
                   for part in (looks, looks if others is None else others))
    if not left or not right:
        return []
    signs = [np.array([part[index].bits for index in chosen], np.float32) * 2 - 1
             for part, chosen in ((looks, left), (looks if others is None else others, right))]
    pairs = []
    for start in range(0, len(left), 1024):  # a block of rows at a time
        product = signs[0][start:start + 1024] @ signs[1].T  # 256 - 2 x number of other bits
        for row, column in zip(*np.nonzero(product >= HASH**2 - 2 * ALIKE)):
            first, second = left[start + row], right[column]
            if others is not None or first < second:
                pairs.append((first, second))
    return pairs


def split_findings(train: Data, val: Data, looks: list[Look], val_looks: list[Look]
                   ) -> list[Finding]:
    """Photos that are in both of two sets: scores on the second would be too good."""
    names, val_names = ([data.file_name(index) for index in range(len(data.photos))]
                        for data in (train, val))
    same = alike(looks, val_looks)
    known = {original(name) for name in names if original(name) != name}
    listed = [
        Finding('across splits', 'photos of the validation look like one of the training', [
            f'{val_names[second]} = {names[first]}' for first, second in same]),
        Finding('across splits', "photos of the validation are Roboflow's versions of one of the "
                'training', [name for name in val_names if original(name) in known])]
    if train.names != val.names:
        listed.append(Finding('across splits', 'the joints of the validation are not those of the '
                              'training', [f'{len(val.names)}, {len(train.names)}']))
    return [finding._replace(total=len(val_names)) for finding in listed if finding.names]

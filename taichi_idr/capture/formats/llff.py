"""LLFF's poses_bounds.npy: a row for each photo in the order of their names, of 15 numbers and two depths.

The 15 are a 3x5 matrix: camera -> world with axes down, right, backwards; centre; height, width and focal length of the
photos as COLMAP saw them. The principal point is the photo's middle, and a lens is not kept (llff/poses/pose_utils.py).
Photos are those of `images/`, or of the least shrunk folder `images_4/` or the like.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import BadInput
from ...types import CaptureReading
from .gathering import Wanted, gathered
from .source import CORNER_CENTRE, IMAGE_FOLDERS, FoundView, Layout, Pinhole, folder_of, list_images
from .strict import numbers, positive, side

FORMAT = "LLFF"
FILE = "poses_bounds.npy"
ROW = 17
_TODO = "write it anew with LLFF's imgs2poses.py"


def recognised(folder: Path) -> bool:
    return (folder / FILE).is_file()


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """A photo for each row. Raises InputMissing: no folder of photos; BadInput: of another number, what is wrong."""
    from ...files.npz import read_npy

    file = folder / FILE
    rows = read_npy(file)
    if rows.ndim != 2 or rows.shape[1] != ROW or rows.dtype.kind != "f":
        why = f"expected {ROW} numbers for each photo, got shape {rows.shape} of {rows.dtype}"
        raise BadInput("bad poses", where=file, why=why, todo=_TODO)
    photos = list_images(_place(folder), "image", inside=None if reading.allow_outside else folder)
    if len(photos) != len(rows):
        why = f"{len(rows)} rows for {len(photos)} photos in {_place(folder).name}/"
        raise BadInput("poses and photos do not pair", where=file, why=why, todo="keep the photos that it was made of")
    named = sorted(photos, key=lambda path: path.name)  # as numpy and Python sort text: 10 before 2
    pairs = enumerate(zip(named, rows.tolist(), strict=True))
    views = [_view(path, row, f"{file}: row {index}") for index, (path, row) in pairs]
    return gathered(FORMAT, file, views, Wanted(folder, reading, fewest_views, need_masks))


def _place(folder: Path) -> Path:
    place = folder_of(folder, IMAGE_FOLDERS)
    if place.is_dir():
        return place
    shrunk = [path for path in folder.iterdir() if path.is_dir() and re.fullmatch(r"images_\d{1,4}", path.name)]
    return min(shrunk, key=lambda path: int(path.name.split("_")[1]), default=place)


def _view(image: Path, row: list[float], where: str) -> FoundView:
    values = numbers(row[:15], 15, where, _TODO)
    down, right, backwards, centre, (height, width, focal) = (values[column::5] for column in range(5))
    rotation = tuple((x, y, -z) for x, y, z in zip(right, down, backwards, strict=True))
    height, width = (side(one, where, _TODO) for one in (height, width))
    focal = positive(focal, where, _TODO)
    middle = width / 2 - CORNER_CENTRE, height / 2 - CORNER_CENTRE
    return FoundView(image, rotation, (centre[0], centre[1], centre[2]), Pinhole(focal, focal, *middle, width, height))

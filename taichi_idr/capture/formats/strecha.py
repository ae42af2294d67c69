"""Strecha's benchmark (Fountain-P11, Herz-Jesu-P8): `0000.jpg.camera` for `0000.jpg`.

K in three lines, a line of zeros (no distortion), R in three lines, the centre, width and height. R is camera -> world:
a pixel is K R^T (x - centre), as OpenMVG's loader has it (io_readGTStrecha.hpp). A pixel's centre is taken to be at
integers.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import BadInput
from ...types import CaptureReading
from .gathering import Wanted, find_photo, gathered
from .source import IMAGE_FOLDERS, FoundView, Layout, natural
from .strict import as_rows, numbers, pinhole_of, read_text, side

FORMAT = "Strecha"
ENDING = ".camera"
FOLDERS = ("", *IMAGE_FOLDERS, "cameras", "gt_dense_cameras")
MOST_BYTES = 1 << 16
_NUMBERS = 26
_TODO = "correct the file"


def recognised(folder: Path) -> bool:
    return bool(_files(folder))


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos that have a camera. Raises InputMissing: photos that are not there; BadInput: what is wrong."""
    files, wanted = _files(folder), Wanted(folder, reading, fewest_views, need_masks)
    return gathered(FORMAT, files[0].parent, [_view(file, wanted) for file in files], wanted)


def _files(folder: Path) -> list[Path]:
    """Of the first folder that has any."""
    places = (sorted((folder / name).glob(f"*{ENDING}"), key=natural) for name in FOLDERS)
    return next((found for found in places if found), [])


def _view(file: Path, wanted: Wanted) -> FoundView:
    words = read_text(file, "bad camera", _TODO, MOST_BYTES).split()
    values = numbers(words, _NUMBERS, str(file), _TODO, text=True)
    if any(values[9:12]):
        why = f"distortion {values[9:12]}, expected zeros"
        raise BadInput("unknown camera model", where=file, why=why, todo="undistort the photos")
    image = find_photo(wanted, file.name.removesuffix(ENDING), str(file), _TODO)
    width, height = (side(one, str(file), _TODO) for one in values[24:])
    pinhole = pinhole_of(as_rows(values[:9]), (width, height), str(file), _TODO)
    return FoundView(image, as_rows(values[12:21]), (values[21], values[22], values[23]), pinhole)

"""MVSNet's cameras, in which BlendedMVS comes: `cams/00000000_cam.txt` for `blended_images/00000000.jpg`.

`extrinsic` is world -> camera (4x4), OpenCV's axes; `intrinsic` K counts from the corner of the first pixel, as MVSNet
does when it looks pixels up (mvsnet/homography_warping.py: get_pixel_grids). Ranges of depth behind them, `pair.txt`
and photos `…_masked.jpg` are not needed. Cameras find their photos by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import BadInput, InputMissing
from ...types import CaptureReading
from .gathering import Wanted, gathered
from .pairing import last_number
from .source import CORNER_CENTRE, IMAGE_FOLDERS, FoundView, Layout, folder_of, list_images, listed, natural, size_of
from .strict import as_rows, numbers, pinhole_of, pose_of, read_text

FORMAT = "BlendedMVS"
CAMERAS, ENDING, PHOTOS = "cams", "_cam.txt", "blended_images"
MASKED = "_masked"
MOST_BYTES = 1 << 16
_TODO = "write it anew, as MVSNet's cameras are"


def recognised(folder: Path) -> bool:
    return any(_files(folder))


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos that have a camera. Raises InputMissing: photos that are not there; BadInput: what is wrong."""
    place = folder / PHOTOS if (folder / PHOTOS).is_dir() else folder_of(folder, IMAGE_FOLDERS)
    found = list_images(place, "image", inside=None if reading.allow_outside else folder)
    photos = _by_number([path for path in found if not path.stem.endswith(MASKED)])
    files = _by_number(_files(folder))
    missing = [path.name for number, path in files.items() if number not in photos]
    if missing:
        why = f"{len(missing)} of {len(files)} cameras have none: {listed(missing)}"
        raise InputMissing("no such photo", where=place, why=why, todo="put them there, or take the cameras away")
    views = [_view(photos[number], path) for number, path in files.items()]
    wanted = Wanted(folder, reading, fewest_views, need_masks)
    return gathered(FORMAT, folder / CAMERAS, views, wanted, without_pose=len(photos) - len(files))


def _files(folder: Path) -> list[Path]:
    return sorted((folder / CAMERAS).glob(f"*{ENDING}"), key=natural)


def _by_number(files: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        twin = found.setdefault(last_number(path), path)
        if twin is not path:
            raise BadInput("two files of one number", where=path, why=f"{twin.name} is there too", todo="remove one")
    return found


def _view(image: Path, file: Path) -> FoundView:
    words = read_text(file, "bad camera", _TODO, MOST_BYTES).split()
    if len(words) < 27 or words[0] != "extrinsic" or words[17] != "intrinsic":
        why = "expected `extrinsic` with 16 numbers, then `intrinsic` with 9"
        raise BadInput("bad camera", where=file, why=why, todo=_TODO)
    matrix = numbers(words[1:17], 16, f"{file}: extrinsic", _TODO, text=True)
    if matrix[12:] != [0, 0, 0, 1]:
        raise BadInput("bad matrix", where=file, why=f"last row {matrix[12:]}, expected 0 0 0 1", todo=_TODO)
    turn = as_rows([matrix[4 * row + column] for row in range(3) for column in range(3)])
    rotation, centre = pose_of(turn, (matrix[3], matrix[7], matrix[11]))
    K = as_rows(numbers(words[18:27], 9, f"{file}: intrinsic", _TODO, text=True))
    pinhole = pinhole_of(K, size_of(image), f"{file}: intrinsic", _TODO, corner=CORNER_CENTRE)
    return FoundView(image, rotation, centre, pinhole)

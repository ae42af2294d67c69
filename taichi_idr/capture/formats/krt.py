"""A cameras.npz of calibrated rigs, as OpenCV users write it: K, or K_i for each photo, with R_i and T_i (or t_i).

x_camera = R x_world + T, OpenCV's axes; pixel centres are at integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...types import CaptureReading
from .archives import archive_keys, matrix_in, numbered, order_of
from .gathering import Wanted, gathered
from .source import IMAGE_FOLDERS, FoundView, Layout, folder_of, list_images, size_of
from .strict import as_rows, pinhole_of, pose_of

if TYPE_CHECKING:
    import numpy as np

FORMAT = "K, R, T"
FILE = "cameras.npz"
_SHIFTS = ((3,), (3, 1), (1, 3))
_TODO = "correct it"


def recognised(folder: Path) -> bool:
    keys = archive_keys(folder / FILE)
    has_K = "K" in keys or numbered(keys, "K")
    return bool(numbered(keys, "R") and numbered(keys, "[Tt]") and has_K and not numbered(keys, "world_mat"))


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos with the matrices of their numbers. Raises InputMissing: no photos; BadInput: what is wrong."""
    from ...files.npz import read_npz

    file = folder / FILE
    arrays = read_npz(file)
    images = list_images(folder_of(folder, IMAGE_FOLDERS), "image", inside=None if reading.allow_outside else folder)
    order = order_of(images, numbered(arrays, "R"), f"{file}: R")
    views = [_view(image, number, arrays, file) for image, number in zip(images, order, strict=True)]
    return gathered(FORMAT, file, views, Wanted(folder, reading, fewest_views, need_masks))


def _view(image: Path, number: int, arrays: Mapping[str, np.ndarray], file: Path) -> FoundView:
    key = f"K_{number}" if f"K_{number}" in arrays or "K" not in arrays else "K"
    K = as_rows(matrix_in(arrays, key, ((3, 3),), file, _TODO))
    R = as_rows(matrix_in(arrays, f"R_{number}", ((3, 3),), file, _TODO))
    letter = "t" if f"t_{number}" in arrays else "T"
    rotation, centre = pose_of(R, matrix_in(arrays, f"{letter}_{number}", _SHIFTS, file, _TODO))
    return FoundView(image, rotation, centre, pinhole_of(K, size_of(image), f"{file}: {key}", _TODO))

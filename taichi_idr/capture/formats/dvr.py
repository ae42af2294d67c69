"""DVR's cameras.npz: world_mat_i = s [R | t] and camera_mat_i = K of pixels from -1 to 1.

A point of the world is seen at camera_mat (world_mat x) (DVR's FAQ.md); -1 and 1 are the centres of a row's or column's
first and last pixel, top row first (im2mesh/common.py: arange_pixels). NeuS's files have camera_mat_i as well, beside a
world_mat_i = K [R | t] in pixels that needs none: those are of the IDR format. scale_mat_i is not read: the object is
found from the masks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadInput
from ...types import CaptureReading
from .archives import archive_keys, matrix_in, numbered, order_of
from .gathering import Wanted, gathered
from .source import IMAGE_FOLDERS, FoundView, Layout, Pinhole, folder_of, list_images, size_of
from .strict import Rows, Vector, as_rows, pinhole_of, pose_of, product, transposed

if TYPE_CHECKING:
    import numpy as np

FORMAT = "DVR"
FILE = "cameras.npz"
NOT_A_ROTATION = 1e-3
"""Largest deviation of R R^T / s^2 from the unit matrix."""
_SHAPES = ((4, 4), (3, 4))
_TODO = "write it anew, as DVR's data are"


def recognised(folder: Path) -> bool:
    """By its first matrices: the archive is only opened, which takes numpy, where it has both kinds."""
    keys = archive_keys(folder / FILE)
    both = numbered(keys, "world_mat") & numbered(keys, "camera_mat")
    if not both:
        return False
    from ...files.npz import read_npz

    try:
        block, _ = _parts(read_npz(folder / FILE), f"world_mat_{min(both)}", folder / FILE)
        return _scale(block) is not None
    except BadInput:  # which the IDR format says
        return False


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos with the matrices of their numbers. Raises InputMissing: no photos; BadInput: what is wrong."""
    from ...files.npz import read_npz

    file = folder / FILE
    arrays = read_npz(file)
    images = list_images(folder_of(folder, IMAGE_FOLDERS), "image", inside=None if reading.allow_outside else folder)
    order = order_of(images, numbered(arrays, "world_mat"), f"{file}: world_mat")
    views = [_view(image, number, arrays, file) for image, number in zip(images, order, strict=True)]
    return gathered(FORMAT, file, views, Wanted(folder, reading, fewest_views, need_masks))


def _parts(arrays: Mapping[str, np.ndarray], key: str, file: Path) -> tuple[Rows, Vector]:
    """The left 3x3 and the column beside it."""
    values = matrix_in(arrays, key, _SHAPES, file, _TODO)
    if any(values[12:15]) or values[15:] not in ([], [1.0]):
        why = f"last row {values[12:]}, expected 0 0 0 1"
        raise BadInput("bad matrix", where=f"{file}: {key}", why=why, todo=_TODO)
    block = as_rows([values[4 * row + column] for row in range(3) for column in range(3)])
    return block, (values[3], values[7], values[11])


def _scale(block: Rows) -> float | None:
    """s of s R; None where that is no rotation but for its scale."""
    square = product(block, transposed(block))
    scale = sum(square[k][k] for k in range(3)) / 3
    away = max(abs(square[i][j] - scale * (i == j)) for i in range(3) for j in range(3))
    return math.sqrt(scale) if scale > 0 and away < NOT_A_ROTATION * scale else None


def _view(image: Path, number: int, arrays: Mapping[str, np.ndarray], file: Path) -> FoundView:
    turn, shift = _parts(arrays, f"world_mat_{number}", file)
    scale = _scale(turn)
    if scale is None:
        why = "its left 3x3 block is no rotation, as that of another view is"
        raise BadInput("bad matrix", where=f"{file}: world_mat_{number}", why=why, todo=_TODO)
    K, _ = _parts(arrays, f"camera_mat_{number}", file)
    signs = [math.copysign(1.0, K[k][k]) for k in range(3)]
    pinhole = _pinhole(K, signs, size_of(image), f"{file}: camera_mat_{number}")
    # K diag(signs) diag(signs) R: an axis that K points the other way turns with it; and P is as good as -P.
    mirrored = signs[0] * signs[1] * signs[2] * _determinant(turn) < 0
    signs = [-sign if mirrored else sign for sign in signs]
    rows = [tuple(sign / scale * value for value in row) for sign, row in zip(signs, turn, strict=True)]
    moved = [sign / scale * value for sign, value in zip(signs, shift, strict=True)]
    rotation, centre = pose_of(as_rows([value for row in rows for value in row]), moved)
    return FoundView(image, rotation, centre, pinhole)


def _pinhole(K: Rows, signs: list[float], size: tuple[int, int], where: str) -> Pinhole:
    """In pixels: u = (x + 1) / 2 (width - 1)."""
    across, down = ((side - 1) / 2 for side in size)
    to_pixels = ((across, 0.0, across), (0.0, down, down), (0.0, 0.0, 1.0))
    pixels = product(to_pixels, K)
    upright = as_rows([value * sign for row in pixels for value, sign in zip(row, signs, strict=True)])
    return pinhole_of(upright, size, where, _TODO)


def _determinant(rows: Rows) -> float:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)

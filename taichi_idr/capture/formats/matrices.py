"""Camera files of the IDR and NeuS formats: world_mat_i = K [R | t] and scale_mat_i, normalised -> world."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...cameras.pinhole import LARGEST, cameras_from_projections, is_similarity, projections, transform_cameras
from ...errors import BadInput
from ...files.npz import read_npz
from ...files.writing import write_filled
from ...types import Cameras
from .pairing import numbers_of
from .source import CameraFile, Layout

SINGULAR = 1e-9
"""Ratio of the least to the largest singular value below which a matrix counts as singular."""
NUMBERS = "fiu"
"""Kinds of arrays that a matrix may be."""
_NORMALIZE = "correct it, or use --normalize to find the object from the masks"


def read_cameras(layout: Layout, normalize: bool) -> CameraFile:
    """Poses of the layout's camera file, with the intrinsics of the usual one (CAM-6). Raises BadInput."""
    path, order = layout.cameras, _order(layout.cameras, layout.images)
    world_mats, scale_mats = read_matrices(path, order)
    T, warnings = (None, []) if normalize else normalised_frame(path, scale_mats, order)
    cameras = _cameras(world_mats)
    if layout.intrinsics != path:
        usual = world_cameras(layout.intrinsics, _order(layout.intrinsics, layout.images))
        cameras = Cameras(cameras.quaternions, cameras.centres, usual.intrinsics)
    reflected = bool((np.linalg.det(world_mats[:, :3, :3]) < 0).all())
    with np.errstate(over="ignore"):
        single = np.array_equal(world_mats, world_mats.astype(np.float32))
    return CameraFile(cameras, T, warnings, reflected, single=single)


def world_cameras(path: Path, order: Sequence[int] | None = None) -> Cameras:
    """Cameras (float64, world frame) of the world_mats of these numbers; of all that are there, from 0 on.

    Raises BadInput.
    """
    if order is None:
        order = range(len(_numbered(read_npz(path), "world_mat")))
    if not order:
        raise BadInput("no cameras", where=path, why="no world_mat in it", todo="name a camera file in the IDR format")
    return _cameras(read_matrices(path, order)[0])


def read_matrices(path: Path, order: Sequence[int]) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """world_mats (V, 4, 4) of these numbers, one for each photo, and the scale_mats that are there, by number.

    Raises BadInput, naming the key: missing, superfluous, of another shape, not finite, singular.
    """
    arrays = read_npz(path)
    _check_numbers(path, arrays, order)
    keys = [f"world_mat_{number}" for number in order]
    world_mats = np.stack([_matrix(arrays[key], f"{path}: {key}") for key in keys])
    for key, matrix in zip(keys, world_mats, strict=True):
        _refuse_singular(matrix[:3, :3], f"{path}: {key}")
    return world_mats, _numbered(arrays, "scale_mat")


def normalised_frame(
    path: Path, scale_mats: dict[int, np.ndarray], order: Sequence[int]
) -> tuple[np.ndarray | None, list[str]]:
    """T_world_normalised (4, 4), None where the file has no scale_mat, and warnings.

    One frame for all views, that of the first (scale_mat_0). Raises BadInput: some are missing, or it is no similarity.
    """
    if not scale_mats:
        return None, [f"no scale_mat in {path}: the object is found from the masks"]
    missing = [number for number in order if number not in scale_mats]
    if missing:
        why = f"images {order[0]}...{order[-1]} need one each, or none has one"
        raise BadInput("missing matrix", where=f"{path}: scale_mat_{missing[0]}", why=why, todo=_NORMALIZE)
    where = f"{path}: scale_mat_{order[0]}"
    T = _matrix(scale_mats[order[0]], where, _NORMALIZE)
    _refuse_singular(T[:3, :3], where, _NORMALIZE)
    _check_similarity(T, where)
    others = [number for number, matrix in sorted(scale_mats.items()) if not _same(matrix, T)]
    where = f"{path}: scale_mat_{others[0]}" if others else ""
    return T, [f"scale_mats differ ({where}): scale_mat_{order[0]} is used for all views"] if others else []


def write_idr_cameras(path: Path, cameras: Cameras, T_world_normalised: np.ndarray) -> None:
    """Write normalised cameras as world_mat_i and scale_mat_i, float64. Raises WriteFailed."""
    in_world = projections(transform_cameras(T_world_normalised, cameras.to(torch.float64))).numpy()
    arrays: dict[str, np.ndarray] = {}
    for index, P in enumerate(in_world):
        arrays[f"world_mat_{index}"] = np.vstack([P, [0.0, 0.0, 0.0, 1.0]])
        arrays[f"scale_mat_{index}"] = np.asarray(T_world_normalised, dtype=np.float64)
    write_filled(path, lambda data: np.savez(data, **arrays))  # pyright: ignore[reportArgumentType]


def _cameras(world_mats: np.ndarray) -> Cameras:
    return cameras_from_projections(world_mats[:, :3])


def _numbered(arrays: dict[str, np.ndarray], prefix: str) -> dict[int, np.ndarray]:
    pattern = re.compile(rf"{prefix}_(0|[1-9]\d{{0,6}})")
    matches = ((pattern.fullmatch(key), array) for key, array in arrays.items())
    return {int(match[1]): array for match, array in matches if match}


def _order(path: Path, images: Sequence[Path]) -> Sequence[int]:
    """Number of each photo's matrix."""
    return numbers_of(images, set(_numbered(read_npz(path), "world_mat")))


def _check_numbers(path: Path, arrays: dict[str, np.ndarray], order: Sequence[int]) -> None:
    """One world_mat for each image, and no other: one too many belongs to a photo that is not there."""
    numbers = _numbered(arrays, "world_mat")
    missing = [number for number in order if number not in numbers]
    if missing:
        why = f"images {order[0]}...{order[-1]} need one each"
        raise BadInput("missing matrix", where=f"{path}: world_mat_{missing[0]}", why=why, todo="add it")
    surplus = sorted(set(numbers) - set(order))
    if surplus:
        why = f"there are {len(order)} images, and which of them lacks is not known"
        todo = "put the missing image back, or write the file anew for those that are left"
        raise BadInput("matrix without image", where=f"{path}: world_mat_{surplus[0]}", why=why, todo=todo)


def _matrix(array: np.ndarray, where: str, todo: str = "correct it") -> np.ndarray:
    """A finite 4 x 4 matrix whose last row is 0 0 0 1; 3 x 4 gets that row."""
    if array.dtype.kind not in NUMBERS or array.shape not in ((4, 4), (3, 4)):
        why = f"expected 4x4 numbers, got shape {array.shape} of {array.dtype}"
        raise BadInput("bad matrix", where=where, why=why, todo=todo)
    matrix = np.vstack([array, [0, 0, 0, 1]])[:4].astype(np.float64)
    if not np.isfinite(matrix).all():
        raise BadInput("bad matrix", where=where, why="NaN or infinity in it", todo=todo)
    last = matrix[3]
    if last[3] == 0 or abs(last[:3]).max() > 1e-6 * abs(last[3]):
        raise BadInput("bad matrix", where=where, why=f"last row {last.tolist()}, expected 0 0 0 1", todo=todo)
    with np.errstate(over="ignore"):
        matrix = matrix / last[3]
    largest = abs(matrix[:3]).max()
    if largest > LARGEST or 0 < largest < 1 / LARGEST:
        raise BadInput("bad matrix", where=where, why=f"numbers of {largest:.0e}", todo="choose another unit of length")
    return matrix


def _refuse_singular(block: np.ndarray, where: str, todo: str = "correct it") -> None:
    values = np.linalg.svd(block, compute_uv=False)
    if not values[-1] > SINGULAR * values[0]:
        why = "its left 3x3 block is singular"
        raise BadInput("bad matrix", where=where, why=why, todo=todo)


def _same(matrix: np.ndarray, T: np.ndarray) -> bool:
    numbers = matrix.dtype.kind in NUMBERS and matrix.shape == T.shape
    return numbers and np.allclose(matrix, T, rtol=1e-5, atol=1e-6 * abs(T).max())


def _check_similarity(T: np.ndarray, where: str) -> None:
    if not is_similarity(T):
        why = "expected one scale and a rotation"
        raise BadInput("bad matrix", where=where, why=why, todo=_NORMALIZE)

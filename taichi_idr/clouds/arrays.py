"""Points in arrays of numpy: one array, or an archive with `points` and, where there are any, `normals`, `colours`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files.npz import read_npy, read_npz
from .cloud import Cloud
from .columns import as_colours, cloud_of_columns

MOST_BYTES = 4 << 30  # of one array: 10 M points with all that they can have are a sixth of it
NORMALS, COLOURS = ("normals", "normal"), ("colours", "colors", "rgb")


def read_array(path: Path) -> Cloud:
    """A .npy file, (N, 3), (N, 6) or (N, 9). Raises BadInput."""
    return cloud_of_columns(_numeric(read_npy(path, most=MOST_BYTES), path), path)


def read_archive(path: Path) -> Cloud:
    """A .npz file with `points`, or with one array alone. Raises BadInput."""
    arrays = read_npz(path, most=MOST_BYTES)
    points = arrays.get("points", next(iter(arrays.values())) if len(arrays) == 1 else None)
    if points is None:
        why = f"it holds {', '.join(sorted(arrays)[:5]) or 'nothing'}"
        raise BadInput("no points", where=path, why=why, todo="name the array (N, 3) points")
    cloud = cloud_of_columns(_numeric(points, path), path)
    normals, colours = (_besides(arrays, names, len(cloud), path) for names in (NORMALS, COLOURS))
    return Cloud(
        cloud.points,
        cloud.normals if normals is None else normals.astype(np.float32),
        cloud.colours if colours is None else as_colours(colours),
    )


def _numeric(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise BadInput("not a point cloud", where=path, why=f"its numbers are {array.dtype}", todo="store float64")
    return array


def _besides(arrays: dict[str, np.ndarray], names: tuple[str, ...], count: int, path: Path) -> np.ndarray | None:
    name = next((name for name in names if name in arrays), None)
    if name is None:
        return None
    if arrays[name].shape != (count, 3):
        why = f"{name} is {arrays[name].shape}, points are ({count}, 3)"
        raise BadInput("arrays do not fit each other", where=path, why=why, todo="store a row for each point")
    return _numeric(arrays[name], path)

"""A point cloud from a file, by its suffix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput, InputMissing, warn
from ..files.reading import regular

if TYPE_CHECKING:
    import numpy as np

    from .cloud import Cloud

TEXTS = (".xyz", ".txt", ".csv", ".pts", ".asc")
LARGEST = 1e90
SUFFIXES = (".ply", *TEXTS, ".npy", ".npz", ".las", ".laz")


def find_cloud(path: Path) -> Path:
    """`path`, once it is a file that can be a cloud. Raises InputMissing, BadInput."""
    try:
        found, empty = path.is_file(), path.is_file() and path.stat().st_size == 0
    except OSError as error:
        raise InputMissing("no such cloud", where=path, why=error.strerror or "", todo="check the path") from error
    if not found:
        why = "a folder, not a file" if path.is_dir() else ""
        raise InputMissing("no such cloud", where=path, why=why, todo="name a file of points")
    if path.suffix.lower() not in SUFFIXES:
        why = f"expected one of {', '.join(SUFFIXES)}"
        raise BadInput("not a point cloud", where=path, why=why, todo="convert it")
    if empty:
        raise BadInput("empty file", where=path, why="0 bytes", todo="export it again")
    return path


def read_cloud(path: Path) -> Cloud:
    """What a file says: PLY, text, arrays of numpy, LAS. Points that are not finite are left out, with a warning.

    Raises InputMissing, BadInput, Unavailable (LAS without laspy).
    """
    try:
        return _finite(_read(regular(find_cloud(path), todo="export it again")), path)
    except OSError as error:
        raise BadInput("cannot read file", where=path, why=error.strerror or str(error)) from error


def _read(path: Path) -> Cloud:
    suffix = path.suffix.lower()
    if suffix == ".ply":
        from .ply import read_ply

        cloud, faces = read_ply(path)
        if faces:
            warn(f"{path} is a mesh: its {len(cloud):,} vertices are taken as points, its {faces:,} faces are not used")
        return cloud
    if suffix in TEXTS:
        from .text import read_text

        return read_text(path)
    if suffix in (".las", ".laz"):
        from .las import read_las

        return read_las(path)
    from .arrays import read_archive, read_array

    return read_array(path) if suffix == ".npy" else read_archive(path)


def _finite(cloud: Cloud, path: Path) -> Cloud:
    import numpy as np

    finite = np.asarray(np.isfinite(cloud.points).all(axis=1))
    lost = len(finite) - int(finite.sum())
    if lost == len(finite):
        why = "there are none" if lost == 0 else "none is finite"
        raise BadInput("no points", where=path, why=why, todo="export them again")
    if lost:
        warn(f"{path}: {lost:,} of {len(finite):,} points are not finite and left out")
        cloud = cloud[finite]
    _refuse_extremes(cloud.points, path)
    return cloud


def _refuse_extremes(points: np.ndarray, path: Path) -> None:
    """Raises BadInput where squares and cubes of coordinates, or of the cloud's size, cannot be computed."""
    largest, extent = abs(points).max(), float((points.max(axis=0) - points.min(axis=0)).max())
    if largest > LARGEST or 0 < extent < 1 / LARGEST:
        why = f"numbers of {largest if largest > LARGEST else extent:.0e}"
        raise BadInput("unusable points", where=path, why=why, todo="choose another unit of length")

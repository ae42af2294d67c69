"""LAS and LAZ, read by laspy, which is an optional part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import BadInput, Unavailable
from .cloud import Cloud
from .columns import as_colours

CHUNK = 1_000_000  # points read at once
PIP = "pip install 'taichi-idr[las]'"


def read_las(path: Path) -> Cloud:
    """Positions, and colours where they are not all black. Raises Unavailable without laspy, BadInput."""
    try:
        import laspy
    except ImportError as error:
        raise Unavailable("LAS files need laspy", where=path, todo=PIP) from error
    try:
        with laspy.open(path) as file:
            parts = [_part(records) for records in file.chunk_iterator(CHUNK)]
    except Exception as error:  # a parser fed with arbitrary bytes may raise anything
        raise BadInput("unreadable points", where=path, why=f"las reader: {error}", todo="export it again") from error
    points = np.concatenate([np.zeros((0, 3)), *(points for points, _ in parts)])
    colours = [colours for _, colours in parts if colours is not None]
    known = np.concatenate(colours) if colours else None
    return Cloud(points, None, as_colours(known) if known is not None and known.any() else None)


def _part(records) -> tuple[np.ndarray, np.ndarray | None]:
    points = np.stack([records.x, records.y, records.z], axis=1).astype(np.float64)
    if "red" not in records.point_format.dimension_names:
        return points, None
    return points, np.stack([records.red, records.green, records.blue], axis=1)

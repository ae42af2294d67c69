"""Cells of lattices that may hold a surface, and the field's values at lattice points: what extractors share."""

from __future__ import annotations

import numpy as np
import torch

from .. import runtime
from ..errors import Diverged
from ..types import Sdf
from .colours import QUERY_CHUNK


@torch.no_grad()
def asked(field: Sdf, points: np.ndarray) -> np.ndarray:
    """Values (N,) float32 of a field at points (N, 3), in chunks. Raises Diverged when one is not finite."""
    target = {"dtype": runtime.current().dtype, "device": runtime.current().device}
    parts = [field(chunk.to(**target)).cpu() for chunk in torch.from_numpy(points).split(QUERY_CHUNK)]
    values = torch.cat([torch.zeros(0), *parts]).float().numpy()
    if not np.isfinite(values).all():
        todo = "fit again with lower rates"
        raise Diverged("no surface", why="the signed distance is not finite", todo=todo)
    return values


def cells_near_zero(values: np.ndarray, reach: float) -> np.ndarray:
    """Cells with a corner below `reach` and one above `-reach`: a change of sign, or a small value."""
    low = values < reach
    high = values > -reach if reach > 0 else ~low
    for axis in range(3):
        low, high = _pairs(low, axis), _pairs(high, axis)
    return low & high


def _pairs(flags: np.ndarray, axis: int) -> np.ndarray:
    """Either of two neighbours along `axis`."""
    return flags[_along(axis, slice(None, -1))] | flags[_along(axis, slice(1, None))]


def spread(cells: np.ndarray, halves: int) -> np.ndarray:
    """Lattice points of the marked cells, on a lattice with `halves` steps per cell."""
    for axis in range(3):
        count = cells.shape[axis]
        points = np.zeros([n * halves + 1 if a == axis else n for a, n in enumerate(cells.shape)], bool)
        for offset in range(halves + 1):
            points[_along(axis, slice(offset, offset + (count - 1) * halves + 1, halves))] |= cells
        cells = points
    return cells


def doubled(values: np.ndarray) -> np.ndarray:
    """Trilinear interpolation to half the step; a cell of one sign keeps it."""
    for axis in range(3):
        finer = np.empty([2 * n - 1 if a == axis else n for a, n in enumerate(values.shape)], np.float32)
        finer[_along(axis, slice(None, None, 2))] = values
        between = finer[_along(axis, slice(1, None, 2))]
        np.add(values[_along(axis, slice(None, -1))], values[_along(axis, slice(1, None))], out=between)
        between *= 0.5
        values = finer
    return values


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    """Index that takes `part` of one axis and all of the others."""
    return (slice(None),) * axis + (part,)

"""The tree of boxes over a mesh's triangles that kernels descend (kernels/closest_triangle.py, first_triangle.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import runtime
from ..kernels.closest_triangle import LEAF

BITS = 10  # of each coordinate in the order of the triangles


@dataclass(frozen=True)
class TriangleTree:
    """F triangles around `middle` (3,), the mean of their corners, in a `unit` about as long as they reach from it:
    squares of areas have to stay within single precision. On the device of the runtime, in the kernels' precision.

    triangles: (LEAF L, 9), along a space-filling curve, filled up with copies of the last; boxes: (2 L - 1, 6), least
    and greatest corner of every node, root first; order: (F,) number of each row's triangle; codes: (F,) its place on
    the curve; corners: (F, 3, 3) in the order that they were given.
    """

    triangles: Tensor
    boxes: Tensor
    order: Tensor
    codes: Tensor
    corners: Tensor
    middle: Tensor
    unit: float

    @staticmethod
    def build(corners: Tensor) -> TriangleTree:
        """Of triangles (F, 3, 3), F > 0, in any precision."""
        target = {"dtype": runtime.current().dtype, "device": runtime.current().device}
        middle = corners.reshape(-1, 3).mean(dim=0)
        unit = 2.0 ** math.frexp(float((corners - middle).abs().max()))[1]  # a power of two rounds nothing
        corners = ((corners - middle) / unit).to(**target)
        codes, order = _curve_codes(corners.mean(dim=1), corners).sort()
        triangles = _padded(corners[order].reshape(-1, 9))
        return TriangleTree(triangles, _boxes(triangles), order, codes, corners, middle, unit)

    def placed(self, points: Tensor) -> Tensor:
        """Points (N, 3) as kernels need them."""
        return ((points - self.middle.to(points)) / self.unit).to(self.triangles).contiguous()

    def numbers(self, rows: Tensor) -> Tensor:
        """Which triangle (N,) int64 stands in each row (N,); copies of the last are the last."""
        return self.order[rows.long().clamp(0, len(self.order) - 1)]

    def leaves_near(self, points: Tensor) -> Tensor:
        """A leaf (N,) int32 near each of the placed points (N, 3)."""
        places = torch.searchsorted(self.codes, _curve_codes(points, self.corners))
        return (places.clamp_max(len(self.codes) - 1) // LEAF).int()


def _curve_codes(places: Tensor, corners: Tensor) -> Tensor:
    """Position (N,) int64 along a Z-order curve (Morton, 1966) through the box of the triangles."""
    low, high = corners.amin(dim=(0, 1)), corners.amax(dim=(0, 1))
    share = (places - low) / (high - low).max().clamp_min(torch.finfo(places.dtype).tiny)
    cell = (share.clamp(0, 1) * (2**BITS - 1)).long()
    code = torch.zeros_like(cell[:, 0])
    for bit in range(BITS):
        for axis in range(3):
            code |= (cell[:, axis] >> bit & 1) << 3 * bit + axis
    return code


def _padded(triangles: Tensor) -> Tensor:
    """Triangles (F, 9) filled up with copies of the last, so that the leaves number a power of two."""
    leaves = -(-len(triangles) // LEAF)
    missing = LEAF * (1 << (leaves - 1).bit_length()) - len(triangles)
    return torch.cat([triangles, triangles[-1:].expand(missing, -1)]).contiguous()


def _boxes(triangles: Tensor) -> Tensor:
    """Least and greatest corner (2 L - 1, 6) of every node, root first."""
    corners = triangles.reshape(-1, 3 * LEAF, 3)
    levels = [torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)]
    while len(levels[0]) > 1:
        left, right = levels[0][::2], levels[0][1::2]
        low, high = torch.minimum(left, right)[:, :3], torch.maximum(left, right)[:, 3:]
        levels.insert(0, torch.cat([low, high], dim=1))
    return torch.cat(levels).contiguous()

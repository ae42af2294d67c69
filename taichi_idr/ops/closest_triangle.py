"""Distance from points to a mesh (kernels/closest_triangle.py). Not differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import runtime
from ..kernels import closest_triangle as kernels

CHUNK = 1 << 15  # points per launch: well under a second, so that signals are heard
BITS = 10  # of each coordinate in the order of the triangles


def closest_triangle(points: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) from points (N, 3) to the nearest of the triangles `corners` (F, 3, 3), and its index
    (N,) int64.

    Computed around the triangles' mean, in a unit about as long as they reach from it (squares of areas have to stay
    within single precision), in the precision of the kernels, on the device of the runtime; F > 0.
    """
    if points.ndim != 2 or points.shape[1] != 3 or corners.ndim != 3 or corners.shape[1:] != (3, 3) or not len(corners):
        shapes = f"{tuple(points.shape)} and {tuple(corners.shape)}"
        raise ValueError(f"closest_triangle: expected points (N, 3) and corners (F, 3, 3), F > 0, got {shapes}")
    target = {"dtype": runtime.current().dtype, "device": runtime.current().device}
    middle = corners.reshape(-1, 3).mean(dim=0)
    unit = 2.0 ** math.frexp(float((corners - middle).abs().max()))[1]  # a power of two rounds nothing
    points = ((points - middle) / unit).to(**target).contiguous()
    corners = ((corners - middle) / unit).to(**target)
    codes, order = _curve_codes(corners.mean(dim=1), corners).sort()
    triangles = _padded(corners[order].reshape(-1, 9))
    leaf = torch.searchsorted(codes, _curve_codes(points, corners)).clamp_max(len(codes) - 1) // kernels.LEAF
    distance, row = torch.empty_like(points[:, 0]), torch.empty_like(leaf, dtype=torch.int32)
    boxes = _boxes(triangles)
    for part in torch.arange(len(points)).split(CHUNK):
        span = slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0)
        arguments = (points[span], triangles, boxes, leaf[span].int(), distance[span], row[span])
        runtime.launch(kernels.closest_triangle, *arguments)
    return distance * unit, order[row.long().clamp_max(len(order) - 1)]


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
    leaves = -(-len(triangles) // kernels.LEAF)
    missing = kernels.LEAF * (1 << (leaves - 1).bit_length()) - len(triangles)
    return torch.cat([triangles, triangles[-1:].expand(missing, -1)]).contiguous()


def _boxes(triangles: Tensor) -> Tensor:
    """Least and greatest corner (2 L - 1, 6) of every node, root first."""
    corners = triangles.reshape(-1, 3 * kernels.LEAF, 3)
    levels = [torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)]
    while len(levels[0]) > 1:
        left, right = levels[0][::2], levels[0][1::2]
        low, high = torch.minimum(left, right)[:, :3], torch.maximum(left, right)[:, 3:]
        levels.insert(0, torch.cat([low, high], dim=1))
    return torch.cat(levels).contiguous()

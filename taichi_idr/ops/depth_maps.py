"""Bridge to what depth maps say about points (kernels/depth_maps.py)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .. import runtime
from ..kernels import depth_maps as kernels
from .patch_consistency import PosedPhotos

POINTS_PER_LAUNCH = 1 << 18
"""A launch stays well below a second, so that a signal is heard."""


@dataclass(frozen=True)
class Looks:
    """What depth maps say about N points.

    at (N,), through (N,) int32: maps at whose surface a point lies, and that see through it. distance (N,): sum of
    weights times signed distances from their surfaces, positive before them; weight (N,): sum of the weights.
    """

    at: Tensor
    through: Tensor
    distance: Tensor
    weight: Tensor


def look_at_points(
    maps: Tensor,
    photos: PosedPhotos,
    points: Tensor,
    group: Tensor,
    lookers: Tensor,
    *,
    at_most: float,
    through: float,
    thickness: float,
) -> Looks:
    """Ask depth maps about points (N, 3) of the normalised frame.

    maps (P, 3): v of the tangent plane v.(X - c) = 1 of every pixel, as photos.shades are ordered; 0 where none is
    known. group (N,) int32: row of lookers (G, S) int32, the photos that are asked, -1 is none. at_most, through: gaps,
    in pixels at that depth. thickness: distances are cut at it, points farther behind have none. Not differentiable.
    """
    count = len(points)
    shapes = {"maps": (maps, (len(photos.shades), 3)), "points": (points, (count, 3)), "group": (group, (count,))}
    for name, (tensor, shape) in shapes.items():
        if tensor.shape != shape:
            raise ValueError(f"look_at_points: expected {name} {shape}, got {tuple(tensor.shape)}")
    counts = torch.empty(count, 2, dtype=torch.int32, device=points.device)
    distance, weight = torch.empty_like(points[:, 0]), torch.empty_like(points[:, 0])
    for start in range(0, count, POINTS_PER_LAUNCH):
        part = slice(start, start + POINTS_PER_LAUNCH)
        arrays = (maps, photos.layout, photos.cameras, points[part], group[part], lookers)
        numbers, outputs = (at_most, through, thickness), (counts[part], distance[part], weight[part])
        runtime.launch(kernels.look_at_points, *arrays, *numbers, *outputs)
    return Looks(counts[:, 0], counts[:, 1], distance, weight)

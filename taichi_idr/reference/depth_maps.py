"""Twin of ops/depth_maps.py: one map after the other, all points at once."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops.depth_maps import Looks
from ..ops.patch_consistency import PosedPhotos

LEAST_FACING = 0.1


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
    """The ray from a camera to a point meets the plane of the pixel at depth z / s."""
    at, seen_through = torch.zeros(2, len(points), dtype=torch.int32, device=points.device)
    distance, weight = torch.zeros(2, len(points)).to(points)
    for view, (first, height, width) in enumerate(photos.layout.tolist()):
        asked = (lookers[group.long()] == view).any(dim=1)
        camera = photos.cameras[view]
        away = points - camera[6]
        image = away @ camera[3:6].T
        column, row = torch.floor(image[:, :2] / image[:, 2:] + 0.5).nan_to_num().long().unbind(1)
        inside = asked & (image[:, 2] > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        planes = maps[torch.where(inside, first + row * width + column, 0)]
        s, size = (planes * away).sum(dim=1), planes.norm(dim=1)
        facing = s / (size * away.norm(dim=1)).clamp(min=1e-12)
        tells = inside & (facing > LEAST_FACING)
        gap = (1 / torch.where(tells, s, 1) - 1) / camera[:3, 0].norm()
        at += tells & (gap.abs() <= at_most)
        seen_through += tells & (gap > through)
        far = (1 - s) / size.clamp(min=1e-12)
        counted = torch.where(tells & (far > -thickness), facing**2 * (1 + far / thickness).clamp(max=1), 0)
        distance, weight = distance + counted * far.clamp(max=thickness), weight + counted
    return Looks(at, seen_through, distance, weight)

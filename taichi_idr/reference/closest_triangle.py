"""Twin of ops/closest_triangle.py: every point against every triangle."""

from __future__ import annotations

import torch
from torch import Tensor


def closest_triangle(points: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) from points (N, 3) to the nearest of the triangles `corners` (F, 3, 3), and its index
    (N,)."""
    return triangle_distance(points[:, None], corners[None]).min(dim=1)


def triangle_distance(points: Tensor, corners: Tensor) -> Tensor:
    """Distance (...) between points (..., 3) and triangles (..., 3, 3), by broadcasting."""
    edges = corners.roll(-1, dims=-2) - corners
    normal = torch.linalg.cross(edges[..., 0, :], -edges[..., 2, :])
    from_corner = points[..., None, :] - corners
    side = (torch.linalg.cross(edges.expand_as(from_corner), from_corner) * normal[..., None, :]).sum(dim=-1)
    length = normal.norm(dim=-1)
    height = (from_corner[..., 0, :] * normal).sum(dim=-1).abs() / length
    share = (from_corner * edges).sum(dim=-1) / edges.square().sum(dim=-1).clamp_min(1e-30)
    to_edge = (from_corner - share.clamp(0, 1)[..., None] * edges).norm(dim=-1).amin(dim=-1)
    inside = (side >= 0).all(dim=-1) & (length > 0)
    return torch.where(inside, height, to_edge)

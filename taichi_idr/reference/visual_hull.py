"""Twins of ops/visual_hull.py: project the whole lattice into one view after the other, walk all rays together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..cameras.rotations import rotation_matrices
from ..types import Cameras, Rays


def visual_hull(
    masks: Sequence[np.ndarray],
    cameras: Cameras,
    resolution: int,
    *,
    min_fraction: float = 0.95,
    min_inside: float = 0.0,
    min_views: int = 3,
    ignored: Sequence[np.ndarray | None] = (),
) -> Tensor:
    """Kept where outside <= (1 - min_fraction) (inside + outside), and inside >= min_inside V and min(min_views, V)."""
    inside, outside = hull_votes(masks, cameras, resolution, ignored=ignored)
    few_outside = outside <= (1 - min_fraction) * (inside + outside) + 1e-5
    return few_outside & (inside >= max(min(min_views, len(masks)), min_inside * len(masks)) - 1e-5)


def hull_votes(
    masks: Sequence[np.ndarray], cameras: Cameras, resolution: int, *, ignored: Sequence[np.ndarray | None] = ()
) -> tuple[Tensor, Tensor]:
    """Views that show the object at each lattice point, and views that show background."""
    axis = torch.linspace(-1, 1, resolution, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    inside, outside = torch.zeros(2, len(points), dtype=torch.int32)
    for view, mask in enumerate(masks):
        sees, shows = _look(torch.from_numpy(mask), cameras[view : view + 1].to(torch.float64), points)
        if ignored and ignored[view] is not None:
            sees &= ~_look(torch.from_numpy(ignored[view]), cameras[view : view + 1].to(torch.float64), points)[1]
        inside += sees & shows
        outside += sees & ~shows
    shape = (resolution, resolution, resolution)
    return inside.reshape(shape), outside.reshape(shape)


def first_occupied(occupied: Tensor, rays: Rays, *, radius: float = 2.0) -> Tensor:
    """Walks all rays together, half a cell at a time, from where they enter the sphere to where they leave it."""
    step = 1 / (len(occupied) - 1)
    middle = -(rays.origins * rays.directions).sum(dim=1)
    half = (radius**2 - rays.at(middle).square().sum(dim=1)).clamp(min=0).sqrt()
    depth, t = torch.full_like(middle, -1.0), (middle - half).clamp(min=0)
    for _ in range(math.ceil(2 * radius / step) + 1):
        points = rays.at(t)
        cell = torch.floor((points + 1) / 2 * (len(occupied) - 1) + 0.5).long().clamp(0, len(occupied) - 1)
        meets = occupied[tuple(cell.T)] & (points.abs().amax(dim=1) <= 1 + step) & (t < middle + half)
        depth = torch.where(meets & (depth < 0), t, depth)
        t = t + step
    return depth


def _look(mask: Tensor, camera: Cameras, points: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the view sees each point (N,), and whether it shows the object there (N,)."""
    in_camera = (points - camera.centres[0]) @ rotation_matrices(camera.quaternions)[0]
    image = in_camera @ camera.intrinsics[0].T
    column, row = (torch.floor(image[:, :2] / image[:, 2:] + 0.5)).unbind(1)
    height, width = mask.shape
    sees = (image[:, 2] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    shows = mask[torch.where(sees, row, 0).long(), torch.where(sees, column, 0).long()]
    return sees, shows

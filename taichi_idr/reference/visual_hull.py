"""Twin of ops/visual_hull.py: projects the whole lattice into one view after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..cameras.rotations import rotation_matrices
from ..types import Cameras


def visual_hull(
    masks: Sequence[np.ndarray],
    cameras: Cameras,
    resolution: int,
    *,
    min_fraction: float = 0.95,
    min_inside: float = 0.25,
) -> Tensor:
    """Kept where outside <= (1 - min_fraction) (inside + outside), and inside >= min_inside V and 1."""
    axis = torch.linspace(-1, 1, resolution, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    inside, outside = torch.zeros(2, len(points))
    for view, mask in enumerate(masks):
        sees, shows = _look(torch.from_numpy(mask), cameras[view : view + 1].to(torch.float64), points)
        inside += sees & shows
        outside += sees & ~shows
    few_outside = outside <= (1 - min_fraction) * (inside + outside) + 1e-5
    kept = few_outside & (inside >= max(1.0, min_inside * len(masks)) - 1e-5)
    return kept.reshape(resolution, resolution, resolution)


def _look(mask: Tensor, camera: Cameras, points: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the view sees each point (N,), and whether it shows the object there (N,)."""
    in_camera = (points - camera.centres[0]) @ rotation_matrices(camera.quaternions)[0]
    image = in_camera @ camera.intrinsics[0].T
    column, row = (torch.floor(image[:, :2] / image[:, 2:] + 0.5)).unbind(1)
    height, width = mask.shape
    sees = (image[:, 2] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    shows = mask[torch.where(sees, row, 0).long(), torch.where(sees, column, 0).long()]
    return sees, shows

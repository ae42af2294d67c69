"""Where rays cross the cube of DVR-2."""

from __future__ import annotations

import torch
from torch import Tensor

from ...types import Rays


def cube_ends(rays: Rays, half: float) -> tuple[Tensor, Tensor, Tensor]:
    """Depths (R,) at which rays enter and leave the cube [-half, half]^3, and whether they meet it (R,) bool.

    A ray that starts inside enters at 0.
    """
    faces = half * torch.tensor([-1.0, 1.0]).to(rays.origins)
    tiny = torch.finfo(rays.origins.dtype).tiny
    along = torch.where(rays.directions.abs() < tiny, tiny, rays.directions)
    ends = (faces - rays.origins[:, :, None]) / along[:, :, None]  # (R, 3, 2)
    entry = ends.amin(dim=2).amax(dim=1).clamp(min=0)
    leave = ends.amax(dim=2).amin(dim=1)
    return entry, leave, leave > entry

"""Twin of ops/crossings.py: every ray against every triangle."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Rays
from .first_triangle import ray_triangle


def crossings(rays: Rays, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Times (R,) int32 that each ray leaves through the back of one of the triangles `corners` (F, 3, 3) less those
    that it enters through a front, and both together."""
    met = ray_triangle(rays.origins[:, None], rays.directions[:, None], corners[None]).isfinite()
    edges = corners.roll(-1, dims=-2) - corners
    normals = torch.linalg.cross(edges[:, 0], edges[:, 1])
    leaving = (rays.directions @ normals.T).sign().int() * met
    return leaving.sum(dim=1, dtype=torch.int32), met.sum(dim=1, dtype=torch.int32)

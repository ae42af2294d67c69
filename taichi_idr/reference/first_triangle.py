"""Twin of ops/first_triangle.py: every ray against every triangle."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Rays


def first_triangle(rays: Rays, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (R,) along each ray to the first of the triangles `corners` (F, 3, 3), and its index (R,); inf and -1
    where there is none.

    The ray meets a triangle where it passes all three edges on the same side: by the volumes that it spans with them.
    """
    depth, face = ray_triangle(rays.origins[:, None], rays.directions[:, None], corners[None]).min(dim=1)
    return depth, torch.where(depth.isinf(), -1, face)


def ray_triangle(origins: Tensor, directions: Tensor, corners: Tensor) -> Tensor:
    """Distance (...) along rays (..., 3) to triangles (..., 3, 3), by broadcasting; inf where missed."""
    seen = corners - origins[..., None, :]
    following = seen.roll(-1, dims=-2)
    volumes = (torch.linalg.cross(seen, following) * directions[..., None, :]).sum(dim=-1)
    total = volumes.sum(dim=-1)
    passed = ((volumes >= 0).all(dim=-1) | (volumes <= 0).all(dim=-1)) & (total != 0)
    edges = corners.roll(-1, dims=-2) - corners
    normal = torch.linalg.cross(edges[..., 0, :], edges[..., 1, :])
    depth = (seen[..., 0, :] * normal).sum(dim=-1) / (directions * normal).sum(dim=-1)
    return torch.where(passed & (depth > 0), depth, torch.inf)

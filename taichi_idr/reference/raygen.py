"""Twin of ops/raygen.py."""

from __future__ import annotations

import torch
from torch import Tensor


def generate_rays(
    quaternions: Tensor, centres: Tensor, inverse_intrinsics: Tensor, view_index: Tensor, pixels: Tensor
) -> tuple[Tensor, Tensor]:
    """v = normalise(Q(q) K^-1 (u, v, 1)), with Q as a matrix."""
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
    in_camera = torch.einsum("rij,rj->ri", inverse_intrinsics[view_index], homogeneous)
    directions = torch.einsum("rij,rj->ri", rotation_matrices(quaternions)[view_index], in_camera)
    return centres[view_index], torch.nn.functional.normalize(directions, dim=1)


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """Rotations (V, 3, 3) of quaternions (V, 4) w x y z of any length."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=1).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1),
    ]
    return torch.stack(rows, dim=1)

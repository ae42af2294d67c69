"""Rotations as matrices and as unit quaternions, w x y z."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """Rotations (V, 3, 3) of quaternions (V, 4) w x y z of any length but zero. Differentiable."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=1).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1),
    ]
    return torch.stack(rows, dim=1)


def quaternions_from_rotations(rotations: Tensor) -> Tensor:
    """Unit quaternions (V, 4) w x y z, w >= 0, of rotations (V, 3, 3); sound at trace = -1 too (CAM-7)."""
    xyzw = Rotation.from_matrix(rotations.detach().cpu().numpy()).as_quat(canonical=True)
    return torch.from_numpy(np.roll(xyzw, 1, axis=1)).to(rotations)


def rotated(quaternions: Tensor, turn: Tensor) -> Tensor:
    """Unit quaternions (B, 4) w x y z, turned further by rotation vectors (B, 3) in the frame they lead to."""
    angle = turn.norm(dim=1, keepdim=True)
    axis = turn / angle.clamp(min=1e-12)
    further = torch.cat([torch.cos(angle / 2), torch.sin(angle / 2) * axis], dim=1)
    return torch.nn.functional.normalize(_product(further, quaternions), dim=1)


def facing(forward: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) camera -> frame of a camera that looks along `forward` with `up` upward (x right, y down)."""
    z = forward / np.linalg.norm(forward)
    x = np.cross(z, up)
    if np.linalg.norm(x) < 1e-6 * np.linalg.norm(up):  # it looks straight up or down: any side may be right
        x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _product(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton's product (B, 4) of quaternions (B, 4) w x y z."""
    scalar = p[:, :1] * q[:, :1] - (p[:, 1:] * q[:, 1:]).sum(dim=1, keepdim=True)
    vector = p[:, :1] * q[:, 1:] + q[:, :1] * p[:, 1:] + torch.linalg.cross(p[:, 1:], q[:, 1:])
    return torch.cat([scalar, vector], dim=1)


def axes_about(normal: np.ndarray) -> np.ndarray:
    """(3, 3): rows are two unit vectors across a unit vector (3,), and that; right-handed."""
    x = np.cross([0.0, 1.0, 0.0] if abs(normal[1]) < 0.9 else [1.0, 0.0, 0.0], normal)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(normal, x), normal])

"""What the losses of point clouds compare."""

from __future__ import annotations

import torch
from torch import Tensor


def surface_term(sdf: Tensor) -> Tensor:
    """PTS-1: mean |f| (N,) at points of the cloud (IGR, equation 2)."""
    return sdf.abs().mean()


def normal_term(gradient: Tensor, normals: Tensor) -> Tensor:
    """PTS-1: mean distance of grad f (N, 3) from unit normals (N, 3) (IGR, equation 3)."""
    return torch.sqrt(((gradient - normals) ** 2).sum(dim=1) + 1e-12).mean()


def unsigned_term(sdf: Tensor, distance: Tensor) -> Tensor:
    """PTS-2: mean ||f| - d| of f (N,) and the distance d (N,) from the cloud (SAL, equations 3 and 5)."""
    return (sdf.abs() - distance).abs().mean()

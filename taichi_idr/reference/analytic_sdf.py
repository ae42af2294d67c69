"""Twin of kernels/analytic_sdf.py: points (N, 3) -> values (N,), differentiable in points and parameters.

With the parameters bound (`functools.partial(torus, major=0.5, minor=0.2)`) each is a callable for the tracer.
"""

from __future__ import annotations

import torch
from torch import Tensor

Number = float | Tensor


def sphere(points: Tensor, radius: Number) -> Tensor:
    return points.norm(dim=1) - radius


def torus(points: Tensor, major: Number, minor: Number) -> Tensor:
    """Axis z."""
    ring = points[:, :2].norm(dim=1) - major
    return torch.stack([ring, points[:, 2]], dim=1).norm(dim=1) - minor


def rounded_box(points: Tensor, half: Tensor, rounding: Number) -> Tensor:
    """half (3,): half edges, to which the rounding is added."""
    q = points.abs() - half
    return q.clamp(min=0).norm(dim=1) + q.max(dim=1).values.clamp(max=0) - rounding


def capsule(points: Tensor, half_length: float, radius: Number) -> Tensor:
    """Axis z."""
    axis = torch.zeros_like(points)
    axis[:, 2] = points[:, 2].clamp(-half_length, half_length)
    return sphere(points - axis, radius)


def two_spheres(points: Tensor, offset: Number, radius: Number) -> Tensor:
    """Union of two spheres centred at +-offset on the x axis."""
    x, rest = points[:, :1], points[:, 1:]
    pair = [sphere(torch.cat([x + side * offset, rest], dim=1), radius) for side in (-1, 1)]
    return torch.minimum(*pair)

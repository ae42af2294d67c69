"""Plain-torch twin of kernels/ewer.py: the implicit function, for reading and for autograd."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def ewer_distance(points: Tensor) -> Tensor:
    """f (N,) at points (N, 3) in the object's frame, negative inside; no early end far from the ornaments."""
    joined = _smooth_min(_smooth_min(_revolved(points), _handle(points), 0.06), _spout(points), 0.08)
    away = points.norm(dim=1) - 0.86
    return torch.where(away < 0.1, joined, away)


def _revolved(p: Tensor) -> Tensor:
    rho, z, phi = p[:, :2].norm(dim=1), p[:, 2], torch.atan2(p[:, 1], p[:, 0])
    q = torch.stack([rho, z], dim=1)
    envelope = (1.0 - ((z + 0.14) / 0.42) ** 2).clamp_min(0.0)
    ribs = 0.03 * envelope**2 * torch.cos(9.0 * phi + 6.0 * z)
    belly = torch.sqrt(rho**2 + (0.9 * (z + 0.14)) ** 2) - 0.45 - ribs
    neck = _segment(q, [0.19, 0.25], [0.33, 0.66], 0.06, 0.045)
    foot = _segment(q, [0.0, -0.62], [0.25, -0.62], 0.05, 0.05)
    solid = _smooth_min(_smooth_min(belly, neck, 0.08), foot, 0.1)
    floor = _segment(q, [0.0, 0.4], [0.2, 0.4], 0.05, 0.05)
    return _smooth_max(_smooth_min(solid, floor, 0.1), -_dimple(rho, phi, z), 0.015)


def _dimple(rho: Tensor, phi: Tensor, z: Tensor) -> Tensor:
    sector = 2 * math.pi / 14
    folded = phi - sector * torch.round(phi / sector)
    offset = torch.stack([rho * torch.cos(folded) - 0.385, rho * torch.sin(folded), z - 0.17], dim=1)
    return offset.norm(dim=1) - 0.055


def _handle(p: Tensor) -> Tensor:
    ring = torch.sqrt((p[:, 0] - 0.47) ** 2 + (p[:, 2] - 0.27) ** 2) - 0.23
    return torch.sqrt(ring**2 + p[:, 1] ** 2) - 0.045


def _spout(p: Tensor) -> Tensor:
    rod = _segment(p, [-0.34, 0.0, 0.0], [-0.66, 0.0, 0.4], 0.12, 0.065)
    hollow = _segment(p, [-0.62, 0.0, 0.35], [-0.78, 0.0, 0.55], 0.035, 0.05)
    return _smooth_max(rod, -hollow, 0.02)


def _segment(p: Tensor, start: list[float], end: list[float], radius_start: float, radius_end: float) -> Tensor:
    a, b = p.new_tensor(start), p.new_tensor(end)
    s = ((p - a) @ (b - a) / (b - a).square().sum()).clamp(0.0, 1.0)
    return (p - a - s[:, None] * (b - a)).norm(dim=1) - (radius_start + s * (radius_end - radius_start))


def _smooth_min(a: Tensor, b: Tensor, k: float) -> Tensor:
    return torch.minimum(a, b) - (k - (a - b).abs()).clamp_min(0.0) ** 2 / (4.0 * k)


def _smooth_max(a: Tensor, b: Tensor, k: float) -> Tensor:
    return -_smooth_min(-a, -b, k)

"""Twin of ops/hash_encoding.py in plain torch: differentiable as often as torch likes."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..ops.hash_encoding import HashLayout


def hash_encoding(points: Tensor, table: Tensor, layout: HashLayout, active: int) -> Tensor:
    """y (N, 2 L) at points (N, 3); levels from `active` on give zeros."""
    features = [_level(points, table, level) for level in layout.levels[:active].tolist()]
    silent = points.new_zeros(len(points), 2 * (len(layout) - active))
    return torch.cat([*features, silent], dim=1)


def hash_encoding_jacobian(points: Tensor, table: Tensor, layout: HashLayout, active: int) -> tuple[Tensor, Tensor]:
    """y (N, 2 L) and J = dy/dx (N, 2 L, 3), one column at a time through autograd."""
    points = points if points.requires_grad else points.detach().requires_grad_()
    columns, rows = [], []
    for level in layout.levels[:active].tolist():
        features = _level(points, table, level)
        columns.append(features)
        rows += [torch.autograd.grad(feature.sum(), points, create_graph=True)[0] for feature in features.unbind(1)]
    silent = 2 * (len(layout) - active)
    value = torch.cat([*columns, points.new_zeros(len(points), silent)], dim=1)
    return value, torch.stack([*rows, *[torch.zeros_like(points)] * silent], dim=1)


def _level(points: Tensor, table: Tensor, level: list[int]) -> Tensor:
    resolution, offset, rows, hashed = level
    scaled = ((points + 1) / 2).clamp(0, 1) * resolution
    cell = scaled.detach().floor().clamp(max=resolution - 1).long()
    fraction = scaled - cell
    total = points.new_zeros(len(points), table.shape[1])
    for corner in itertools.product((0, 1), repeat=3):
        bit = torch.tensor(corner, device=points.device)
        weight = torch.where(bit.bool(), fraction, 1 - fraction).prod(dim=1, keepdim=True)
        total = total + weight * table[offset + _row(cell + bit, resolution, rows, hashed)]
    return total


def _row(corner: Tensor, resolution: int, rows: int, hashed: int) -> Tensor:
    x, y, z = corner.unbind(1)
    if not hashed:
        return (z * (resolution + 1) + y) * (resolution + 1) + x
    return ((x ^ (y * 2654435761) ^ (z * 805459861)) & 0xFFFFFFFF) % rows

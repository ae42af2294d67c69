"""Hash fields that are a given signed distance, up to trilinear interpolation on a fine grid."""

from __future__ import annotations

import torch
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.config import HashGeometryConfig
from taichi_idr.fields.frozen import FrozenHashField, frozen
from taichi_idr.fields.hash_geometry import HashGeometry
from taichi_idr.types import Sdf

CELLS = 96
LINEAR = 4.0  # Softplus is the identity there: what is added before the first layer, and taken off at the end


def gridded_geometry(sdf: Sdf, cells: int = CELLS) -> HashGeometry:
    """A HashGeometry whose f is the trilinear interpolant of `sdf`: one dense level, networks that pass it on."""
    settings = runtime.current()
    config = HashGeometryConfig(levels=1, coarsest=cells, finest=cells, log2_rows=20, width=20, features=3)
    geometry = HashGeometry(config, settings.device, torch.Generator().manual_seed(0)).to(settings.dtype)
    axis = torch.linspace(-1, 1, cells + 1, dtype=settings.dtype, device=settings.device)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    with torch.no_grad():
        for parameter in geometry.parameters():
            parameter.zero_()
        geometry.table[: (cells + 1) ** 3, 0] = sdf(torch.stack([x, y, z], dim=-1).reshape(-1, 3))
        first, second, last = geometry.layers
        first.weight[0, 3], first.bias[0] = 1, LINEAR  # pyright: ignore
        second.weight[0, 0] = last.weight[0, 0] = 1  # pyright: ignore
        last.bias[0] = -LINEAR  # pyright: ignore
    return geometry


def frozen_field(geometry: HashGeometry, hull: Tensor | None = None, margin: float = 0.0) -> FrozenHashField:
    """For kernels; bounded by the signed distance `hull` (H, H, H) less `margin`, or not at all."""
    like = geometry.table.detach()
    return frozen(geometry, like.new_full((4, 4, 4), -10.0) if hull is None else hull, margin)

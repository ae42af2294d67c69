"""The tracer of occupancy networks: equal samples along a ray, and a secant search where the first is inside."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels import secant
from ..types import Hits, HitStatus, Rays, Sdf
from .exact import regula_falsi

RAYS_PER_BLOCK = 2048
Ends = tuple[Tensor, Tensor, Tensor]
"""Depths (R,) at which rays enter and leave what is looked at, and whether they meet it (R,) bool."""


@torch.no_grad()
def first_surface(rays: Rays, ends: Ends, field: Sdf, *, samples: int, secant_iterations: int) -> Hits:
    """The first of `samples` equal intervals at whose end f is negative, and f's root in it.

    A ray whose first sample is inside already has no surface. `search_depth` of rays without one is where they enter.
    """
    parts = [
        _block(rays[block], (ends[0][block], ends[1][block], ends[2][block]), field, samples, secant_iterations)
        for block in torch.arange(len(rays), device=rays.origins.device).split(RAYS_PER_BLOCK)
    ]
    return Hits(*(torch.cat([getattr(part, name) for part in parts]) for name in ("depth", "search_depth", "status")))


def _block(rays: Rays, ends: Ends, field: Sdf, samples: int, secant_iterations: int) -> Hits:
    entry, leave, meets = ends
    depth = entry.clone()
    status = torch.where(meets, int(HitStatus.MISSED), int(HitStatus.OUTSIDE)).int()
    met = meets.nonzero()[:, 0]
    if len(met):
        shares = torch.linspace(0, 1, samples, dtype=depth.dtype, device=depth.device)
        depths = entry[met, None] + shares * (leave - entry)[met, None]
        points = rays.origins[met, None] + depths[:, :, None] * rays.directions[met, None]
        found, low, high = _brackets(depths, field(points.reshape(-1, 3)).view_as(depths))
        chosen = met[found]
        if len(chosen):
            depth[chosen] = regula_falsi(rays[chosen], low, high, field, secant_iterations)[:, 0]
            status[chosen] = int(HitStatus.BRACKETED)
    return Hits(depth, depth.clone(), status)


def _brackets(depths: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which of M rays enter the inside after their first sample (M,) bool, of samples (M, S); depth and value, columns
    of (F, 2), before and after, of those F."""
    low, high = (depths.new_empty(len(depths), 2) for _ in range(2))
    crosses = torch.empty(len(depths), dtype=torch.int32, device=depths.device)
    runtime.launch(secant.first_crossing, depths.contiguous(), values.contiguous(), low, high, crosses)
    found = (crosses != 0) & (values[:, 0] >= 0)
    return found, low[found], high[found]

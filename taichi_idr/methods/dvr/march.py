"""The forward pass of DVR-2 and DVR-3: equal samples through a cube, and a secant search where the first is inside."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import runtime
from ...kernels import secant
from ...tracing.exact import regula_falsi
from ...types import Hits, HitStatus, Rays, Sdf
from .settings import MarchConfig

RAYS_PER_BLOCK = 2048


def cube_ends(rays: Rays, half: float) -> tuple[Tensor, Tensor, Tensor]:
    """Depths (R,) at which rays enter and leave the cube [-half, half]^3, and whether they meet it (R,) bool.

    A ray that starts inside enters at 0.
    """
    faces = half * torch.tensor([-1.0, 1.0]).to(rays.origins)
    tiny = torch.finfo(rays.origins.dtype).tiny
    along = torch.where(rays.directions.abs() < tiny, tiny, rays.directions)
    ends = (faces - rays.origins[:, :, None]) / along[:, :, None]  # (R, 3, 2)
    entry = ends.amin(dim=2).amax(dim=1).clamp(min=0)
    leave = ends.amax(dim=2).amin(dim=1)
    return entry, leave, leave > entry


@torch.no_grad()
def first_surface(rays: Rays, field: Sdf, config: MarchConfig, samples: int) -> Hits:
    """The first of `samples` equal intervals at whose end f is negative, and f's root in it.

    A ray whose first sample is inside already has no surface. `search_depth` of rays without one is where they enter.
    """
    parts = [
        _block(rays[block], field, config, samples)
        for block in torch.arange(len(rays), device=rays.origins.device).split(RAYS_PER_BLOCK)
    ]
    return Hits(*(torch.cat([getattr(part, name) for part in parts]) for name in ("depth", "search_depth", "status")))


def _block(rays: Rays, field: Sdf, config: MarchConfig, samples: int) -> Hits:
    entry, leave, meets = cube_ends(rays, config.half)
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
            depth[chosen] = regula_falsi(rays[chosen], low, high, field, config.secant_iterations)[:, 0]
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

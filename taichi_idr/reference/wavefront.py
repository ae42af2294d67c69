"""Twins of kernels/sphere_trace.py and kernels/secant.py for all rays at once, and the exact tracer made of them.

Each function has its kernel's name and inputs and returns what the kernel writes. reference/trace.py is the same one
ray at a time, to be read; this is what one would write in torch, to be raced.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import TracerConfig
from ..types import Hits, HitStatus, Rays, Sdf

SIGNS = (1.0, -1.0)  # of the fronts' directions, columns FORWARD and BACKWARD


def trace(rays: Rays, sdf: Sdf, config: TracerConfig) -> Hits:
    """As taichi_idr.trace.trace outside training."""
    depth, active, entry, meets = start_fronts(rays.origins, rays.directions, config.radius)
    depth, value, active = _walk(rays, sdf, config, depth, active)
    near, far = depth.unbind(1)
    result, hit = torch.stack([near, value[:, 0]], dim=1), near < far
    unresolved = active[:, 0].nonzero()[:, 0]
    if len(unresolved):
        ends = (near[unresolved], far[unresolved])
        result[unresolved], hit[unresolved] = _sample(rays[unresolved], *ends, sdf, config)
    search_depth = torch.where(meets, result[:, 0], entry)
    settled = hit & (result[:, 1].abs() <= config.tolerance)
    status = torch.where(hit, int(HitStatus.BRACKETED), int(HitStatus.MISSED))
    status = torch.where(settled, int(HitStatus.CONVERGED), status)
    return Hits(result[:, 0], search_depth, torch.where(meets, status, int(HitStatus.OUTSIDE)).int())


def start_fronts(origins: Tensor, directions: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """depth (R, 2), active (R, 2) bool, entry (R,), meets (R,) bool."""
    middle = -(origins * directions).sum(dim=1)
    radicand = radius**2 - (origins + middle[:, None] * directions).square().sum(dim=1)
    half, meets = radicand.clamp(min=0).sqrt(), radicand > 0
    depth = torch.stack([middle - half, middle + half], dim=1).clamp(min=0)
    return depth, meets[:, None].expand(-1, 2), torch.where(meets, depth[:, 0], middle), meets


def advance(value: Tensor, tolerance: float, depth: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """step, depth (R, 2), active (R, 2) bool."""
    active = active.bool() & (value > tolerance)
    step = torch.where(active, value, 0.0)
    return step, depth + step * depth.new_tensor(SIGNS), active


def pull_back(value: Tensor, step: Tensor, active: Tensor, share: float, depth: Tensor) -> tuple[Tensor, Tensor]:
    """depth (R, 2), overshot (R, 2) bool."""
    overshot = active.bool() & (value < 0)
    return depth - torch.where(overshot, share * step, 0.0) * depth.new_tensor(SIGNS), overshot


def stop_crossed(depth: Tensor, active: Tensor) -> Tensor:
    """active (R, 2) bool."""
    return active.bool() & (depth[:, :1] < depth[:, 1:])


def settle(value: Tensor, tolerance: float, active: Tensor) -> Tensor:
    """active (R, 2) bool."""
    return active.bool() & (value > tolerance)


def spread(near: Tensor, far: Tensor, fractions: Tensor) -> Tensor:
    """depth (S, K)."""
    return near[:, None] + fractions * (far - near)[:, None]


def least_sample(depth: Tensor, value: Tensor) -> Tensor:
    """least (S, 2), columns depth and value."""
    return _columns(depth, value, value.argmin(dim=1))


def first_crossing(depth: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """low, high (S, 2), found (S,) bool."""
    negative = value < 0
    first = negative.int().argmax(dim=1)
    return _columns(depth, value, (first - 1).clamp(min=0)), _columns(depth, value, first), negative.any(dim=1)


def cross_chord(low: Tensor, high: Tensor) -> Tensor:
    """root (S, 1)."""
    (t_low, f_low), (t_high, f_high) = low.unbind(1), high.unbind(1)
    slope = f_high - f_low
    falls = slope < 0
    root = t_low - f_low * (t_high - t_low) / torch.where(falls, slope, -1.0)
    return torch.where(falls, torch.minimum(torch.maximum(root, t_low), t_high), t_high)[:, None]


def narrow(value: Tensor, low: Tensor, high: Tensor, root: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """low, high (S, 2), root (S, 1)."""
    here = torch.cat([root, value[:, None]], dim=1)
    low = torch.where(value[:, None] > 0, here, low)
    high = torch.where(value[:, None] < 0, here, high)
    return low, high, cross_chord(low, high)


def _walk(rays: Rays, sdf: Sdf, config: TracerConfig, depth: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both fronts to their ends: depth, value (R, 2), active (R, 2) bool (TRACE-2 to TRACE-7)."""
    value = _asked(rays, sdf, depth, active, torch.zeros_like(depth))
    for _ in range(config.sphere_tracing_iterations):
        step, depth, active = advance(value, config.tolerance, depth, active)
        if not active.any():
            break
        value = _asked(rays, sdf, depth, active, value)
        for halving in range(config.line_search_iterations):
            share = (1 - config.line_search_step) / 2**halving
            depth, overshot = pull_back(value, step, active, share, depth)
            if not overshot.any():
                break
            value = _asked(rays, sdf, depth, overshot, value)
        active = stop_crossed(depth, active)
    return depth, value, settle(value, config.tolerance, active)


def _sample(rays: Rays, near: Tensor, far: Tensor, sdf: Sdf, config: TracerConfig) -> tuple[Tensor, Tensor]:
    """Depth and value, columns of (S, 2), of the root or the least sample; whether it is a root (TRACE-8 to 11)."""
    depth = spread(near, far, torch.linspace(0, 1, config.samples, dtype=near.dtype, device=near.device))
    value = _asked(rays, sdf, depth, torch.ones_like(depth, dtype=torch.bool), torch.zeros_like(depth))
    low, high, found = first_crossing(depth, value)
    result, low, high, rays = least_sample(depth, value), low[found], high[found], rays[found]
    root = cross_chord(low, high)
    every = torch.ones_like(root, dtype=torch.bool)
    for _ in range(config.secant_iterations):
        low, high, root = narrow(_asked(rays, sdf, root, every, root)[:, 0], low, high, root)
    result[found] = torch.cat([root, _asked(rays, sdf, root, every, root)], dim=1)
    return result, found


def _asked(rays: Rays, sdf: Sdf, depth: Tensor, wanted: Tensor, value: Tensor) -> Tensor:
    """`value` (R, K) with f at `depth` (R, K) where `wanted`."""
    row, column = wanted.nonzero(as_tuple=True)
    value = value.clone()
    if len(row):
        value[row, column] = sdf(rays.origins[row] + depth[row, column, None] * rays.directions[row])
    return value


def _columns(depth: Tensor, value: Tensor, index: Tensor) -> Tensor:
    return torch.cat([depth.gather(1, index[:, None]), value.gather(1, index[:, None])], dim=1)

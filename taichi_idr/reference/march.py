"""Twin of kernels/march.py in plain torch: all rays step together. Returns what the kernels write."""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels.march import CANDIDATE, CLEAR, MOST_STEPS, OUTSIDE, RELAXATION, STRAIGHT, VERTEX_REACH


def interpolate(lattice: Tensor, points: Tensor) -> Tensor:
    """Trilinear values (N,) of lattice (M, M, M), indexed x, y, z, at points (N, 3)."""
    grid = points.clamp(-1, 1).flip(1)[None, None, None]  # grid_sample wants the last axis first
    return torch.nn.functional.grid_sample(lattice[None, None], grid, align_corners=True)[0, 0, 0, 0]


def march(
    origins: Tensor,
    directions: Tensor,
    start: Tensor,
    lattice: Tensor,
    radius: float,
    margin: float,
    least_step: float,
) -> tuple[Tensor, Tensor]:
    """Interval (R, 4) and outcome (R,) int32."""
    near, far, meets = _sphere(origins, directions, radius)
    t = torch.maximum(near, start)
    before, value_before = t.clone(), torch.full_like(t, torch.inf)
    entered, outside = torch.zeros_like(meets), torch.zeros_like(meets)
    entry, slope, guess = t.clone(), torch.zeros_like(t), far.clone()
    interval = t.new_zeros(len(t), 4)
    outcome = torch.where(meets, CLEAR, OUTSIDE).int()
    searching = meets & (t < far)
    for _ in range(MOST_STEPS):
        if not searching.any():
            break
        value = interpolate(lattice, origins + t[:, None] * directions)
        outside |= value >= margin
        enters = ~entered & outside & (value < margin)
        entry = torch.where(enters, before, entry)
        entered |= enters
        crosses = outside & (slope == 0) & (value <= 0) & (value_before > 0) & (t > before)
        slope = torch.where(crosses, (value - value_before) / (t - before), slope)
        guess = torch.where(crosses, t - value / slope, guess)
        past = entered & ((value < -margin) | (value > margin))
        ends = searching & (past | (t >= far))
        found = ends & entered
        outcome[found] = CANDIDATE
        interval[found] = torch.stack([entry, t, guess, slope], dim=1)[found]
        searching &= ~ends
        before, value_before = t, value
        step = torch.where(entered, least_step, (RELAXATION * (value.abs() - margin)).clamp(min=least_step))
        t = torch.minimum(t + step, far)
    return interval, outcome


def least_along(
    origins: Tensor,
    directions: Tensor,
    start: Tensor,
    lattice: Tensor,
    radius: float,
    least_step: float,
    enough: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """Depth (R,) and value (R,) of the least interpolated distance from `start` on; enough is a number or (R,)."""
    near, far, meets = _sphere(origins, directions, radius)
    nearest = -(origins * directions).sum(dim=1)
    miss = (origins + nearest[:, None] * directions).norm(dim=1) - radius
    t = torch.minimum(torch.maximum(near, start), far)
    depth, best = nearest.clone(), torch.where(meets, torch.inf, miss)
    searching = meets
    for _ in range(MOST_STEPS):
        here = interpolate(lattice, origins + t[:, None] * directions)
        better = searching & (here < best)
        best, depth = torch.where(better, here, best), torch.where(better, t, depth)
        searching = searching & (t < far) & (best >= enough)
        if not searching.any():
            break
        t = torch.minimum(t + (RELAXATION * here.abs()).clamp(min=least_step), far)
    reach = VERTEX_REACH * least_step
    values = [interpolate(lattice, origins + (depth + shift)[:, None] * directions) for shift in (-reach, reach)]
    bend = values[0] - 2 * best + values[1]
    shift = (reach / 2 * (values[0] - values[1]) / bend).clamp(-reach, reach)
    vertex = torch.minimum(torch.maximum(depth + shift, torch.maximum(near, start)), far)
    lower = torch.minimum(best, interpolate(lattice, origins + vertex[:, None] * directions))
    bent = meets & (best >= enough) & (bend > STRAIGHT * reach)
    return torch.where(bent, vertex, depth), torch.where(bent, lower, best)


def _sphere(origins: Tensor, directions: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    middle = -(origins * directions).sum(dim=1)
    radicand = radius**2 - (origins + middle[:, None] * directions).pow(2).sum(dim=1)
    half = radicand.clamp(min=0).sqrt()
    return (middle - half).clamp(min=0), (middle + half).clamp(min=0), radicand > 0

"""Twin of kernels/proxy_trace.py in plain torch, for any field: rays go through each stage together.

A reported root is the first that march and field agree on (docs/decisions/0005-proxy-tracer.md).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..config import ProxyConfig, TracerConfig
from ..kernels.march import CANDIDATE, GUESS, HIGH, LOW, OUTSIDE, SLOPE
from ..kernels.proxy_trace import FLATTEST_SECANT, LEAST_CHORD, PENDING, STEEPEST_GUESS
from ..types import Hits, HitStatus, Rays, Sdf
from .march import least_along, march


def trace_proxy(
    rays: Rays,
    sdf: Sdf,
    lattice: Tensor,
    config: ProxyConfig,
    tracer: TracerConfig,
    *,
    object_mask: Tensor | None = None,
    enough: float = math.inf,
) -> Hits:
    """As the kernel: without object_mask, rays that it leaves to the exact tracer have the status PENDING."""
    cell = 2 / (len(lattice) - 1)
    depth, status = _first_roots(rays, sdf, lattice, config, tracer)
    hit = status >= int(HitStatus.BRACKETED)
    searches = torch.ones_like(hit) if object_mask is not None else ~hit
    is_object = torch.ones_like(hit) if object_mask is None else object_mask
    start = torch.where(hit & is_object, depth, 0.0)
    limit = torch.where(is_object, -enough, -math.inf)
    arguments = (rays.origins, rays.directions, start, lattice, tracer.radius, config.least_step * cell, limit)
    least_depth, least = least_along(*arguments)
    if object_mask is not None:
        crossed = ~is_object & (status != int(HitStatus.OUTSIDE))
        status[crossed] = torch.where(least < 0, int(HitStatus.BRACKETED), int(HitStatus.MISSED)).int()[crossed]
        status[status == PENDING] = int(HitStatus.MISSED)
        depth = torch.where(is_object, depth, least_depth)
    return Hits(depth, torch.where(searches, least_depth, depth), status, torch.where(searches, least, 0.0))


def _first_roots(
    rays: Rays, sdf: Sdf, lattice: Tensor, config: ProxyConfig, tracer: TracerConfig
) -> tuple[Tensor, Tensor]:
    """Depth (R,) and HitStatus (R,) of the first root that march and network agree on; PENDING where rounds ran out."""
    depth = rays.origins.new_zeros(len(rays))
    status = torch.full((len(rays),), int(HitStatus.MISSED), dtype=torch.int32, device=depth.device)
    pending = torch.arange(len(rays), device=depth.device)
    start = torch.zeros_like(depth)
    for turn in range(config.rounds):
        interval, outcome = _march(rays[pending], start, lattice, config, tracer)
        candidate = outcome == CANDIDATE
        if turn == 0:
            status[outcome == OUTSIDE] = int(HitStatus.OUTSIDE)
        pending, interval = pending[candidate], interval[candidate]
        if len(pending) == 0:
            break
        root, value = _refine(rays[pending], interval, sdf, config, tracer, 2 / (len(lattice) - 1))
        found = torch.isfinite(value)
        depth[pending] = root
        status[pending[found]] = int(HitStatus.BRACKETED)
        status[pending[value.abs() <= tracer.tolerance]] = int(HitStatus.CONVERGED)
        pending, start = pending[~found], interval[~found, HIGH].contiguous()
    status[pending] = PENDING
    return depth, status


def _march(
    rays: Rays, start: Tensor, lattice: Tensor, config: ProxyConfig, tracer: TracerConfig
) -> tuple[Tensor, Tensor]:
    cell = 2 / (len(lattice) - 1)
    steps = (config.margin * cell, config.least_step * cell)
    return march(rays.origins, rays.directions, start, lattice, tracer.radius, *steps)


def _refine(
    rays: Rays, interval: Tensor, sdf: Sdf, config: ProxyConfig, tracer: TracerConfig, cell: float
) -> tuple[Tensor, Tensor]:
    """Root (R,) of the network in each interval and its value there (R,), infinite where there is none.

    A short interval in which the interpolant changes sign is entered head-on: the secant method from the interpolant's
    root needs about three evaluations. Long ones graze, and are sampled for the first change of sign.
    """
    low = (interval[:, LOW] - config.widening * cell).clamp(min=0)
    high = interval[:, HIGH] + config.widening * cell
    root, value = low.clone(), torch.full_like(low, torch.inf)
    head_on = ((interval[:, SLOPE] < 0) & (high - low < config.head_on * cell)).nonzero()[:, 0]
    if len(head_on):
        part = (rays[head_on], interval[head_on], low[head_on], high[head_on])
        root[head_on], value[head_on] = _secant(*part, sdf, config.secant_steps, tracer.tolerance)
    rest = torch.isinf(value).nonzero()[:, 0]
    if len(rest):
        root[rest], value[rest] = _sample(rays[rest], low[rest], high[rest], sdf, config, tracer.tolerance)
    return root, value


def _secant(
    rays: Rays, interval: Tensor, low: Tensor, high: Tensor, sdf: Sdf, steps: int, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Secant steps from the interpolant's root; the first one uses the interpolant's slope.

    The value is infinite where they did not arrive within the tolerance, from outside to inside.
    """
    depth = interval[:, GUESS].contiguous()
    slope = interval[:, SLOPE].clamp(max=-STEEPEST_GUESS)
    value = sdf(rays.at(depth))
    for _ in range(steps):
        moved = torch.minimum(torch.maximum(depth - value / slope, low), high)
        moved = torch.where(value.abs() > tolerance, moved, depth)
        value_moved = torch.where(moved == depth, value, sdf(rays.at(moved)))
        step = moved - depth
        newer = (value_moved - value) / torch.where(step == 0, torch.ones_like(step), step)
        slope = torch.where((step != 0) & (newer < -FLATTEST_SECANT), newer, slope)
        depth, value = moved, value_moved
    return depth, torch.where(value.abs() <= tolerance, value, torch.inf)


def _sample(
    rays: Rays, low: Tensor, high: Tensor, sdf: Sdf, config: ProxyConfig, tolerance: float
) -> tuple[Tensor, Tensor]:
    """First change of sign among equal samples of [low, high], then `_illinois` in it; infinite value where none."""
    fraction = torch.linspace(0, 1, config.samples, dtype=low.dtype, device=low.device)
    depths = low[:, None] + fraction * (high - low)[:, None]
    points = rays.origins[:, None] + depths[..., None] * rays.directions[:, None]
    values = sdf(points.reshape(-1, 3)).view_as(depths)
    enters = (values[:, :-1] > 0) & (values[:, 1:] <= 0)
    first = enters.int().argmax(dim=1, keepdim=True)
    found = enters.any(dim=1)
    root, value = low.clone(), torch.full_like(low, torch.inf)
    if found.any():
        ends = (row.gather(1, index)[found, 0] for row in (depths, values) for index in (first, first + 1))
        before, after, f_before, f_after = ends
        solved = _illinois(rays[found], before, after, f_before, f_after, sdf, tolerance, config.polish_iterations)
        root[found], value[found] = solved
    return root, value


def _illinois(
    rays: Rays, low: Tensor, high: Tensor, f_low: Tensor, f_high: Tensor, sdf: Sdf, tolerance: float, iterations: int
) -> tuple[Tensor, Tensor]:
    """Regula falsi with the Illinois rule on brackets f_low > 0 >= f_high: roots (R,) and the values there (R,).

    Only unsolved rays are evaluated again.
    Dowell and Jarratt, "A modified regula falsi method", 1971: an end kept twice in a row has its value halved.
    """
    root, reached = torch.empty_like(low), torch.empty_like(low)
    index = torch.arange(len(low), device=low.device)
    moved_low = torch.full_like(low, torch.nan)  # which end the last step moved: 1 low, 0 high, nan neither
    for _ in range(iterations):
        middle = (low * f_high - high * f_low) / (f_high - f_low).clamp(max=-LEAST_CHORD)
        value = sdf(rays[index].at(middle))
        root[index], reached[index] = middle, value
        above = value > 0
        f_high = torch.where(above, torch.where(moved_low == 1, 0.5 * f_high, f_high), value)
        f_low = torch.where(above, value, torch.where(moved_low == 0, 0.5 * f_low, f_low))
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        keep = value.abs() > tolerance
        if not keep.any():
            break
        state = (index, low, high, f_low, f_high, above.to(low.dtype))
        index, low, high, f_low, f_high, moved_low = (x[keep] for x in state)
    return root, reached

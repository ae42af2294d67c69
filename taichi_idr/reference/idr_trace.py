"""The ray tracer of IDR in plain torch, all rays at once, written from the method's list (TRACE-1 to TRACE-14).

reference/trace.py says the same of one ray at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .sphere_bounds import sphere_bounds


@dataclass(frozen=True)
class TracerNumbers:
    """Section 2 of the method."""

    radius: float = 1.0
    sdf_threshold: float = 5e-5
    line_search_step: float = 0.5
    line_step_iters: int = 3
    sphere_tracing_iters: int = 10
    n_steps: int = 100
    n_secant_steps: int = 8


@dataclass(frozen=True)
class Traced:
    """Of R rays: t of the hit, t* of the mask loss (equal on object pixels that are hit), hit; f was asked so often."""

    depth: Tensor
    search_depth: Tensor
    hit: Tensor
    queries: int


class RayField:
    """f along rays, without a graph, in chunks of points; counts the points."""

    def __init__(self, origins: Tensor, directions: Tensor, sdf: Callable[[Tensor], Tensor], chunk: int) -> None:
        self.origins, self.directions, self.sdf, self.chunk = origins, directions, sdf, chunk
        self.queries = 0

    def __call__(self, rays: Tensor, depth: Tensor) -> Tensor:
        """f (M, ...) at depth (M, ...) along the rays (M,)."""
        lines = (slice(None), *[None] * (depth.dim() - 1))
        points = self.origins[rays][lines] + depth[..., None] * self.directions[rays][lines]
        self.queries += depth.numel()
        parts = [self.sdf(part) for part in points.reshape(-1, 3).split(self.chunk)]
        return torch.cat([depth.new_empty(0), *parts]).view_as(depth)


@torch.no_grad()
def trace(
    origins: Tensor,
    directions: Tensor,
    sdf: Callable[[Tensor], Tensor],
    numbers: TracerNumbers,
    is_object: Tensor,
    fractions: Tensor,
    chunk: int = 100_000,
) -> Traced:
    """Training: rays (R, 3) against the zero level of sdf; fractions (100,) is TRACE-14's random vector."""
    field = RayField(origins, directions, sdf, chunk)
    near, far, meets = sphere_bounds(origins, directions, numbers.radius)
    t, walking = walk(field, near, far, meets, numbers)
    depth, hit = t[:, 0].clone(), t[:, 0] < t[:, 1]  # TRACE-7

    sampled = walking[:, 0].nonzero()[:, 0]
    depth[sampled], hit[sampled] = sample(field, sampled, t[sampled], is_object[sampled], numbers)

    search_depth = depth.clone()
    search_depth[~meets] = -(directions * origins).sum(dim=1)[~meets]  # TRACE-13
    searched = (meets & ~walking[:, 0] & ~(hit & is_object)).nonzero()[:, 0]  # TRACE-14
    start = torch.where(hit, depth, near)[searched]
    places = start[:, None] + fractions * (far[searched] - start)[:, None]
    least = field(searched, places).argmin(dim=1) if len(searched) else searched
    search_depth[searched] = places[torch.arange(len(searched), device=least.device), least]
    return Traced(depth, search_depth, hit, field.queries)


def walk(field: RayField, near: Tensor, far: Tensor, meets: Tensor, numbers: TracerNumbers) -> tuple[Tensor, Tensor]:
    """t (R, 2) of fronts A and B, and which of them still walk (TRACE-2 to TRACE-6)."""
    t = torch.stack([near, far], dim=1)
    sign = t.new_tensor([1.0, -1.0])
    walking = meets[:, None].repeat(1, 2)
    value = torch.zeros_like(t)
    value[walking] = _ask_fronts(field, t, walking)
    for _ in range(numbers.sphere_tracing_iters):
        walking &= value > numbers.sdf_threshold  # TRACE-3
        if not walking.any():
            break
        step = torch.where(walking, value, 0.0)
        t += sign * step  # TRACE-4
        value[walking] = _ask_fronts(field, t, walking)
        for i in range(numbers.line_step_iters):  # TRACE-5
            inside = walking & (value < 0)
            if not inside.any():
                break
            back = (1 - numbers.line_search_step) / 2**i * step
            t -= torch.where(inside, sign * back, 0.0)
            value[inside] = _ask_fronts(field, t, inside)
        walking &= (t[:, 0] < t[:, 1])[:, None]  # TRACE-6
    walking &= value > numbers.sdf_threshold
    return t, walking


def sample(
    field: RayField, rays: Tensor, ends: Tensor, is_object: Tensor, numbers: TracerNumbers
) -> tuple[Tensor, Tensor]:
    """Depth and hit (S,) of the rays whose front A still walks, between ends (S, 2) (TRACE-8 to TRACE-11)."""
    if len(rays) == 0:
        return ends[:, 0], is_object
    low, high = ends[:, :1], ends[:, 1:]
    places = low + torch.linspace(0, 1, numbers.n_steps, dtype=ends.dtype, device=ends.device) * (high - low)
    values = field(rays, places)
    row = torch.arange(len(rays), device=ends.device)
    negative = values < 0
    hit = negative.any(dim=1)
    depth = places[row, values.argmin(dim=1)]  # TRACE-9
    first = negative.int().argmax(dim=1)
    before = (first - 1).clamp(min=0)  # the released tracer wraps to the last sample
    bracket = [table[row, end] for end in (before, first) for table in (places, values)]
    refined = hit & is_object  # TRACE-10
    depth[refined] = secant(field, rays[refined], [end[refined] for end in bracket], numbers.n_secant_steps)
    return depth, hit


def secant(field: RayField, rays: Tensor, bracket: list[Tensor], steps: int) -> Tensor:
    """Root (S,) by regula falsi; bracket: depth with f >= 0 and f there, depth with f < 0 and f there, each (S,)."""
    low, f_low, high, f_high = bracket
    root = _chord(low, high, f_low, f_high)
    for _ in range(steps):
        value = field(rays, root)
        above, below = value > 0, value < 0
        low, f_low = torch.where(above, root, low), torch.where(above, value, f_low)
        high, f_high = torch.where(below, root, high), torch.where(below, value, f_high)
        root = _chord(low, high, f_low, f_high)
    return root


def _chord(low: Tensor, high: Tensor, f_low: Tensor, f_high: Tensor) -> Tensor:
    """Zero of the chord; its inner end where the chord is level, which gives NaN in the released tracer."""
    falls = f_high < f_low
    slope = torch.where(falls, f_high - f_low, -1.0)
    return torch.where(falls, low - f_low * (high - low) / slope, high)


def _ask_fronts(field: RayField, t: Tensor, which: Tensor) -> Tensor:
    """f at the fronts marked in (R, 2), in the order of a mask."""
    return field(which.nonzero()[:, 0], t[which])

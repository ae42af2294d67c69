"""The exact tracer (TRACE-1 to TRACE-14): a wavefront of rays whose field is any callable.

Kernels keep the state of every ray; the field is asked only at points that are still wanted. No graph is kept: the
surface point becomes differentiable afterwards, by ops.intersection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from .. import runtime
from ..config import TracerConfig
from ..kernels import compaction, secant, sphere_trace
from ..kernels.secant import DEPTH, VALUE
from ..kernels.sphere_trace import BACKWARD, FORWARD
from ..ops.compaction import active_indices
from ..types import Hits, HitStatus, Rays, Sdf
from .screening import needed_samples

Walked = tuple[Tensor, Tensor]
"""Depths and values (R, M) of points along R rays that were asked before."""

PUBLISHED = TracerConfig()
RAYS_PER_BLOCK = 4096  # rays sampled at once: with 100 samples each, bounds memory to some tens of megabytes


def trace(
    rays: Rays,
    sdf: Sdf,
    config: TracerConfig = PUBLISHED,
    *,
    object_mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    screened: bool = False,
) -> Hits:
    """Where rays (R,) of the normalised frame first meet the zero level of `sdf`.

    object_mask (R,) bool is given in training: then background rays are searched for their least value instead of
    their root, and every ray that is not a hit on the object gets the point of the mask loss (TRACE-9, 10, 13, 14),
    from random depths of `generator`. Without it `search_depth` of a ray without a hit is where its search ended.
    screened: of a ray's samples those are not asked that cannot matter, as far as the field's measured steepness
    tells (screening.py); for fields that cost more than this bookkeeping.

    >>> ray = Rays(torch.tensor([[0.0, 0.0, -2.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
    >>> trace(ray, lambda points: points.norm(dim=1) - 0.5).depth
    tensor([1.5000])
    """
    count = len(rays)
    if object_mask is not None and object_mask.shape != (count,):
        raise ValueError(f"trace: expected object_mask ({count},), got {tuple(object_mask.shape)}")
    with torch.no_grad():
        rays = Rays(rays.origins.detach().contiguous(), rays.directions.detach().contiguous())
        front = _walk(rays, sdf, config, recorded=screened)
        walked = front.walked() if screened else None
        depth, value, hit = _first_surface(rays, front, sdf, config, object_mask, walked)
        search_depth = torch.where(front.meets, depth, front.entry)
        if object_mask is not None:
            settled = front.unresolved | (hit & object_mask)
            searched = front.meets & ~settled
            start = torch.where(hit, depth, front.entry) if config.search == "released" else front.entry
            fractions = _random_fractions(config.samples, depth, generator)
            for block in _blocks(searched):
                ends = (start[block], front.exit[block])
                known = None if walked is None else _rows(walked, block)
                search_depth[block] = _least(rays[block], *ends, fractions, sdf, known)[:, DEPTH]
        return Hits(depth, search_depth, _status(front.meets, hit, value, config.tolerance))


@dataclass(frozen=True)
class _Fronts:
    """State of the walk from both ends; arrays (R, 2) have columns FORWARD and BACKWARD (kernels/sphere_trace.py).

    entry (R,): depth where the ray enters the sphere, or nearest to the centre; exit (R,): where it leaves.
    asked (R, 2) bool: fronts whose value is of their depth; record: depth and value after each question. Both are kept
    if `recorded`.
    """

    depth: Tensor
    value: Tensor
    step: Tensor
    active: Tensor
    overshot: Tensor
    entry: Tensor
    exit: Tensor
    meets: Tensor
    recorded: bool
    asked: Tensor
    record: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def walked(self) -> Walked:
        """Depths and values (R, M) of all points asked; a front that was never asked stands where the other is."""
        depths, values = (torch.stack(parts, dim=2).flatten(1) for parts in zip(*self.record, strict=True))
        return depths, values

    @property
    def unresolved(self) -> Tensor:
        """Rays (R,) whose forward front neither converged nor met the other: the sampler's (TRACE-8)."""
        return self.active[:, FORWARD] != 0


def _walk(rays: Rays, sdf: Sdf, config: TracerConfig, *, recorded: bool) -> _Fronts:
    """Both fronts of all rays, or the backward one only of rays whose forward one does not arrive (TRACE-2)."""
    front = _start(rays, config.radius, recorded)
    if config.far_front == "all":
        _advance(rays, sdf, config, front)
        return front
    front.active[:, BACKWARD] = 0
    _advance(rays, sdf, config, front)
    stragglers = front.unresolved
    front.active[:] = torch.stack([torch.zeros_like(stragglers), stragglers], dim=1)
    _advance(rays, sdf, config, front)
    front.active[:, FORWARD] = stragglers & (front.depth[:, FORWARD] < front.depth[:, BACKWARD])
    return front


def _advance(rays: Rays, sdf: Sdf, config: TracerConfig, front: _Fronts) -> None:
    """Sphere tracing of the active fronts, with line search (TRACE-3 to TRACE-7)."""
    _ask_fronts(rays, sdf, front, front.active)
    for _ in range(config.sphere_tracing_iterations):
        _launch(sphere_trace.advance, front.value, config.tolerance, front.step, front.depth, front.active)
        if not _ask_fronts(rays, sdf, front, front.active):
            break
        for halving in range(config.line_search_iterations):
            share = (1 - config.line_search_step) / 2**halving
            inputs = (front.value, front.step, front.active, share)
            _launch(sphere_trace.pull_back, *inputs, front.depth, front.overshot)
            if not _ask_fronts(rays, sdf, front, front.overshot):
                break
        _launch(sphere_trace.stop_crossed, front.depth, front.active)
    front.active.bitwise_and_(front.value > config.tolerance)


def _start(rays: Rays, radius: float, recorded: bool) -> _Fronts:
    count = len(rays)
    depth, value, step = (rays.origins.new_zeros(count, 2) for _ in range(3))
    active, overshot = (torch.zeros(count, 2, dtype=torch.int32, device=depth.device) for _ in range(2))
    entry, meets = torch.zeros_like(depth[:, 0]), torch.zeros_like(active[:, 0])
    _launch(sphere_trace.start_fronts, rays.origins, rays.directions, radius, depth, active, entry, meets)
    asked = torch.zeros_like(active, dtype=torch.bool)
    state = (depth, value, step, active, overshot, entry, depth[:, BACKWARD].clone(), meets != 0)
    return _Fronts(*state, recorded, asked)


def _ask_fronts(rays: Rays, sdf: Sdf, front: _Fronts, flags: Tensor) -> bool:
    """Ask the field at the fronts flagged in (R, 2); whether there were any."""
    indices = active_indices(flags.view(-1))
    front.value.view(-1)[indices] = _ask(rays, sdf, front.depth, indices)
    if front.recorded:
        front.asked.view(-1)[indices] = True
        depth, value = (torch.where(front.asked, x, x[:, :1]) for x in (front.depth, front.value))
        front.record.append((depth, value))
    return len(indices) > 0


def _first_surface(
    rays: Rays,
    front: _Fronts,
    sdf: Sdf,
    config: TracerConfig,
    object_mask: Tensor | None,
    walked: Walked | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Depth (R,), field value there (R,) and hit (R,) bool, after the sampler has taken the unresolved rays."""
    depth, value = front.depth[:, FORWARD].clone(), front.value[:, FORWARD].clone()
    hit = depth < front.depth[:, BACKWARD]
    refined = torch.ones_like(hit) if object_mask is None else object_mask
    for block in _blocks(front.unresolved):
        ends = (front.depth[block, FORWARD], front.depth[block, BACKWARD])
        known = None if walked is None else _rows(walked, block)
        depth[block], value[block], hit[block] = _sample(rays[block], *ends, refined[block], sdf, config, known)
    return depth, value, hit


def _sample(
    rays: Rays, near: Tensor, far: Tensor, refined: Tensor, sdf: Sdf, config: TracerConfig, walked: Walked | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Equal samples between the fronts: depth, value and hit, each (S,) (TRACE-8 to TRACE-11).

    The root where a negative sample exists and `refined` (S,) asks for it, the least sample elsewhere.
    """
    fractions = torch.linspace(0, 1, config.samples, dtype=near.dtype, device=near.device)
    depths, values = _ask_between(rays, near, far, fractions, sdf, walked, refined)
    low, high, result = (near.new_empty(len(near), 2) for _ in range(3))
    found = torch.empty(len(near), dtype=torch.int32, device=near.device)
    _launch(secant.least_sample, depths, values, result)
    _launch(secant.first_crossing, depths, values, low, high, found)
    solve = (found != 0) & refined
    result[solve] = regula_falsi(rays[solve], low[solve], high[solve], sdf, config.secant_iterations)
    return result[:, DEPTH], result[:, VALUE], found != 0


def regula_falsi(rays: Rays, low: Tensor, high: Tensor, sdf: Sdf, iterations: int) -> Tensor:
    """Root and value there, columns of (S, 2), after all iterations in the brackets (TRACE-10)."""
    root = low.new_empty(len(low), 1)
    every = torch.arange(len(low), dtype=torch.int32, device=low.device)
    _launch(secant.cross_chord, low, high, root)
    for _ in range(iterations):
        _launch(secant.narrow, _ask(rays, sdf, root, every), low, high, root)
    return torch.cat([root, _ask(rays, sdf, root, every)[:, None]], dim=1)


def _least(rays: Rays, near: Tensor, far: Tensor, fractions: Tensor, sdf: Sdf, walked: Walked | None) -> Tensor:
    """Depth and value, columns of (S, 2), of the least sample (TRACE-14)."""
    depths, values = _ask_between(rays, near, far, fractions, sdf, walked, torch.zeros_like(near, dtype=torch.bool))
    least = near.new_empty(len(near), 2)
    _launch(secant.least_sample, depths, values, least)
    return least


def _ask_between(
    rays: Rays, near: Tensor, far: Tensor, fractions: Tensor, sdf: Sdf, walked: Walked | None, rooted: Tensor
) -> tuple[Tensor, Tensor]:
    """Depths and field values (S, K) at near + fraction (far - near), fractions ascending.

    With `walked` only those values that matter; the others are larger than any distance.
    """
    depths = near[:, None] + fractions * (far - near)[:, None]
    if walked is not None:
        return depths, needed_samples(depths, walked, rooted, partial(_ask, rays, sdf, depths))
    every = torch.arange(depths.numel(), dtype=torch.int32, device=depths.device)
    return depths, _ask(rays, sdf, depths, every).view_as(depths)


def _rows(walked: Walked, block: Tensor) -> Walked:
    return walked[0][block], walked[1][block]


def _ask(rays: Rays, sdf: Sdf, depth: Tensor, indices: Tensor) -> Tensor:
    """Field values (M,) at depth.view(-1)[indices], where depth (R, K) holds K depths along each ray."""
    if len(indices) == 0:
        return depth.new_empty(0)
    points = depth.new_empty(len(indices), 3)
    runtime.launch(compaction.points_along, rays.origins, rays.directions, depth, indices, points)
    values = sdf(points).detach()
    if values.shape != indices.shape:
        raise ValueError(f"trace: expected values {tuple(indices.shape)} of the field, got {tuple(values.shape)}")
    return values.contiguous()


def _random_fractions(count: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """One random vector, ascending, shared by all rays (TRACE-14)."""
    device = like.device if generator is None else generator.device
    return torch.rand(count, generator=generator, dtype=like.dtype, device=device).sort().values.to(like.device)


def _status(meets: Tensor, hit: Tensor, value: Tensor, tolerance: float) -> Tensor:
    status = torch.full_like(meets, int(HitStatus.MISSED), dtype=torch.int32)
    status[~meets] = int(HitStatus.OUTSIDE)
    status[hit] = int(HitStatus.BRACKETED)
    status[hit & (value.abs() <= tolerance)] = int(HitStatus.CONVERGED)
    return status


def _blocks(flags: Tensor) -> Iterator[Tensor]:
    """Indices of the set flags (R,) bool in blocks of RAYS_PER_BLOCK."""
    indices = flags.nonzero()[:, 0]
    if len(indices):
        yield from indices.split(RAYS_PER_BLOCK)


def _launch(kernel: object, *arguments: Tensor | float) -> None:
    """`runtime.launch` unless the batch is empty: Taichi has no arrays without elements."""
    if all(len(argument) for argument in arguments if isinstance(argument, Tensor)):
        runtime.launch(kernel, *arguments)  # pyright: ignore[reportArgumentType]

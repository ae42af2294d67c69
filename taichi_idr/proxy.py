"""The lattice of signed distances and the tracer that marches on it (docs/decisions/0005-proxy-tracer.md).

The lattice only proposes intervals; the network decides in them, and a reported hit is a root of the network within
the tracer's tolerance. Rays that the proposals leave undecided go to the exact tracer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import runtime
from .config import ProxyConfig, TracerConfig
from .kernels import march as kernels
from .trace import trace
from .types import Hits, HitStatus, Rays, Sdf

CHUNK = 65536  # points per evaluation of the field: bounds memory
STEEPEST_GUESS = 0.1  # the interpolant's slope along a ray, taken at least this steep, bounds the first secant step
FLATTEST_SECANT = 0.05  # a secant flatter than this (or rising) keeps the slope before it


class ProxyLattice:
    """`values` (M, M, M): a field sampled at x = -1 + 2 (i, j, k) / (M - 1)."""

    def __init__(self, resolution: int, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.resolution = resolution
        self.values = torch.full((resolution,) * 3, torch.nan, device=device, dtype=dtype)

    @property
    def cell(self) -> float:
        """Edge of a cell, normalised units."""
        return 2 / (self.resolution - 1)

    def refresh(self, sdf: Sdf) -> None:
        """Sample the field everywhere."""
        self._evaluate(sdf, torch.arange(self.values.numel(), device=self.values.device))

    def refresh_near_surface(self, sdf: Sdf, band: float, *, sweep: int = 0, sweeps: int = 0) -> None:
        """Sample anew where the known value is below `band` cells: elsewhere no ray is decided.

        With sweeps > 0 also every sweeps-th other point, those of turn `sweep`: what grows away from the surface (a
        speck in the air, behind the known one) is found within `sweeps` calls, and the mask loss can remove it.
        """
        wanted = self.values.view(-1).abs() < band * self.cell
        if sweeps:
            wanted[sweep % sweeps :: sweeps] = True
        self._evaluate(sdf, wanted.nonzero()[:, 0])

    def refined(self, sdf: Sdf, resolution: int, band: float) -> ProxyLattice:
        """A finer lattice: interpolated from this one, then sampled anew near the surface."""
        finer = ProxyLattice(resolution, self.values.device, self.values.dtype)
        finer.values = torch.nn.functional.interpolate(
            self.values[None, None], size=(resolution,) * 3, mode="trilinear", align_corners=True
        )[0, 0].contiguous()
        finer.refresh_near_surface(sdf, band * self.cell / finer.cell)
        return finer

    def _evaluate(self, sdf: Sdf, indices: Tensor) -> None:
        flat, m = self.values.view(-1), self.resolution
        for part in indices.split(CHUNK):
            corner = torch.stack([part // (m * m), part // m % m, part % m], dim=1)
            with torch.no_grad():
                flat[part] = sdf(corner.to(flat.dtype) * self.cell - 1)


def interpolate(lattice: Tensor, points: Tensor) -> Tensor:
    """Trilinear values (N,) at points (N, 3) of a lattice (M, M, M) over [-1, 1]^3, indexed x, y, z."""
    grid = points.flip(1)[None, None, None]  # grid_sample wants the last axis first
    values = torch.nn.functional.grid_sample(lattice[None, None], grid, align_corners=True, padding_mode="border")
    return values[0, 0, 0, 0]


def trace_proxy(
    rays: Rays,
    sdf: Sdf,
    lattice: ProxyLattice,
    config: ProxyConfig,
    tracer: TracerConfig,
    *,
    object_mask: Tensor | None = None,
) -> Hits:
    """First surface point of each ray (R,), and the point of the mask loss; no gradients.

    object_mask (R,) bool: given in training, where pixels that are hit search behind their hit (TRACE-14). The hit of a
    background pixel is used for nothing else: it keeps the interpolant's root and the status BRACKETED.
    """
    with torch.no_grad():
        depth, status = _first_roots(rays, sdf, lattice, config, tracer, object_mask)
        if object_mask is not None:
            start = torch.where(status >= int(HitStatus.BRACKETED), depth, 0.0)
            search_depth, value = _least(rays, start, lattice, config, tracer)
            return Hits(depth, search_depth, status, value)
        search_depth, missed = depth.clone(), status < int(HitStatus.BRACKETED)
        search_depth[missed], _ = _least(rays[missed], torch.zeros_like(depth[missed]), lattice, config, tracer)
        return Hits(depth, search_depth, status)


def _first_roots(
    rays: Rays, sdf: Sdf, lattice: ProxyLattice, config: ProxyConfig, tracer: TracerConfig, object_mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Depth (R,) and HitStatus (R,) of the first root that march and network agree on."""
    depth = rays.origins.new_zeros(len(rays))
    status = torch.full((len(rays),), int(HitStatus.MISSED), dtype=torch.int32, device=depth.device)
    pending = torch.arange(len(rays), device=depth.device)
    start = torch.zeros_like(depth)
    for turn in range(config.rounds):
        interval, outcome = _march(rays[pending], start, lattice, config, tracer)
        candidate = outcome == kernels.CANDIDATE
        if turn == 0:
            status[outcome == kernels.OUTSIDE] = int(HitStatus.OUTSIDE)
            if object_mask is not None:
                crossed = candidate & ~object_mask & (interval[:, kernels.SLOPE] < 0)
                depth[crossed], status[crossed] = interval[crossed, kernels.GUESS], int(HitStatus.BRACKETED)
                candidate &= object_mask
        pending, interval = pending[candidate], interval[candidate]
        if len(pending) == 0:
            break
        root, value = _refine(rays[pending], interval, sdf, config, tracer, lattice.cell)
        found = torch.isfinite(value)
        depth[pending] = root
        status[pending[found]] = int(HitStatus.BRACKETED)
        status[pending[value.abs() <= tracer.tolerance]] = int(HitStatus.CONVERGED)
        pending, start = pending[~found], interval[~found, kernels.HIGH].contiguous()
    if object_mask is None:
        unsettled = status == int(HitStatus.BRACKETED)
        unsettled[pending] = True
        depth, status = _settle_exactly(unsettled, rays, sdf, tracer, depth, status)
    return depth, status


def _settle_exactly(
    unsettled: Tensor, rays: Rays, sdf: Sdf, tracer: TracerConfig, depth: Tensor, status: Tensor
) -> tuple[Tensor, Tensor]:
    """The exact tracer's word for rays (R,) bool whose rounds ran out or whose root is not within the tolerance."""
    index = unsettled.nonzero()[:, 0]
    if len(index):
        exact = trace(rays[index], sdf, tracer)
        depth[index], status[index] = exact.depth, exact.status
    return depth, status


def _march(
    rays: Rays, start: Tensor, lattice: ProxyLattice, config: ProxyConfig, tracer: TracerConfig
) -> tuple[Tensor, Tensor]:
    """Intervals (R, 4) and outcomes (R,) of kernels.march."""
    interval = start.new_empty(len(rays), 4)
    outcome = torch.empty(len(rays), dtype=torch.int32, device=start.device)
    steps = (config.margin * lattice.cell, config.least_step * lattice.cell)
    if len(rays):
        arguments = (rays.origins, rays.directions, start, lattice.values, tracer.radius, *steps)
        runtime.launch(kernels.march, *arguments, interval, outcome)
    return interval, outcome


def _least(
    rays: Rays, start: Tensor, lattice: ProxyLattice, config: ProxyConfig, tracer: TracerConfig
) -> tuple[Tensor, Tensor]:
    """Depth (R,) and value (R,) of kernels.least_along."""
    depth, value = torch.empty_like(start), torch.empty_like(start)
    if len(rays):
        arguments = (rays.origins, rays.directions, start, lattice.values, tracer.radius)
        runtime.launch(kernels.least_along, *arguments, config.least_step * lattice.cell, depth, value)
    return depth, value


def _refine(
    rays: Rays, interval: Tensor, sdf: Sdf, config: ProxyConfig, tracer: TracerConfig, cell: float
) -> tuple[Tensor, Tensor]:
    """Root (R,) of the network in each interval and its value there (R,), infinite where there is none.

    A short interval in which the interpolant changes sign is entered head-on: the secant method from the interpolant's
    root needs about three evaluations. Long ones graze, and are sampled for the first change of sign.
    """
    low = (interval[:, kernels.LOW] - config.widening * cell).clamp(min=0)
    high = interval[:, kernels.HIGH] + config.widening * cell
    root, value = low.clone(), torch.full_like(low, torch.inf)
    head_on = ((interval[:, kernels.SLOPE] < 0) & (high - low < config.head_on * cell)).nonzero()[:, 0]
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
    depth = interval[:, kernels.GUESS].contiguous()
    slope = interval[:, kernels.SLOPE].clamp(max=-STEEPEST_GUESS)
    value = _evaluate(sdf, rays.at(depth))
    for _ in range(steps):
        moved = torch.minimum(torch.maximum(depth - value / slope, low), high)
        value_moved = _evaluate(sdf, rays.at(moved))
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
    values = _evaluate(sdf, points.reshape(-1, 3)).view_as(depths)
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
        middle = (low * f_high - high * f_low) / (f_high - f_low).clamp(max=-1e-12)
        value = _evaluate(sdf, rays[index].at(middle))
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


def _evaluate(sdf: Sdf, points: Tensor) -> Tensor:
    return torch.cat([sdf(part) for part in points.split(CHUNK)]) if len(points) else points.new_zeros(0)

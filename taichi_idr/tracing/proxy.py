"""The lattice of signed distances and the tracer that marches on it (docs/decisions/0005-proxy-tracer.md).

The lattice only proposes intervals; the network decides in them, and a reported hit is a root of the network within
the tracer's tolerance. Rays that the proposals leave undecided go to the exact tracer. March and decision are one
kernel (docs/decisions/0011-one-kernel-per-ray.md).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import runtime
from ..config import ProxyConfig, TracerConfig
from ..fields.frozen import FrozenHashField
from ..kernels.proxy_trace import PENDING
from ..kernels.proxy_trace import trace_proxy as trace_proxy_kernel
from ..types import Hits, HitStatus, Rays, Sdf
from .exact import trace

CHUNK = 65536  # points per evaluation of the field: bounds memory


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

    def refresh_near_surface(
        self, sdf: Sdf, band: float, *, sweep: int = 0, sweeps: int = 0, possible: Tensor | None = None
    ) -> None:
        """Sample anew where the known value is below `band` cells: elsewhere no ray is decided.

        With sweeps > 0 also every sweeps-th other point, those of turn `sweep`: what grows away from the surface (a
        speck in the air, behind the known one) is found within `sweeps` calls, and the mask loss can remove it.
        possible (M, M, M) bool: where a surface can be at all; the sweep leaves other points out.
        """
        wanted = self.values.view(-1).abs() < band * self.cell
        if sweeps:
            turn = slice(sweep % sweeps, None, sweeps)
            wanted[turn] |= torch.ones_like(wanted[turn]) if possible is None else possible.view(-1)[turn]
        self._evaluate(sdf, wanted.nonzero()[:, 0])

    def refined(self, sdf: Sdf, resolution: int, band: float) -> ProxyLattice:
        """A finer lattice: interpolated from this one, then sampled anew near the surface."""
        finer = ProxyLattice(resolution, self.values.device, self.values.dtype)
        finer.values = torch.nn.functional.interpolate(
            self.values[None, None], size=(resolution,) * 3, mode="trilinear", align_corners=True
        )[0, 0].contiguous()
        finer.refresh_near_surface(sdf, band * self.cell / finer.cell)
        return finer

    def places(self) -> Tensor:
        """All points (M^3, 3) in the order of the values."""
        return self._place(torch.arange(self.values.numel(), device=self.values.device))

    def _evaluate(self, sdf: Sdf, indices: Tensor) -> None:
        flat = self.values.view(-1)
        for part in indices.split(CHUNK):
            with torch.no_grad():
                flat[part] = sdf(self._place(part))

    def _place(self, indices: Tensor) -> Tensor:
        m = self.resolution
        corner = torch.stack([indices // (m * m), indices // m % m, indices % m], dim=1)
        return corner.to(self.values.dtype) * self.cell - 1


def interpolate(lattice: Tensor, points: Tensor) -> Tensor:
    """Trilinear values (N,) at points (N, 3) of a lattice (M, M, M) over [-1, 1]^3, indexed x, y, z."""
    grid = points.flip(1)[None, None, None]  # grid_sample wants the last axis first
    values = torch.nn.functional.grid_sample(lattice[None, None], grid, align_corners=True, padding_mode="border")
    return values[0, 0, 0, 0]


def trace_proxy(
    rays: Rays,
    field: FrozenHashField,
    lattice: ProxyLattice,
    config: ProxyConfig,
    tracer: TracerConfig,
    *,
    object_mask: Tensor | None = None,
    enough: float = math.inf,
) -> Hits:
    """First surface point of each ray (R,), and the point of the mask loss; no gradients.

    object_mask (R,) bool: given in training, where pixels that are hit search behind their hit (TRACE-14). Of a
    background pixel only that point is wanted: where the interpolant is negative it lies behind the hit, and its depth
    with the status BRACKETED stands for one. An object pixel's search ends at a value below -enough.
    """
    count, origins = len(rays), rays.origins.detach().contiguous()
    training = object_mask is not None
    is_object = origins.new_ones(count, dtype=torch.int32) if object_mask is None else object_mask.int()
    depth, search_depth, search_value = torch.empty(3, count, dtype=origins.dtype, device=origins.device).unbind()
    status = torch.empty_like(is_object)
    numbers, counts = _settings(lattice, config, tracer, enough)
    if count:
        given = (origins, rays.directions.detach().contiguous(), is_object, lattice.values, *field.arguments)
        results = (depth, status, search_depth, search_value)
        runtime.launch(trace_proxy_kernel, *given, numbers, counts, int(training), *results)
    if training:
        return Hits(depth, search_depth, status, search_value)
    unsettled = (status == PENDING) | (status == int(HitStatus.BRACKETED))
    _settle_exactly(unsettled, rays, field, tracer, depth, status)
    return Hits(depth, torch.where(status >= int(HitStatus.BRACKETED), depth, search_depth), status)


def _settings(lattice: ProxyLattice, config: ProxyConfig, tracer: TracerConfig, enough: float) -> tuple[Tensor, Tensor]:
    """Columns of kernels.proxy_trace: lengths in normalised units, counts."""
    cells = [lattice.cell * cells for cells in (config.margin, config.least_step, config.widening, config.head_on)]
    numbers = [tracer.radius, tracer.tolerance, *cells, enough]
    counts = [config.rounds, config.secant_steps, config.samples, config.polish_iterations]
    device, dtype = lattice.values.device, lattice.values.dtype
    return torch.tensor(numbers, dtype=dtype, device=device), torch.tensor(counts, dtype=torch.int32, device=device)


def _settle_exactly(
    unsettled: Tensor, rays: Rays, sdf: Sdf, tracer: TracerConfig, depth: Tensor, status: Tensor
) -> None:
    """The exact tracer's word, in place, for rays (R,) whose rounds ran out or whose root is not within tolerance."""
    index = unsettled.nonzero()[:, 0]
    if len(index):
        exact = trace(rays[index], sdf, tracer)
        depth[index], status[index] = exact.depth, exact.status

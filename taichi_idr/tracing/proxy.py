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
from .lattice import ProxyLattice


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

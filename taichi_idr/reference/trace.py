"""Twin of the exact tracer: one ray at a time, to be read beside TRACE-1 to TRACE-14."""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import TracerConfig
from ..types import Hits, HitStatus, Rays, Sdf
from .secant import first_crossing, regula_falsi
from .sphere_bounds import sphere_bounds
from .sphere_trace import FieldAlongRay, sphere_trace


def trace(
    rays: Rays,
    sdf: Sdf,
    config: TracerConfig,
    *,
    object_mask: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Hits:
    """As taichi_idr.trace.trace."""
    fractions = [0.0]
    if object_mask is not None:
        fractions = torch.rand(config.samples, generator=generator, dtype=rays.origins.dtype).tolist()
    rows = []
    near, far, meets = (bound.tolist() for bound in sphere_bounds(rays.origins, rays.directions, config.radius))
    for r in range(len(rays)):
        ray = rays[r : r + 1]
        if meets[r]:
            is_object = None if object_mask is None else bool(object_mask[r])
            rows.append(_trace_one(near[r], far[r], _along(ray, sdf), config, is_object, fractions))
        else:
            closest = -float((ray.directions * ray.origins).sum())  # TRACE-13
            rows.append((near[r], closest, HitStatus.OUTSIDE))
    depth, search_depth, status = torch.tensor(rows, dtype=rays.origins.dtype).unbind(1)
    return Hits(depth, search_depth, status.int())


def _trace_one(
    near: float,
    far: float,
    ask: FieldAlongRay,
    config: TracerConfig,
    is_object: bool | None,
    fractions: list[float],
) -> tuple[float, float, HitStatus]:
    """Depth, search depth and status of a ray that meets the sphere; is_object None: not training."""
    a, b = sphere_trace(near, far, ask, config)
    if a.active:
        depth, hit = _sample(a.depth, b.depth, ask, config, is_object)
        return depth, depth, _status(hit, ask(depth), config.tolerance)
    hit = a.depth < b.depth  # TRACE-7
    search_depth = a.depth
    if is_object is not None and not (hit and is_object):  # TRACE-14
        start = a.depth if hit else near
        search_depth = min((start + u * (far - start) for u in fractions), key=ask)
    return a.depth, search_depth, _status(hit, a.value, config.tolerance)


def _sample(
    near: float, far: float, ask: FieldAlongRay, config: TracerConfig, is_object: bool | None
) -> tuple[float, bool]:
    """TRACE-8 to TRACE-11."""
    depths = [near + k / (config.samples - 1) * (far - near) for k in range(config.samples)]
    values = [ask(depth) for depth in depths]
    bracket = first_crossing(values)
    if bracket is None or is_object is False:
        return depths[values.index(min(values))], bracket is not None
    low, high = bracket
    return regula_falsi(depths[low], depths[high], ask, config.secant_iterations), True


def _status(hit: bool, value: float, tolerance: float) -> HitStatus:
    if not hit:
        return HitStatus.MISSED
    return HitStatus.CONVERGED if abs(value) <= tolerance else HitStatus.BRACKETED


def _along(ray: Rays, sdf: Sdf) -> FieldAlongRay:
    return lambda depth: float(sdf(ray.at(torch.full((1,), depth, dtype=ray.origins.dtype)))[0])

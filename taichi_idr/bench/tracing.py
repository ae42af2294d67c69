"""From rays to surface: the march on the lattice, the exact tracer's kernels one by one, and whole tracers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .. import runtime
from ..config import MlpGeometryConfig, ProxyConfig, TracerConfig
from ..fields.mlp_geometry import MlpGeometry
from ..kernels import compaction, secant, sphere_trace
from ..kernels import march as march_kernels
from ..kernels.proxy_trace import PENDING
from ..methods.fast.model import VIEWING_EFFORT
from ..ops.compaction import active_indices
from ..reference import compaction as compaction_twin
from ..reference import march as march_twin
from ..reference import proxy_trace as proxy_twin
from ..reference import wavefront
from ..tracing.exact import trace
from ..tracing.lattice import ProxyLattice
from ..tracing.proxy import trace_proxy
from ..tracing.screening import needed_samples
from ..types import Hits, HitStatus, Rays, Sdf
from .case import EXACT, Case, Gate, Outputs, Work, copies
from .scene import Scene

RADIUS, TOLERANCE = 1.0, 5e-5
SAMPLES = TracerConfig().samples
VIEWING = ProxyConfig().model_copy(update=VIEWING_EFFORT)
OBJECT_SHARE, ENOUGH = 0.6, 0.16  # of pixels; what preset `fast` starts from
ROUNDED = Gate(2e-6)
FLIPPED = Gate(0.0, 2e-3)  # where a number falls on a threshold rounding decides; measured: 1 in 1,500 rays
NEARLY = Gate(1e-5, 2e-3)  # measured 1e-6


def march(scene: Scene, size: int) -> Case:
    """First candidate interval of each ray on the lattice of preset `fast`."""
    arguments = _march_arguments(scene, size)

    def ours() -> Outputs:
        interval, outcome = scene.empty(size, 4), scene.empty(size, dtype=torch.int32)
        runtime.launch(march_kernels.march, *arguments, interval, outcome)
        return outcome, interval[:, :3]

    def twin() -> Outputs:
        interval, outcome = march_twin.march(*arguments)
        return outcome, interval[:, :3]

    return Case(ours, twin, (FLIPPED, NEARLY))


def least_along(scene: Scene, size: int) -> Case:
    """Least distance along each ray on the lattice."""
    *arguments, _margin, least_step = _march_arguments(scene, size)
    arguments += [least_step, -math.inf]

    def ours() -> Outputs:
        depth, value = scene.empty(size), scene.empty(size)
        runtime.launch(march_kernels.least_along, *arguments, depth, value)
        return (value,)

    return Case(ours, lambda: march_twin.least_along(*arguments)[1:], (Gate(5e-5),))  # measured 6e-6


def start_fronts(scene: Scene, size: int) -> Case:
    """Both fronts of the walk on the bounding sphere."""
    rays = scene.rays(size)

    def ours() -> Outputs:
        depth, entry = scene.empty(size, 2), scene.empty(size)
        active, meets = (scene.empty(*shape, dtype=torch.int32) for shape in ((size, 2), (size,)))
        runtime.launch(sphere_trace.start_fronts, rays.origins, rays.directions, RADIUS, depth, active, entry, meets)
        return depth, active, entry, meets

    twin = lambda: wavefront.start_fronts(rays.origins, rays.directions, RADIUS)  # noqa: E731
    return Case(ours, twin, (NEARLY, FLIPPED, NEARLY, FLIPPED), work=Work(bytes=48, operations=24))


def advance(scene: Scene, size: int) -> Case:
    """One step of both fronts."""
    value, depth, active = scene.normal(size, 2), scene.uniform(size, 2), scene.integers(2, 2 * size).view(-1, 2)
    step = torch.empty_like(value)

    def ours(value: Tensor, depth: Tensor, active: Tensor) -> Outputs:
        runtime.launch(sphere_trace.advance, value, TOLERANCE, step, depth, active)
        return step, depth, active

    twin = lambda value, depth, active: wavefront.advance(value, TOLERANCE, depth, active)  # noqa: E731
    work = Work(bytes=48, operations=4)
    return Case(ours, twin, (ROUNDED, ROUNDED, EXACT), inputs=copies(value, depth, active), work=work)


def pull_back(scene: Scene, size: int) -> Case:
    """Line search of fronts that overshot."""
    value, step, depth = scene.normal(size, 2), scene.uniform(size, 2), scene.uniform(size, 2)
    active, overshot = scene.integers(2, 2 * size).view(-1, 2), scene.empty(size, 2, dtype=torch.int32)

    def ours(depth: Tensor) -> Outputs:
        runtime.launch(sphere_trace.pull_back, value, step, active, 0.25, depth, overshot)
        return depth, overshot

    twin = lambda depth: wavefront.pull_back(value, step, active, 0.25, depth)  # noqa: E731
    return Case(ours, twin, (ROUNDED, EXACT), inputs=copies(depth), work=Work(bytes=48, operations=4))


def stop_crossed(scene: Scene, size: int) -> Case:
    """End of fronts that met."""
    depth, active = scene.uniform(size, 2), scene.integers(2, 2 * size).view(-1, 2)

    def ours(active: Tensor) -> Outputs:
        runtime.launch(sphere_trace.stop_crossed, depth, active)
        return (active,)

    twin = lambda active: (wavefront.stop_crossed(depth, active),)  # noqa: E731
    return Case(ours, twin, (EXACT,), copies(active), work=Work(bytes=24))


def least_sample(scene: Scene, size: int) -> Case:
    """The least of a hundred samples of each ray."""
    depth, value = scene.uniform(size, SAMPLES), scene.normal(size, SAMPLES)

    def ours() -> Outputs:
        least = scene.empty(size, 2)
        runtime.launch(secant.least_sample, depth, value, least)
        return (least,)

    work = Work(bytes=4 * SAMPLES + 12, operations=SAMPLES)
    return Case(ours, lambda: (wavefront.least_sample(depth, value),), (EXACT,), work=work)


def first_crossing(scene: Scene, size: int) -> Case:
    """The first change of sign among a hundred samples of each ray."""
    depth, value = scene.uniform(size, SAMPLES), scene.normal(size, SAMPLES) + 2

    def ours() -> Outputs:
        low, high, found = scene.empty(size, 2), scene.empty(size, 2), scene.empty(size, dtype=torch.int32)
        runtime.launch(secant.first_crossing, depth, value, low, high, found)
        return low, high, found

    work = Work(bytes=4 * SAMPLES + 28, operations=SAMPLES)
    return Case(ours, lambda: wavefront.first_crossing(depth, value), (EXACT,) * 3, work=work)


def cross_chord(scene: Scene, size: int) -> Case:
    """Zero of the chord of each bracket."""
    low, high = _brackets(scene, size)

    def ours() -> Outputs:
        root = scene.empty(size, 1)
        runtime.launch(secant.cross_chord, low, high, root)
        return (root,)

    return Case(ours, lambda: (wavefront.cross_chord(low, high),), (ROUNDED,), work=Work(bytes=20, operations=6))


def narrow(scene: Scene, size: int) -> Case:
    """One step of regula falsi in each bracket."""
    brackets, value = _brackets(scene, size), 0.1 * scene.normal(size)

    def ours(*state: Tensor) -> Outputs:
        runtime.launch(secant.narrow, value, *state)
        return state

    inputs = copies(*brackets, wavefront.cross_chord(*brackets))
    work = Work(bytes=44, operations=7)
    return Case(ours, lambda *state: wavefront.narrow(value, *state), (ROUNDED,) * 3, inputs, work=work)


def list_active(scene: Scene, size: int) -> Case:
    """List of the rays still at work."""
    flags = scene.integers(2, size)
    ours, twin = lambda: (active_indices(flags),), lambda: (compaction_twin.active_indices(flags),)
    return Case(ours, twin, (EXACT,), work=Work(bytes=6))


def points_along(scene: Scene, size: int) -> Case:
    """Points of the listed rays."""
    rays, depth, indices = scene.rays(size), scene.uniform(size, 2), scene.integers(2 * size, size)

    def ours() -> Outputs:
        points = scene.empty(size, 3)
        runtime.launch(compaction.points_along, rays.origins, rays.directions, depth, indices, points)
        return (points,)

    twin = lambda: (compaction_twin.points_along(rays.origins, rays.directions, depth, indices),)  # noqa: E731
    return Case(ours, twin, (ROUNDED,), work=Work(bytes=44, operations=6))


def screening(scene: Scene, size: int) -> Case:
    """The least of a hundred samples of a network, asked only where it can be, beside asking everywhere."""
    rays, sdf = scene.rays(size), _network(scene)
    fractions = torch.linspace(0, 1, SAMPLES).to(rays.origins)
    depths = wavefront.spread(1.5 + scene.uniform(size), 3.0 + scene.uniform(size), fractions)
    ends = depths[:, [0, -1]]
    points = lambda depth: rays.origins[:, None] + depth[..., None] * rays.directions[:, None]  # noqa: E731
    walked = (ends, sdf(points(ends).view(-1, 3)).view(size, 2))
    every, nowhere = points(depths).view(-1, 3), torch.zeros(size, dtype=torch.bool, device=depths.device)
    ours = lambda: (needed_samples(depths, walked, nowhere, lambda i: sdf(every[i])).amin(dim=1),)  # noqa: E731
    twin = lambda: (sdf(every).view(size, SAMPLES).amin(dim=1),)  # noqa: E731
    # Here a ray's bend is known from its ends alone; measured: 1 ray in 2,048 has a neighbouring sample.
    return Case(ours, twin, (Gate(1e-5, 2e-3),), beside="every sample asked")


def trace_analytic(scene: Scene, size: int) -> Case:
    """Exact tracer on a torus in closed form."""
    return _traced(scene.rays(size), scene.torus)


def trace_fitted(scene: Scene, size: int) -> Case:
    """Exact tracer on a fitted field."""
    return _traced(scene.rays(size), scene.model.surface)


def proxy_training(scene: Scene, size: int) -> Case:
    """Tracer of preset `fast` in training, with the points of the mask loss, beside rays going through it together."""
    arguments = (scene.rays(size), scene.field_lattice, ProxyConfig(), TracerConfig())
    is_object = scene.uniform(size) < OBJECT_SHARE
    return _proxied(scene, *arguments, object_mask=is_object, enough=ENOUGH)


def proxy_viewing(scene: Scene, size: int) -> Case:
    """Tracer of preset `fast` for pictures, what is left to the exact tracer included."""
    return _proxied(scene, scene.rays(size), scene.field_lattice, VIEWING, TracerConfig())


def image(scene: Scene, size: int) -> Case:
    """All pixels of a picture (4 : 3) of a fitted field by the tracer of preset `fast`, beside the exact one."""
    height = round((size * 3 / 4) ** 0.5)
    rays, field, lattice = scene.camera_rays(height, size // height), scene.fast_model.frozen(), scene.field_lattice
    ours = lambda: _found(trace_proxy(rays, field, lattice, VIEWING, TracerConfig()))  # noqa: E731
    twin = lambda: _found(trace(rays, field, TracerConfig()))  # noqa: E731
    # Two depths within the tolerance are far apart where a ray grazes; measured: 2e-4 of the rays, else 8e-4.
    return Case(ours, twin, (Gate(0.0, 5e-3), Gate(1e-3, 1e-2)), beside="exact tracer")


def _traced(rays: Rays, sdf: Sdf) -> Case:
    config = TracerConfig()
    ours, twin = lambda: _found(trace(rays, sdf, config)), lambda: _found(wavefront.trace(rays, sdf, config))
    return Case(ours, twin, (FLIPPED, Gate(5e-5, 3e-3)))  # measured 1e-5


def _proxied(
    scene: Scene, rays: Rays, lattice: ProxyLattice, proxy: ProxyConfig, tracer: TracerConfig, **training: Any
) -> Case:
    field, twin_field = scene.fast_model.frozen(), scene.field_twin

    def ours() -> Outputs:
        hits = trace_proxy(rays, field, lattice, proxy, tracer, **training)
        return (*_found(hits), *_least(hits))

    def twin() -> Outputs:
        hits = proxy_twin.trace_proxy(rays, twin_field, lattice.values, proxy, tracer, **training)
        return (*_found(hits), *_least(hits)) if training else _found(_settled(hits, rays, twin_field, tracer))

    # Where the lattice knows too little, a rounding decides which of two roots is found.
    return Case(ours, twin, (FLIPPED, Gate(1e-3, 5e-3), Gate(1e-3, 5e-3))[: 3 if training else 2])


def _settled(hits: Hits, rays: Rays, sdf: Sdf, tracer: TracerConfig) -> Hits:
    """With the exact tracer's word for the rays that are left to it."""
    left = ((hits.status == PENDING) | (hits.status == int(HitStatus.BRACKETED))).nonzero()[:, 0]
    exact = wavefront.trace(rays[left], sdf, tracer)
    depth, status = hits.depth.clone(), hits.status.clone()
    depth[left], status[left] = exact.depth, exact.status
    return Hits(depth, depth, status)


def _least(hits: Hits) -> Outputs:
    return () if hits.search_value is None else (hits.search_value,)


def _found(hits: Hits) -> Outputs:
    return hits.hit, torch.where(hits.hit, hits.depth, 0.0)


def _march_arguments(scene: Scene, size: int) -> list[Any]:
    rays, proxy, lattice = scene.rays(size), ProxyConfig(), scene.lattice
    start = torch.zeros_like(rays.origins[:, 0])
    steps = (proxy.margin * lattice.cell, proxy.least_step * lattice.cell)
    return [rays.origins, rays.directions, start, lattice.values, RADIUS, *steps]


def _brackets(scene: Scene, size: int) -> tuple[Tensor, Tensor]:
    """low, high (S, 2): value >= 0.1 before value <= -0.1."""
    depth, length, values = scene.uniform(size), scene.uniform(size), 0.1 + scene.uniform(2, size)
    return torch.stack([depth, values[0]], dim=1), torch.stack([depth + length, -values[1]], dim=1)


def _network(scene: Scene) -> Sdf:
    """The ball that preset `idr` starts from, 128 wide."""
    config = MlpGeometryConfig(width=128)
    return MlpGeometry(config, scene.settings.device, scene.generator, scene.settings.dtype).frozen()

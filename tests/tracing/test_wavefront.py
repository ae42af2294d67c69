"""The twins for all rays at once: against the kernels of the same name, and the tracer against the one-ray twin."""

from __future__ import annotations

import pytest
import torch
from scenes import SHAPES, rays_towards
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.config import TracerConfig
from taichi_idr.kernels import secant, sphere_trace
from taichi_idr.reference import trace as one_ray
from taichi_idr.reference import wavefront

pytestmark = pytest.mark.precision("float64")
CONFIG = TracerConfig()
DOUBLE = 1e-12  # measured: 4e-15
RAYS, SAMPLES = 60, 9

FIELDS = {
    "torus": SHAPES["torus"],
    "steep": lambda points: 2 * SHAPES["torus"](points),
    "shallow": lambda points: 0.1 * SHAPES["two_spheres"](points),
}


@pytest.fixture
def draw(runtime, generator):
    """Normal numbers of the given shape, or with `flags` zeros and ones in int32."""

    def make(*shape: int, flags: bool = False) -> Tensor:
        values = torch.randn(*shape, generator=generator, dtype=runtime.dtype)
        return ((values > 0).int() if flags else values).to(runtime.device)

    return make


def same(ours: tuple[Tensor, ...], twin: tuple[Tensor, ...]) -> None:
    for mine, theirs in zip(ours, twin, strict=True):
        torch.testing.assert_close(mine, theirs.to(mine.dtype), atol=DOUBLE, rtol=0)


@pytest.mark.parametrize("field", FIELDS)
def test_tracer_ends_every_ray_as_the_one_ray_twin(field, generator):
    rays = rays_towards(RAYS, generator, spread=0.45)
    ours, twin = (tracer.trace(rays, FIELDS[field], CONFIG) for tracer in (wavefront, one_ray))
    assert torch.equal(ours.status.cpu(), twin.status)
    assert 0 < int(ours.hit.sum()) < RAYS
    same((ours.search_depth.cpu(), ours.depth[ours.hit].cpu()), (twin.search_depth, twin.depth[twin.hit]))


def test_start_fronts(generator):
    rays = rays_towards(RAYS, generator)
    depth, active = torch.empty_like(rays.origins[:, :2]).contiguous(), torch.empty(RAYS, 2, dtype=torch.int32)
    entry, meets = torch.empty_like(depth[:, 0]), torch.empty(RAYS, dtype=torch.int32)
    active, meets = active.to(depth.device), meets.to(depth.device)
    inputs = (rays.origins, rays.directions, 1.0)
    taichi_runtime.launch(sphere_trace.start_fronts, *inputs, depth, active, entry, meets)
    assert set(meets.tolist()) == {0, 1}
    same((depth, active, entry, meets), wavefront.start_fronts(*inputs))


def test_advance_and_pull_back(draw):
    value, step, depth = draw(RAYS, 2), draw(RAYS, 2), draw(RAYS, 2)
    active, overshot = draw(RAYS, 2, flags=True), draw(RAYS, 2, flags=True)
    back, twin = depth.clone(), wavefront.pull_back(value, step, active, 0.25, depth)
    taichi_runtime.launch(sphere_trace.pull_back, value, step, active, 0.25, back, overshot)
    same((back, overshot), twin)
    twin = wavefront.advance(value, 0.1, depth, active)
    taichi_runtime.launch(sphere_trace.advance, value, 0.1, step, depth, active)
    same((step, depth, active), twin)


def test_stop_crossed(draw):
    depth, active = draw(RAYS, 2), draw(RAYS, 2, flags=True)
    ours = active.clone()
    taichi_runtime.launch(sphere_trace.stop_crossed, depth, ours)
    assert 0 < int(ours.sum()) < int(active.sum())
    same((ours,), (wavefront.stop_crossed(depth, active),))


def test_samples_and_crossings(draw):
    depth, value, found = draw(RAYS, SAMPLES), draw(RAYS, SAMPLES) + 1, draw(RAYS, flags=True)
    least, low, high = (draw(RAYS, 2) for _ in range(3))
    taichi_runtime.launch(secant.least_sample, depth, value, least)
    same((least,), (wavefront.least_sample(depth, value),))
    taichi_runtime.launch(secant.first_crossing, depth, value, low, high, found)
    assert set(found.tolist()) == {0, 1}
    same((low, high, found), wavefront.first_crossing(depth, value))


def test_chords(draw):
    """Chords without slope among them, and values that move neither end."""
    low, high, root = draw(RAYS, 2).abs(), -draw(RAYS, 2).abs(), draw(RAYS, 1)
    high[:5, 1] = low[:5, 1]
    taichi_runtime.launch(secant.cross_chord, low, high, root)
    same((root,), (wavefront.cross_chord(low, high),))
    value = draw(RAYS)
    value[:10] = 0
    twin = wavefront.narrow(value, low, high, root)
    taichi_runtime.launch(secant.narrow, value, low, high, root)
    same((low, high, root), twin)

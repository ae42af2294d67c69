"""The bounding sphere: TRACE-1."""

from __future__ import annotations

import pytest
import torch
from scenes import rays_towards

from taichi_idr.ops.sphere_bounds import sphere_bounds
from taichi_idr.reference import sphere_bounds as reference

DOUBLE = 1e-12  # measured: 1e-14
FAR_SINGLE = 4e-5  # measured from 50 radii away: 1e-5; with the radicand as printed 4.5e-4


@pytest.mark.precision("float64")
def test_trace_1_equals_twin(generator):
    rays = rays_towards(1000, generator)
    ours = sphere_bounds(rays.origins, rays.directions, 0.8)
    twin = reference.sphere_bounds(rays.origins, rays.directions, 0.8)
    assert 0 < int(ours[2].sum()) < 1000
    assert torch.equal(ours[2], twin[2])
    for mine, theirs in zip(ours[:2], twin[:2], strict=True):
        torch.testing.assert_close(mine, theirs, atol=DOUBLE, rtol=0)


def test_trace_1_ends_lie_on_the_sphere(generator):
    """Truth, in single precision and from far away, where the printed radicand cancels."""
    rays = rays_towards(1000, generator, distance=50.0, spread=0.4)
    near, far, hit = sphere_bounds(rays.origins, rays.directions, 1.0)
    assert hit.sum() > 500
    for depth in (near, far):
        radius = rays.at(depth)[hit].double().norm(dim=1)
        assert (radius - 1).abs().max() < FAR_SINGLE
    assert (near < far)[hit].all()
    assert (near == far)[~hit].all()


def test_trace_1_depths_are_clamped(runtime):
    """From inside the sphere near is 0; with the sphere behind, both are 0 and the line still counts."""
    origins = torch.tensor([[0.0, 0, 0.5], [0, 0, 3.0]], device=runtime.device)
    directions = torch.tensor([[0.0, 0, 1], [0, 0, 1]], device=runtime.device)
    near, far, hit = sphere_bounds(origins, directions, 1.0)
    assert near.tolist() == [0, 0]
    assert far.tolist() == [0.5, 0]
    assert hit.tolist() == [True, True]


def test_a_tangent_is_no_hit(runtime):
    origins, directions = (torch.tensor([row], device=runtime.device) for row in ([1.0, 0, -2], [0.0, 0, 1]))
    assert sphere_bounds(origins, directions, 1.0)[2].tolist() == [False]


def test_empty_batch_and_wrong_shapes(runtime):
    empty = torch.empty(0, 3, device=runtime.device)
    assert [len(x) for x in sphere_bounds(empty, empty, 1.0)] == [0, 0, 0]
    with pytest.raises(ValueError, match=r"expected origins and directions \(R, 3\)"):
        sphere_bounds(empty, torch.empty(1, 3), 1.0)

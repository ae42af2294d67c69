"""DVR-3 and UNI-5: the first interval whose end is inside, and the root in it."""

from __future__ import annotations

import pytest
import torch
from scenes import lines
from torch import Tensor

from taichi_idr.ops.sphere_bounds import sphere_bounds
from taichi_idr.tracing.sampled import first_surface
from taichi_idr.types import Hits, HitStatus, Rays, Sdf


def traced(rays: Rays, field: Sdf, samples: int) -> Hits:
    """In a sphere of radius 1.1."""
    ends = sphere_bounds(rays.origins, rays.directions, 1.1)
    return first_surface(rays, ends, field, samples=samples, secant_iterations=8)


def ball(points: Tensor) -> Tensor:
    return points.norm(dim=1) - 0.6


@pytest.mark.parametrize("samples", [16, 128])
def test_the_first_surface_is_found(generator, samples):
    directions = torch.rand(400, 3, generator=generator) - torch.tensor([0.5, 0.5, -4.0])
    rays = lines(torch.tensor([[0.0, 0.0, -3.0]]).expand(400, 3), directions)
    hits = traced(rays, ball, samples)
    middle = -(rays.origins * rays.directions).sum(dim=1)
    nearest = (rays.origins + middle[:, None] * rays.directions).norm(dim=1)
    deep = nearest < 0.55  # thinner parts may lie between two samples
    assert hits.hit[deep].all() and not hits.hit[nearest > 0.6].any()
    expected = middle - (0.36 - nearest**2).clamp(min=0).sqrt()
    torch.testing.assert_close(hits.depth[deep], expected[deep], atol=2e-4, rtol=0)
    assert ball(rays.at(hits.depth))[hits.hit].abs().max() < 1e-3


def test_what_is_inside_at_once_is_no_hit_and_the_nearer_of_two_is_taken():
    rays = lines(torch.tensor([[0.0, 0.0, -3.0]] * 2), torch.tensor([[0.0, 0.0, 1.0], [0.0, 5.0, 1.0]]))

    def solid(points: Tensor) -> Tensor:
        return -torch.ones_like(points[:, 0])

    def walls(points: Tensor) -> Tensor:
        return (points[:, 2] * torch.pi * 2).cos()

    inside = traced(rays, solid, 32)
    assert inside.status.tolist() == [HitStatus.MISSED, HitStatus.OUTSIDE]
    assert traced(rays, walls, 64).depth[0].item() == pytest.approx(3 - 0.75, abs=1e-3)


def test_no_rays():
    none = traced(lines(torch.zeros(0, 3), torch.zeros(0, 3)), ball, 16)
    assert len(none.depth) == len(none.hit) == 0

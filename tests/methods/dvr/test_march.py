"""DVR-2 and DVR-3: the cube, and the first interval whose end is inside."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr import runtime
from taichi_idr.methods.dvr.march import cube_ends, first_surface
from taichi_idr.methods.dvr.settings import MarchConfig
from taichi_idr.types import HitStatus, Rays

CONFIG = MarchConfig()


def lines(origins: Tensor, directions: Tensor) -> Rays:
    now = runtime.current()
    return Rays(origins.to(now.device, now.dtype), normalize(directions, dim=1).to(now.device, now.dtype))


def ball(points: Tensor) -> Tensor:
    return points.norm(dim=1) - 0.6


def test_rays_enter_and_leave_the_cube(generator):
    origins = 3 * torch.randn(500, 3, generator=generator)
    rays = lines(origins, torch.rand(500, 3, generator=generator) - 0.5 - origins)
    entry, leave, meets = cube_ends(rays, CONFIG.half)
    steps = torch.linspace(0, 20, 4001).to(rays.origins)
    inside = ((rays.origins[:, None] + steps[:, None] * rays.directions[:, None]).abs() < CONFIG.half).all(dim=2)
    met = inside.any(dim=1)
    assert not (met & ~meets).any() and (met != meets).sum() < 10  # corners are cut between two steps
    first, last = (steps[part.int().argmax(dim=1)] for part in (inside, inside.cumsum(dim=1)))
    torch.testing.assert_close(entry[met], first[met], atol=0.01, rtol=0)
    torch.testing.assert_close(leave[met], last[met], atol=0.01, rtol=0)


def test_a_ray_along_an_axis_and_one_that_starts_inside():
    entry, leave, meets = cube_ends(
        lines(torch.tensor([[0.2, 0.3, -4.0], [0.2, 3.0, -4.0], [0.0, 0.0, 0.5]]), torch.tensor([[0.0, 0.0, 1.0]] * 3)),
        CONFIG.half,
    )
    assert meets.tolist() == [True, False, True]
    assert entry[[0, 2]].tolist() == pytest.approx([2.9, 0]) and leave[[0, 2]].tolist() == pytest.approx([5.1, 0.6])


@pytest.mark.parametrize("samples", [16, 128])
def test_the_first_surface_is_found(generator, samples):
    directions = torch.rand(400, 3, generator=generator) - torch.tensor([0.5, 0.5, -4.0])
    rays = lines(torch.tensor([[0.0, 0.0, -3.0]]).expand(400, 3), directions)
    hits = first_surface(rays, ball, CONFIG, samples)
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

    inside = first_surface(rays, solid, CONFIG, 32)
    assert inside.status.tolist() == [HitStatus.MISSED, HitStatus.OUTSIDE]
    assert first_surface(rays, walls, CONFIG, 64).depth[0].item() == pytest.approx(3 - 0.75, abs=1e-3)


def test_no_rays():
    none = first_surface(lines(torch.zeros(0, 3), torch.zeros(0, 3)), ball, CONFIG, 16)
    assert len(none.depth) == len(none.hit) == 0

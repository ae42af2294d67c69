"""DVR-2: the cube."""

from __future__ import annotations

import pytest
import torch
from scenes import lines

from taichi_idr.methods.dvr.cube import cube_ends
from taichi_idr.methods.dvr.settings import MarchConfig

CONFIG = MarchConfig()


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

"""Networks of colours: texture fields (TEX-1) and surface light fields (LIGHT-1)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from taichi_idr.painting.networks import Sight, colour_network
from taichi_idr.painting.settings import PRESETS, make_paint_config

SMALL = ["table.levels=4", "table.log2_rows=10", "texture.width=16", "radiance.width=16", "table.scale=0.5"]


def sight(count: int, generator: torch.Generator, runtime) -> Sight:
    points, directions, normals = (torch.randn(count, 3, generator=generator) / 3 for _ in range(3))
    target = {"dtype": runtime.dtype, "device": runtime.device}
    parts = (points.clamp(-1, 1), normalize(directions, dim=1), normalize(normals, dim=1))
    return Sight(*(part.to(**target) for part in parts), torch.zeros(count, dtype=torch.int64, device=runtime.device))


@pytest.mark.parametrize("preset", PRESETS)
def test_who_sees_the_direction_and_the_light(preset, generator, runtime):
    network = colour_network(make_paint_config(preset, SMALL), 3, runtime.device, generator)
    looked = sight(50, generator, runtime)
    here = network(looked)
    assert here.shape == (50, 3) and here.min() >= 0 and here.max() <= 1
    elsewhere = network(replace(looked, directions=-looked.directions))
    later = network(replace(looked, light=looked.light + 2))
    depends = preset == "light_field"
    assert torch.equal(here, elsewhere) != depends and torch.equal(here, later) != depends
    assert not torch.allclose(here, network(replace(looked, points=-looked.points)))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_learns(preset, generator, runtime):
    network = colour_network(make_paint_config(preset, SMALL), 2, runtime.device, generator)
    looked = sight(400, generator, runtime)
    looked = replace(looked, light=torch.arange(400, device=runtime.device) % 2)
    network(looked).square().sum().backward()
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        if name == "table.table":
            gradient = network.get_submodule("table").gradient  # pyright: ignore[reportAssignmentType]
        if ".opening." not in name:  # blocks are closed at first
            assert isinstance(gradient, torch.Tensor) and gradient.abs().max() > 0, name


def test_one_light_has_no_code(generator, runtime):
    network = colour_network(make_paint_config("light_field", SMALL), 1, runtime.device, generator)
    assert network.get_parameter("codes").numel() == 0


def test_parts_of_a_sight_are_all_of_it(generator, runtime):
    looked = sight(50, generator, runtime)
    parts = looked.split(20)
    assert [len(part) for part in parts] == [20, 20, 10]
    torch.testing.assert_close(torch.cat([part.normals for part in parts]), looked.normals, rtol=0, atol=0)

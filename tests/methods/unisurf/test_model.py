"""The model of preset unisurf: occupancy, colours in volumes and on surfaces, and what of it is the object."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from scenes import rays_towards
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.errors import BadInput, UsageError
from taichi_idr.fields.mlp_geometry import layer_shapes
from taichi_idr.fields.radiance import renderer_layer_shapes
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.unisurf.model import UnisurfModel
from taichi_idr.methods.unisurf.samples import sample_depths
from taichi_idr.methods.unisurf.settings import UnisurfConfig
from taichi_idr.reference import compositing as reference
from taichi_idr.types import Hits, Rays

SMALL = (
    "geometry.width=48", "geometry.hidden_layers=3", "geometry.skip_layer=0", "geometry.features=8",
    "geometry.position_frequencies=2", "radiance.width=24", "radiance.hidden_layers=2", "surface.samples=128",
)  # fmt: skip


def small(*more: str) -> UnisurfModel:
    config = make_config("unisurf", [*SMALL, *more])
    assert isinstance(config, UnisurfConfig)
    return UnisurfModel(config, runtime.current().device)


def middles(rays: Rays, samples: int) -> Tensor:
    return rays.origins.new_full((len(rays), samples), 0.5)


def test_uni_1_are_the_published_networks():
    """UNI-1: IDR's networks of width 256 with encodings of 6 and 4 octaves, a ball of radius 0.6 in the beginning."""
    config = UnisurfConfig()
    shapes = layer_shapes(config.geometry)
    assert shapes[0] == (39, 256) and shapes[-1] == (256, 257) and len(shapes) == 9 and shapes[3] == (256, 217)
    assert renderer_layer_shapes(config.radiance, 256) == [(3 + 27 + 3 + 256, 256), *[(256, 256)] * 3, (256, 3)]
    model = UnisurfModel(config, runtime.current().device)
    directions = torch.nn.functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    away = torch.tensor([0.3, 0.9]).repeat(100)[:, None]
    value = model.surface((away * directions).to(model.device))
    assert torch.equal((value < 0).cpu(), away[:, 0] < 0.6)


@pytest.mark.precision("float64")
def test_uni_1_and_2_colours_add_up_as_written(generator):
    """UNI-2 with UNI-1: sum of o_i prod (1 - o_j) c_i over samples, o = sigmoid(-10 f); what is left is black."""
    model, rays = small(), rays_towards(20, generator)
    depths = 1.5 + 2 * torch.rand(20, 12, generator=generator, dtype=torch.float64).to(rays.origins).sort(dim=1).values
    ends, _ = model.first_surface(rays)
    shown = model.volume_colour(rays, ends, depths)
    for ray in range(20):
        expected, light = torch.zeros_like(shown[0]), 1.0
        for depth in depths[ray]:
            point = rays.origins[[ray]] + depth * rays.directions[[ray]]
            occupied = 1 / (1 + (10 * model.logits(point)[0]).exp())
            expected += light * occupied * model.colour(point, rays.directions[[ray]])[0]
            light = light * (1 - occupied)
        torch.testing.assert_close(shown[ray], expected, atol=1e-12, rtol=0)
    white = small("volume.background=white").volume_colour(rays, ends, depths)
    left = 1 - reference.weights(torch.sigmoid(-10 * model.logits(rays.at(depths[:, 0])))[:, None])[:, 0]
    assert (white > shown).all() and (left > 0).all()


@pytest.mark.precision("float64")
def test_uni_2_tends_to_uni_3_as_the_interval_shrinks(generator):
    """UNI-3, UNI-4: weights collapse onto the surface, and colours of the volume become the surface's; half the width
    has half the error."""
    model, rays = small("surface.secant_iterations=60"), rays_towards(60, generator, spread=0.2)
    ends, hits = model.first_surface(rays)
    rays, depth = rays[hits.hit], hits.depth[hits.hit]
    assert len(depth) > 40
    ends, hits = model.first_surface(rays)
    surface = model.colour(rays.at(depth), rays.directions)

    def error(half: float) -> float:
        depths = sample_depths(ends, Hits(depth, depth, hits.status), half, 0, middles(rays, 64))
        return (model.volume_colour(rays, ends, depths) - surface).norm().item()

    errors = [error(1e-3 / 2**k) for k in range(5)]
    ratios = [before / after for before, after in pairwise(errors)]
    assert ratios == pytest.approx([2] * 4, rel=0.02)
    assert error(1e-7) < 1e-4 * errors[0] * 1.1


def test_gradients_reach_both_networks(generator):
    model, rays = small(), rays_towards(30, generator)
    ends, hits = model.first_surface(rays)
    depths = sample_depths(ends, hits, 0.5, 8, middles(rays, 24))
    model.volume_colour(rays, ends, depths).sum().backward()
    parameters = [*model.geometry.parameters(), *model.radiance.parameters()]
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in parameters)
    assert sum(bool(parameter.grad.any()) for parameter in parameters if parameter.grad is not None) > 10


def test_what_lies_beyond_the_object_is_shown_and_not_hit(generator):
    """The same field with a smaller sphere for the object: the same picture, of which nothing is the object."""
    rays = rays_towards(200, generator)
    whole, none = small().look(rays), small("volume.radius=0.3").look(rays)
    assert whole.hit.float().mean() > 0.3 and not none.hit.any()
    assert torch.equal(whole.colour, none.colour)
    assert none.depth.isinf().all() and not none.normal.any()
    model = small()
    hits = model.trace(rays)
    assert torch.equal(hits.hit, whole.hit)
    torch.testing.assert_close(hits.depth[hits.hit], whole.depth[whole.hit], atol=1e-5, rtol=0)
    facing = (whole.normal * rays.directions).sum(dim=1)[whole.hit]
    assert (facing < 0.05).all() and torch.allclose(whole.normal[whole.hit].norm(dim=1), torch.ones_like(facing))


def test_rays_that_miss_all_see_the_background():
    origins, directions = torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    device = runtime.current().device
    for background, value in (("black", 0.0), ("white", 1.0)):
        look = small(f"volume.background={background}").look(Rays(origins.to(device), directions.to(device)))
        assert look.colour.tolist() == [[value] * 3] and not look.hit.any()


def test_there_is_no_density_to_choose_a_level_of():
    with pytest.raises(UsageError, match="preset unisurf learns a surface, not a density"):
        small().at_level(50)


def test_colours_of_another_run_need_as_many_features():
    other, same = small("geometry.features=4"), small("seed=3")
    with pytest.raises(BadInput, match=r"geometry\.features is 8 in one and 4 in the other"):
        small().wearing(other)
    assert small().wearing(same).radius == 1

"""Occupancy networks: OCC-1 to OCC-3 part by part, and shapes that come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from solids import ball, box, torus
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from taichi_idr import runtime as taichi_runtime
from taichi_idr.errors import UsageError
from taichi_idr.meshes.mesh import topology
from taichi_idr.meshes.solid import Solid, make_solid
from taichi_idr.methods.shapes.extraction import lattice_for, mean_code, overlap, shape_of
from taichi_idr.methods.shapes.network import HashOccupancy, LatentOccupancy, OccupancyModel, occupancy_model
from taichi_idr.methods.shapes.samples import Pool, make_pool
from taichi_idr.methods.shapes.settings import PRESETS, ShapesConfig, make_shapes_config
from taichi_idr.methods.shapes.trainer import ShapesTrainer, divergence

SMALL = ["network.width=32", "network.blocks=2", "network.code=4", "network.encoder_width=16", "samples.pool=4000"]
HASH = ["samples.pool=100000", "schedule.steps=80", "schedule.points=4096", "surface.places=2000"]


def solid(mesh) -> Solid:
    return make_solid(mesh, Path("shape.ply"))


def pool_of(solids: list[Solid], config: ShapesConfig, generator: torch.Generator) -> Pool:
    return make_pool(solids, config.samples, 100, generator)


def small_model(generator: torch.Generator, *more: str, shapes: int = 2) -> OccupancyModel:
    config = make_shapes_config("latent", shapes, [*SMALL, *more])
    model = occupancy_model(config, shapes, taichi_runtime.current().device, generator)
    for parameter in model.parameters():  # away from where codes change nothing
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator).to(parameter)
    return model


def drawn(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return (torch.rand(*shape, generator=generator) - 0.5).to(taichi_runtime.current().device)


class TestNetwork:
    def test_occ_1_the_published_size(self, generator, runtime):
        """OCC-1: five blocks of two layers of 256, a norm with gain and offset before each and before the last."""
        model = occupancy_model(PRESETS["published"], 3, runtime.device, generator)
        assert isinstance(model, LatentOccupancy) and model.code == 128
        layers = [*model.decoder.opening, *model.decoder.closing]
        assert [tuple(layer.weight.shape) for layer in layers] == [(256, 256)] * 10
        assert len(model.decoder.norms) == 11 and all(norm.norm is not None for norm in model.decoder.norms)
        assert all((layer.weight == 0).all() for layer in model.decoder.closing)

    def test_occ_1_codes_tell_shapes_apart_and_one_shape_has_none(self, generator, runtime):
        points, codes = drawn(generator, 1, 50, 3), drawn(generator, 2, 4)
        model = small_model(generator).eval()
        first, second = (model.logits(points, code[None]) for code in codes)
        assert (first - second).abs().max() > 0.01
        alone = small_model(generator, shapes=1).eval()
        assert alone.code == 0 and alone.logits(points, codes[:1, :0]).shape == (1, 50)
        assert not any(name.startswith("encoder") for name, _ in alone.named_parameters())

    @pytest.mark.parametrize("norm", ["batch", "off"])
    def test_occ_1_an_answer_does_not_depend_on_what_else_is_asked(self, norm, generator, runtime):
        """OCC-1: batch norm uses running statistics once training is over."""
        model = small_model(generator, f"network.norm={norm}")
        model.train()
        model.logits(drawn(generator, 2, 500, 3), drawn(generator, 2, 4))
        points, code = drawn(generator, 300, 3), drawn(generator, 4)
        field = model.field(code)
        torch.testing.assert_close(torch.cat([field(part) for part in points.split(7)]), field(points))
        torch.testing.assert_close(-model.logits(points[None], code[None])[0], field(points))

    def test_the_encoder_does_not_see_the_order_of_points(self, generator, runtime):
        model, points = small_model(generator), drawn(generator, 1, 60, 3)
        inside, order = (drawn(generator, 1, 60) > 0).float(), torch.randperm(60, generator=generator)
        found, again = model.posterior(points, inside), model.posterior(points[:, order], inside[:, order])
        for one, other in zip(found, again, strict=True):
            assert one.shape == (1, 4)
            torch.testing.assert_close(one, other)
        assert not torch.equal(found[0], model.posterior(points, 1 - inside)[0])

    @pytest.mark.parametrize("kind", ["hash", "blocks"])
    def test_the_slope_is_that_of_the_logit(self, kind, generator, runtime):
        """Against differences of a step at which single precision has three digits left; ReLU bends at few points."""
        if kind == "hash":
            config = make_shapes_config(
                "fast", 1, ["table.table_scale=0.3", "table.softplus_beta=5", "table.finest=16"]
            )
            model = HashOccupancy(config, runtime.device, generator)
        else:
            model = small_model(generator).eval()
        points, code, step = drawn(generator, 200, 3), drawn(generator, model.code), 1e-3
        value, slope = model.slope(points, code)
        torch.testing.assert_close(value, -model.field(code)(points), rtol=0, atol=1e-4)
        for axis in range(3):
            aside = step * torch.eye(3)[axis].to(points)
            difference = (model.slope(points + aside, code)[0] - model.slope(points - aside, code)[0]) / (2 * step)
            wrong = (difference - slope[:, axis]).abs() > 0.02 * slope.abs().max()
            assert wrong.float().mean() < 0.1


class TestLoss:
    def test_occ_2_the_divergence_is_the_closed_form(self, generator):
        mean, log_deviation = torch.randn(2, 5, 7, generator=generator)
        prior = Normal(torch.zeros(7), torch.ones(7))
        expected = kl_divergence(Normal(mean, log_deviation.exp()), prior).sum(dim=1)
        torch.testing.assert_close(divergence(mean, log_deviation), expected)

    def test_occ_2_entropy_over_points_and_divergence_over_shapes(self, generator, runtime):
        """OCC-2: the published sum over 2,048 points and numbers of a code, here over the number of points."""
        config = make_shapes_config("latent", 2, [*SMALL, "schedule.points=2048"])
        trainer = ShapesTrainer(config, pool_of([solid(ball()), solid(torus())], config, generator), runtime.device)
        state = trainer.generator.get_state()
        loss = trainer.loss()
        trainer.generator.set_state(state)
        shapes = torch.randperm(2, generator=trainer.generator)
        points, inside = (x.to(runtime.device) for x in trainer.pool.drawn(shapes, 2048, trainer.generator))
        mean, log_deviation = trainer.model.posterior(points, inside)
        codes = mean + log_deviation.exp() * torch.randn(mean.shape, generator=trainer.generator).to(mean)
        entropy = binary_cross_entropy_with_logits(trainer.model.logits(points, codes), inside, reduction="none")
        expected = (entropy.sum(dim=1) + divergence(mean, log_deviation)).mean() / 2048
        torch.testing.assert_close(loss, expected)

    def test_a_run_that_goes_on_is_the_run(self, generator, runtime):
        config = make_shapes_config("latent", 2, [*SMALL, "schedule.steps=6", "schedule.points=64"])
        pool = pool_of([solid(ball()), solid(torus())], config, generator)
        whole, part = (ShapesTrainer(config, pool, runtime.device) for _ in range(2))
        losses = [whole.step() for _ in range(6)]
        for _ in range(3):
            part.step()
        rest = ShapesTrainer(config, pool, runtime.device)
        rest.load_state({name: tensor.clone() for name, tensor in part.state().items()}, 3)
        assert [rest.step() for _ in range(3)] == losses[3:]


class TestSamples:
    def test_occ_3_half_uniform_in_the_padded_cube_half_near_the_surface(self, generator, runtime):
        config = make_shapes_config(None, 1, ["samples.pool=20000", "samples.near=0.02,0.005"])
        pool = pool_of([solid(ball(250.0, (1e3, 0, 0)))], config, generator)
        distance = pool.points[0].norm(dim=1) - 0.5
        assert pool.points.abs().max() <= 0.55
        clear = distance.abs() > 0.01
        assert torch.equal(pool.inside[0][clear], (distance < 0)[clear])
        uniform, near = pool.points[0, :10_000], distance[10_000:]
        assert uniform.std(dim=0).tolist() == pytest.approx([1.1 / 12**0.5] * 3, abs=0.01)
        for half, deviation in ((near[::2], 0.02), (near[1::2], 0.005)):
            assert float(half.std()) == pytest.approx(deviation, rel=0.1)
        assert (pool.surface.norm(dim=2) - 0.5).abs().max() < 0.01


def test_settings_choose_by_the_number_of_shapes():
    assert make_shapes_config(None, 1, []).preset == "fast"
    assert make_shapes_config(None, 4, []).preset == "latent"
    with pytest.raises(UsageError, match=r"too many shapes \(--preset fast\).*latent"):
        make_shapes_config("fast", 2, [])


@pytest.mark.parametrize(("resolution", "lattice"), [(8, (8, 0)), (64, (32, 1)), (256, (32, 3)), (300, (38, 3))])
def test_lattices_are_at_least_as_fine_as_asked(resolution, lattice):
    assert lattice_for(resolution, 32) == lattice
    assert lattice[0] * 2 ** lattice[1] >= resolution


@pytest.mark.parametrize(("shape", "handles"), [(ball(), 0), (torus(), 1), (box((1, 0.7, 0.4)), 0)])
def test_a_shape_comes_back(shape, handles, generator, runtime):
    """In its own frame, closed, with its handles, by 80 steps."""
    config, known = make_shapes_config(None, 1, HASH), solid(shape)
    pool = make_pool([known], config.samples, config.surface.places, generator)
    trainer = ShapesTrainer(config, pool, runtime.device)
    for _ in range(80):
        trainer.step()
    code = mean_code(trainer.model, pool.points[0, :100], pool.inside[0, :100].float())
    assert overlap(trainer.model, code, known, config.samples, generator) > 0.97
    found = shape_of(
        trainer.model, code, config, known.T_world_normalised, resolution=64, places=pool.surface[0].numpy()
    )
    seen = topology(found.mesh.faces, len(found.mesh.vertices))
    assert seen.closed and (seen.bodies, seen.handles) == (1, handles)
    assert 0 < found.share < 0.35
    np.testing.assert_allclose(np.ptp(found.mesh.vertices, axis=0), np.ptp(shape.vertices, axis=0), atol=0.05)

"""The renderer's own hash table (docs/decisions/0041): what it adds, how it moves the surface, how it is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from captures import make_capture
from tiny_fits import SMALL
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.fields.radiance import Radiance
from taichi_idr.fields.sample import GeometrySample
from taichi_idr.fields.table_adam import TableAdam
from taichi_idr.methods.catalogue import config_from_toml, make_config
from taichi_idr.methods.fast.colours import TabledRadiance
from taichi_idr.methods.fast.model import FastModel
from taichi_idr.methods.fast.settings import FAST, MASKLESS, QUALITY, ColoursConfig, FastConfig, ScheduleConfig
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.methods.hash_optimiser import Optimiser
from taichi_idr.settings import to_toml

POINTS = 20


def renderer(pull: float = 0.5) -> TabledRadiance:
    colours = ColoursConfig(levels=3, coarsest=4, finest=16, log2_rows=8, scale=0.5, pull=pull)
    config = FastConfig().radiance.model_copy(update={"width": 16})
    device = taichi_runtime.current().device
    return TabledRadiance(config, colours, 4, device, torch.Generator().manual_seed(0))


def surface_data(generator: torch.Generator) -> tuple[Tensor, Tensor, GeometrySample]:
    device = taichi_runtime.current().device
    points = (torch.rand(POINTS, 3, generator=generator) - 0.5).to(device).requires_grad_()
    flat = torch.nn.functional.normalize(torch.randn(POINTS, 3, generator=generator), dim=1).to(device)
    zeros = torch.zeros(POINTS, 2, device=device)
    return points, flat, GeometrySample(zeros[:, 0], flat, zeros, zeros)


def point_gradient(pull: float) -> Tensor:
    points, directions, geometry = surface_data(torch.Generator().manual_seed(1))
    renderer(pull)(points, directions, geometry).square().sum().backward()
    assert points.grad is not None
    return points.grad


def test_the_table_moves_the_surface_by_its_share():
    """Linear in it; colours are the same."""
    none, half, whole = (point_gradient(pull) for pull in (0.0, 0.5, 1.0))
    assert (whole - none).abs().max() > 1e-3
    torch.testing.assert_close(half, (none + whole) / 2, rtol=1e-4, atol=1e-6)
    seen = [renderer(pull)(*surface_data(torch.Generator().manual_seed(1))) for pull in (0.0, 1.0)]
    torch.testing.assert_close(*seen, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("train", [True, False])
def test_the_table_waits_for_trained_cameras(tmp_path: Path, train: bool) -> None:
    """Textures half learned drag them along."""
    photos = read_capture(make_capture(tmp_path / "balls", views=6))
    short = [*SMALL, "schedule.hull_steps=40", "schedule.steps=4", "schedule.warmup=0", "cameras.colours_from=0.5"]
    fit = FastTrainer(make_config("fast", [*short, f"cameras.train={train}"]), photos, taichi_runtime.current().device)
    fit.start(photos, lambda: None)
    assert isinstance(fit.model.radiance, TabledRadiance)
    table, moved = fit.model.radiance.colour_table.table, list[bool]()
    for _ in range(4):
        before = table.detach().clone()
        fit.step()
        moved.append(not torch.equal(before, table))
    assert moved == [not train, not train, True, True]


def error_on_checks(model: Radiance, tables: list[TableAdam]) -> float:
    """Mean error after 150 steps on a black and white pattern, a check as wide as a cell of the finest level."""
    device = taichi_runtime.current().device
    axis = torch.arange(8, device=device)
    row, column = (part.reshape(-1) for part in torch.meshgrid(axis, axis, indexing="ij"))
    points = torch.stack([row * 0.125 - 0.5, column * 0.125 - 0.5, torch.zeros(64, device=device)], dim=1)
    wanted = torch.where((row + column) % 2 == 0, -0.9, 0.9)[:, None].expand(64, 3)
    directions, zeros = torch.tensor([[0.0, 0.0, 1.0]], device=device).expand(64, 3), torch.zeros(64, 2, device=device)
    geometry = GeometrySample(zeros[:, 0], directions, zeros, zeros)
    networks = torch.optim.Adam(model.layers.parameters(), lr=6e-3)
    for step in range(1, 151):
        networks.zero_grad()
        (model(points, directions, geometry) - wanted).abs().mean().backward()
        networks.step()
        for table in tables:
            table.step(1.0, step)
    with torch.no_grad():
        return float((model(points, directions, geometry) - wanted).abs().mean())


def test_textures_are_learned_that_the_network_alone_does_not_see():
    model = renderer()
    device, generator = taichi_runtime.current().device, torch.Generator().manual_seed(0)
    plain = Radiance(FastConfig().radiance.model_copy(update={"width": 16}), 4, device, generator)
    assert error_on_checks(plain, []) > 0.5
    assert error_on_checks(model, [model.adam()]) < 0.1


@pytest.mark.parametrize("preset", [FAST, QUALITY, MASKLESS], ids=lambda preset: preset.preset)
def test_presets_have_the_table_and_older_runs_read_as_without(preset):
    assert make_config(preset.preset, []).colours.levels == 8
    older = "\n\n".join(part for part in to_toml(preset).split("\n\n") if "[colours]" not in part)
    assert older != to_toml(preset)
    assert config_from_toml(older, Path("config.toml")).colours.levels == 0
    config = make_config(preset.preset, ["colours.levels=0", "proxy.resolution=16", "schedule.hull_resolution=16"])
    assert not isinstance(FastModel(config, taichi_runtime.current().device).radiance, TabledRadiance)


def test_moments_of_the_table_are_saved():
    """And a step that is not finite moves it as little as everything else."""
    config = FastConfig.model_validate(
        {
            "geometry": {"levels": 2, "log2_rows": 8, "finest": 32, "width": 8, "features": 2},
            "proxy": {"resolution": 16},
            "radiance": {"width": 8},
            "colours": {"levels": 2, "log2_rows": 8, "finest": 32, "coarsest": 8},
        }
    )
    device = taichi_runtime.current().device
    model, again = FastModel(config, device), FastModel(config, device)

    def optimiser_of(model: FastModel) -> Optimiser:
        assert isinstance(model.radiance, TabledRadiance)
        tables = {"colours": model.radiance.adam()}
        return Optimiser(model.geometry, model.parameters(), ScheduleConfig(), tables)

    def step(model: FastModel, optimiser: Optimiser, factor: float = 1.0) -> bool:
        points = torch.linspace(-0.5, 0.5, 30, device=device).reshape(10, 3)
        directions = torch.nn.functional.normalize(points + 1, dim=1)
        optimiser.zero_gradients()
        sample = model.geometry.sample(points)
        (model.radiance(points, directions, sample).square().sum() * factor).backward()
        return optimiser.step(0.5)

    first, second = optimiser_of(model), optimiser_of(again)
    assert step(model, first)
    saved = {name: value.clone() for name, value in first.state().items()}
    assert saved["colours.first"].any()
    again.load_state_dict(model.state_dict())
    second.load_state(saved)
    assert step(model, first)
    assert step(again, second)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert not step(model, first, torch.nan)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not first.tables["colours"].gradient.any()

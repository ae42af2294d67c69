"""Preset nerf: what rays add up, the networks, fine samples, level sets, schedule, a fit that goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import make_capture
from scenes import rays_towards
from tiny_fits import assert_same_run, stopped_after

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.fit import fit_capture
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.errors import UsageError
from taichi_idr.meshes.ply import read_extraction
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.nerf.model import NerfModel
from taichi_idr.methods.nerf.network import RadianceNetwork
from taichi_idr.methods.nerf.samples import inverse_transform, refined
from taichi_idr.methods.nerf.settings import NerfConfig, NetworkConfig
from taichi_idr.methods.nerf.trainer import NerfTrainer
from taichi_idr.pictures.rendering import render_view
from taichi_idr.runs.loading import load_run
from taichi_idr.tracing.volume import stratified
from taichi_idr.types import Capture, Rays

TINY = [
    "network.width=32", "network.layers=3", "network.skip=1", "network.position_frequencies=4",
    "network.view_frequencies=2", "volume.coarse=12", "volume.fine=12", "schedule.rays=200", "schedule.rate=5e-3",
    "schedule.rate_end=5e-4", "log.metrics_interval=20", "log.checkpoint_interval=20", "log.judge_seconds=0",
]  # fmt: skip
OPTIONS = {"preset": "nerf", "assignments": TINY, "threads": 1}


def config_of(*more: str, **settings) -> NerfConfig:
    config = make_config("nerf", [*TINY, *more], **settings)
    assert isinstance(config, NerfConfig)
    return config


def small(*more: str) -> NerfModel:
    return NerfModel(config_of(*more), runtime.current().device)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_capture(tmp_path_factory.mktemp("captures") / "balls", views=10)


@pytest.fixture(scope="module")
def fitted(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "balls"
    fit_capture(capture, out=run, steps=300, **OPTIONS)
    return run


def trainer(capture: Capture, *more: str, **settings) -> NerfTrainer:
    return NerfTrainer(config_of(*more, **settings), capture, runtime.current().device)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("background", ["white", "black"])
def test_nerf_1_colours_add_up_as_written(generator, background):
    """NERF-1: C = sum T_i (1 - exp(-s_i d_i)) c_i with T_i = exp(-sum of s_j d_j before it), and the background."""
    model, rays = small(f"volume.background={background}"), rays_towards(9, generator)
    with torch.no_grad():
        model.fine.density.bias += 0.3
    place, more = (torch.rand(9, 12, generator=generator, dtype=torch.float64).to(rays.origins) for _ in range(2))
    _, fine = model.volume_looks(rays, place, more)
    nearest = -(rays.origins * rays.directions).sum(dim=1)
    leave = nearest + (16 - (rays.at(nearest) ** 2).sum(dim=1)).sqrt()
    for ray in range(9):
        stopped, expected = torch.zeros(()).double(), torch.zeros(3).double()
        ends = [*fine.depths[ray, 1:], leave[ray]]
        for depth, end in zip(fine.depths[ray], ends, strict=True):
            point = rays.origins[[ray]] + depth * rays.directions[[ray]]
            density, colour = model.fine(point, rays.directions[[ray]])
            amount = (density[0] * (end - depth)).cpu()
            expected += (-stopped).exp() * (1 - (-amount).exp()) * colour[0].cpu()
            stopped = stopped + amount
        expected += (-stopped).exp() * (background == "white")
        assert stopped > 0.1
        torch.testing.assert_close(fine.colour[ray].cpu(), expected, atol=1e-10, rtol=0)


def test_nerf_2_are_the_published_networks(runtime):
    """NERF-2: 8 x 256, the point again after the fifth, encodings of 10 and 4 octaves; 64 coarse and 128 fine."""
    network = RadianceNetwork(NetworkConfig(), runtime.device, torch.Generator().manual_seed(0), torch.float32)
    shapes = [tuple(layer.weight.shape) for layer in network.layers]
    assert shapes == [(256, 63), *[(256, 256)] * 4, (256, 319), *[(256, 256)] * 2]
    assert sum(p.numel() for p in network.parameters()) == 595_844  # as the released code's
    points, directions = torch.rand(2, 5, 3, device=runtime.device)
    density, colour = network(points, directions)
    assert density.shape == (5,) and (density >= 0).all() and (colour > 0).all() and (colour < 1).all()
    torch.testing.assert_close(network.density_at(points), density)
    volume = NerfConfig().volume
    assert (volume.coarse, volume.fine, volume.background) == (64, 128, "white")


def test_nerf_2_fine_samples_follow_the_coarse_weights(generator):
    """NERF-2: as many lie in a bin as its share says, evenly in it; a ray that saw nothing is sampled everywhere."""
    device = runtime.current().device
    edges = torch.tensor([[1.0, 1.5, 2.0, 4.0]], device=device).expand(2, 4)
    share = torch.tensor([[0.1, 0.6, 0.2], [0.0, 0.0, 0.0]], device=device)
    place = torch.rand(2, 30_000, generator=generator).to(device)
    depths = inverse_transform(edges, share, place)
    inside = [((depths > low) & (depths < high)).float().mean(dim=1) for low, high in ((1, 1.5), (1.5, 2), (2, 4))]
    counted = torch.stack(inside, dim=1).cpu()
    expected = torch.tensor([[1 / 9, 6 / 9, 2 / 9], [1 / 3] * 3])
    torch.testing.assert_close(counted, expected, atol=0.015, rtol=0)
    last = depths[0][depths[0] > 2]
    assert last.mean().item() == pytest.approx(3, abs=0.03) and last.std().item() == pytest.approx(
        2 / 12**0.5, abs=0.02
    )


def test_samples_rise_and_hold_the_first_ones(generator):
    near = torch.zeros(4, device=runtime.current().device)
    depths = stratified(near, near + 3, torch.rand(4, 16, generator=generator).to(near))
    share = torch.zeros_like(depths)
    share[:, 9] = 0.7
    more = torch.rand(4, 20, generator=generator).to(near)
    all_of_them = refined(depths, share, more)
    assert (all_of_them.diff(dim=1) >= 0).all()
    assert all(torch.isin(depths[ray], all_of_them[ray]).all() for ray in range(4))
    low, high = (depths[:, 8] + depths[:, 9]) / 2, (depths[:, 9] + depths[:, 10]) / 2
    near_peak = (all_of_them >= low[:, None]) & (all_of_them <= high[:, None])
    assert (near_peak.sum(dim=1) == 21).all()


def test_nerf_3_higher_levels_lie_within_lower_ones(fitted, tmp_path):
    """NERF-3: level sets of the density; no surface is that of the object, they only are inside each other."""
    model = load_run(fitted).model
    points = 2 * torch.rand(20_000, 3, generator=torch.Generator().manual_seed(1)).to(model.device) - 1
    inside = [model.at_level(level).surface(points) < 0 for level in (0.5, 1.0, 2.0)]
    assert inside[0].sum() > inside[1].sum() > inside[2].sum() > 0
    assert not (inside[1] & ~inside[0]).any() and not (inside[2] & ~inside[1]).any()
    sizes = []
    for level in (0.5, 2.0):
        report = mesh_run(fitted, resolution=32, level=level, out=tmp_path / f"{level}.ply")
        assert report.topology.closed
        assert read_extraction(tmp_path / f"{level}.ply") is None  # not what is measured
        sizes.append(np.prod(report.size))
    assert sizes[0] > sizes[1]


def test_nerf_3_gradients_are_those_of_less_density(fitted):
    model = load_run(fitted).model.at_level(2.0)
    points = 0.4 * torch.randn(3000, 3, generator=torch.Generator().manual_seed(2)).to(model.device)
    points = points[model.surface(points) < 0.9]  # where there is something
    slope, step = model.gradient(points), 1e-3
    assert len(points) > 100 and (slope.norm(dim=1) > 0).all()
    for axis, way in enumerate(torch.eye(3, device=model.device)):
        difference = (model.surface(points + step * way) - model.surface(points - step * way)) / (2 * step)
        assert (difference - slope[:, axis]).abs().median() < 0.02 * slope.abs().max()


@pytest.mark.parametrize(("level", "message"), [(0.0, "expected a density above 0"), (-1.0, "above 0")])
def test_a_level_is_above_zero(level, message):
    with pytest.raises(UsageError, match=message):
        small().at_level(level)


def test_nerf_4_follows_the_published_schedule(capture):
    """NERF-4: Adam from 5e-4 to 5e-5 by equal factors, squared errors of both colours, 1,024 rays."""
    config = NerfConfig()
    found = trainer(read_capture(capture), "schedule.rate=5e-4", "schedule.rate_end=5e-5", "schedule.steps=1000")
    rates = []
    for found.steps_done in (0, 500, 1000):
        rates.append(found.rate)
    assert rates == pytest.approx([5e-4, 5e-4 * 0.1**0.5, 5e-5])
    assert (config.schedule.rays, config.schedule.rate, config.schedule.rate_end) == (1024, 5e-4, 5e-5)
    assert 50 * config.schedule.epochs == 250_000
    found.steps_done = 0
    report = found.step()
    assert report.loss == report.terms["coarse"] + report.terms["fine"]
    assert report.measured["squared_error"] == report.terms["fine"]


def test_photos_with_masks_are_the_object_before_white(capture, tmp_path):
    read = read_capture(capture)
    found = trainer(read)
    assert float(found.model.get_buffer("far")) == 1
    batch = found.pixels.at_step(0)
    target = found._before_background(batch)
    assert (target[~batch.is_object] == 1).all() and batch.is_object.any()
    torch.testing.assert_close(target[batch.is_object], (batch.colour[batch.is_object] + 1) / 2)
    bare = tmp_path / "bare"
    shutil.copytree(capture, bare)
    shutil.rmtree(bare / "mask")
    found = trainer(read_capture(bare, need_masks=False))
    assert float(found.model.get_buffer("far")) == 4
    batch = found.pixels.at_step(0)
    assert torch.equal(found._before_background(batch), (batch.colour + 1) / 2)


def test_a_fit_sees_what_photos_show(fitted, capture):
    loaded, read = load_run(fitted), read_capture(capture)
    rendered = render_view(loaded.model, loaded.cameras[[3]], *read.masks[3].shape)
    photo = np.where(read.masks[3][..., None], read.images[3] / 255, 1.0)
    assert -10 * np.log10(((rendered.colour - photo) ** 2).mean()) > 21
    overlap = (rendered.hit & read.masks[3]).sum() / (rendered.hit | read.masks[3]).sum()
    assert overlap > 0.8
    middle = Rays(
        loaded.cameras.centres[[3]].float(), torch.nn.functional.normalize(-loaded.cameras.centres[[3]].float())
    )
    hits, look = loaded.model.trace(middle), loaded.model.look(middle, preview=True)
    assert hits.hit.all() and abs(hits.depth - look.depth).item() < 0.2
    assert look.normal[0] @ middle.directions[0] < 0


def test_a_fit_goes_on_bit_by_bit(capture, tmp_path):
    fit_capture(capture, out=tmp_path / "whole", steps=30, **OPTIONS)
    with stopped_after(NerfTrainer, 17):
        fit_capture(capture, out=tmp_path / "parts", steps=30, **OPTIONS)
    fit_capture(capture, out=tmp_path / "parts", steps=30, **OPTIONS)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")

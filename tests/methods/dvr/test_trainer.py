"""The trainer of preset dvr: Lemma 1 with f = -o, what pixels ask for, schedules, a fit that goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from captures import BALLS, SCALE, make_capture, write_depths
from tiny_fits import assert_same_run, stopped_after
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.fit import fit_capture
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.errors import UsageError
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.dvr import METHOD
from taichi_idr.methods.dvr.cube import cube_ends
from taichi_idr.methods.dvr.network import OccupancyNetwork
from taichi_idr.methods.dvr.settings import DvrConfig, NetworkConfig
from taichi_idr.methods.dvr.trainer import DvrTrainer, depth_error
from taichi_idr.runs.loading import load_run
from taichi_idr.tracing.sampled import first_surface
from taichi_idr.types import Capture, Hits, Rays

SMALL = [
    "network.width=32", "network.blocks=2", "march.samples=16,32", "march.finer=0.5", "schedule.rays=400",
    "schedule.rate=1e-2", "log.metrics_interval=40", "log.checkpoint_interval=80", "log.judge_seconds=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return read_capture(make_capture(tmp_path_factory.mktemp("captures") / "balls", views=5))


def trainer(capture: Capture, *more: str, **settings) -> DvrTrainer:
    config = make_config("dvr", [*SMALL, *more], **settings)
    assert isinstance(config, DvrConfig)
    return DvrTrainer(config, capture, runtime.current().device)


def ball_network(network: OccupancyNetwork, steps: int = 300) -> None:
    """Teach a network that a ball is inside."""
    generator = torch.Generator().manual_seed(3)
    adam = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(steps):
        points = 2.2 * torch.rand(500, 3, generator=generator).to(next(network.parameters())) - 1.1
        logit, _ = network(points)
        loss = ((logit - 5 * (0.6 - points.norm(dim=1))) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()


def test_dvr_1_is_the_published_network():
    """DVR-1: five residual blocks of two layers, one logit, three colours, no encoding; blocks begin as nothing."""
    generator = torch.Generator().manual_seed(0)
    network = OccupancyNetwork(NetworkConfig(), torch.device("cpu"), generator, torch.float32)
    width = 512
    assert sum(p.numel() for p in network.parameters()) == 4 * width + 10 * (width + 1) * width + (width + 1) * 4
    points = torch.rand(7, 3) - 0.5
    logit, colour = network(points)
    hidden = network.first(points / 2)
    for closing in network.closing:
        hidden = hidden + closing.bias
    straight = network.last(torch.relu(hidden))
    assert logit.shape == (7,) and colour.shape == (7, 3) and colour.min() > 0 and colour.max() < 1
    torch.testing.assert_close(logit, straight[:, 0])


@pytest.mark.precision("float64")
def test_dvr_5_is_lemma_1_with_f_the_negative_logit(capture):
    """DVR-5: dp/dtheta = -w (df/dp . w)^-1 df/dtheta to 1e-10, and the depth that a changed network has."""
    found = trainer(capture)
    ball_network(found.model.network)
    found.model.steepness.fill_(3.7)
    rays = found.poses.rays(*_middle_pixels(capture)).detach()

    def exactly(some: Rays) -> Hits:
        ends = cube_ends(some, found.config.march.half)
        return first_surface(some, ends, found.model.in_cube, samples=256, secant_iterations=60)

    hits = exactly(rays)
    seen, depth = rays[hits.hit], hits.depth[hits.hit]
    assert len(depth) > 20
    weight = torch.randn(len(depth), 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(depth)
    points, _, clamped = found.surface_points(seen, depth)
    parameters = list(found.model.network.parameters())
    gradients = torch.autograd.grad((weight * points).sum(), parameters, allow_unused=True)

    place = seen.at(depth).requires_grad_()
    (slope,) = torch.autograd.grad(found.model.network(place)[0].sum(), place)
    factor = -(weight * seen.directions).sum(dim=1) / (slope * seen.directions).sum(dim=1)
    value = found.model.network(seen.at(depth))[0]
    expected = torch.autograd.grad((factor * value).sum(), parameters, allow_unused=True)
    assert clamped == 0
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)

    bias, change = found.model.network.last.bias, 1e-6
    with torch.no_grad():
        bias[0] += change
    moved = exactly(seen).depth
    along = (weight * seen.directions).sum(dim=1)
    last = next(g for p, g in zip(parameters, gradients, strict=True) if p is bias)
    assert last is not None
    assert last[0].item() == pytest.approx((along * (moved - depth)).sum().item() / change, rel=1e-3)


def test_dvr_7_depth_moves_the_surface_along_the_ray(capture):
    """DVR-7: by Lemma 1 the term's slope is that of |t - d|; unknown depth has none."""
    found = trainer(capture)
    ball_network(found.model.network)
    rays = found.poses.rays(*_middle_pixels(capture)).detach()
    hits = found.model.first_surface(rays, 64)
    seen, depth = rays[hits.hit], hits.depth[hits.hit]
    known = torch.where(torch.arange(len(depth), device=depth.device) % 2 == 0, depth + 0.1, 0)
    points, _, _ = found.surface_points(seen, depth)
    (slope,) = torch.autograd.grad(depth_error(seen, points, known).sum(), points)
    expected = torch.where((known > 0)[:, None], -seen.directions, 0)
    torch.testing.assert_close(slope, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(depth_error(seen, points, known), torch.where(known > 0, 0.1, 0), atol=1e-5, rtol=0)


def test_dvr_7_a_known_depth_is_the_object_where_it_is_missed(tmp_path):
    """DVR-7: an empty network is asked to be full at the known depth of object pixels, and only there."""
    folder = make_capture(tmp_path / "balls", views=5)
    write_depths(folder, views=5)
    found = trainer(read_capture(folder, depth="maps"))
    with torch.no_grad():
        found.model.network.last.weight[0], found.model.network.last.bias[0] = 0, -6.0
    batch, asked = found.pixels.at_step(0), []
    found.model.network.register_forward_hook(lambda _, inputs, __: asked.append(inputs[0]))
    terms = found.losses(batch).terms
    *_, full, _beside = asked
    points, number = full * SCALE, int(batch.is_object.sum())  # mm from ORIGIN
    apart = torch.stack(
        [(points - torch.from_numpy(offset).to(points)).norm(dim=1) - radius for offset, radius in BALLS]
    )
    assert len(points) == number and apart.abs().amin(dim=0).max() < 0.05 and terms["depth"] == 0


def test_dvr_7_fewer_steps_with_depth(tmp_path, generator):
    """DVR-7: a shape after 120 steps, where 200 and more are needed without depth."""
    folder, seed = make_capture(tmp_path / "balls", views=6), generator.initial_seed()
    without = mask_iou(trained(folder, 120, seed))
    write_depths(folder, views=6)
    assert mask_iou(trained(folder, 120, seed)) > 0.7 > 0.4 > without


@pytest.mark.parametrize("off", ["depth.source=off", "loss.depth_weight=0"])
def test_dvr_7_depth_that_is_switched_off_changes_nothing(tmp_path, off):
    """DVR-7: bit by bit; switched on it does."""
    folder = make_capture(tmp_path / "balls", views=4)
    without = trained(folder, 10, 0).state()
    write_depths(folder, views=4)
    switched_off, on = trained(folder, 10, 0, off).state(), trained(folder, 10, 0).state()
    assert all(torch.equal(tensor, without[name]) for name, tensor in switched_off.items())
    assert not all(torch.equal(tensor, without[name]) for name, tensor in on.items())


def trained(folder: Path, steps: int, seed: int, *more: str) -> DvrTrainer:
    """After so many steps of 400."""
    config = make_config("dvr", [*SMALL, *more], seed=seed, schedule={"steps": 400})
    assert isinstance(config, DvrConfig)
    found = DvrTrainer(config, read_capture(folder, depth=METHOD.depth(config)), runtime.current().device)
    for _ in range(steps):
        found.step()
    return found


def mask_iou(found: DvrTrainer) -> float:
    """Over all pixels of the first two photos."""
    hit = torch.cat([found.model.trace(_rays(found, view)).hit for view in (0, 1)])
    mask = found.pixels.objects[: len(hit)]
    return float((hit & mask).sum() / (hit | mask).sum())


def _rays(found: DvrTrainer, view: int) -> Rays:
    """Of all pixels of a photo."""
    height, width = found.pixels.sizes[view].tolist()
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    position = torch.stack([column, row], dim=-1).reshape(-1, 2).to(found.model.device, found.model.dtype)
    return found.poses.rays(torch.full((len(position),), view, dtype=torch.int32), position).detach()


def _middle_pixels(capture: Capture) -> tuple[Tensor, Tensor]:
    """View and position of each third pixel of the first photo."""
    now = runtime.current()
    height, width = capture.masks[0].shape
    row, column = torch.meshgrid(torch.arange(0, height, 3), torch.arange(0, width, 3), indexing="ij")
    position = torch.stack([column, row], dim=-1).reshape(-1, 2).to(now.device, now.dtype)
    return torch.zeros(len(position), dtype=torch.int32, device=now.device), position


def test_dvr_6_pixels_ask_for_what_they_show(capture):
    """DVR-6: an empty network is asked to be full on the object alone, a full one to be empty beside it."""
    found = trainer(capture)
    batch = found.pixels.at_step(0)
    for logit, silent in ((-6.0, "free"), (6.0, "occupied")):
        with torch.no_grad():
            found.model.network.last.weight[0] = 0
            found.model.network.last.bias[0] = logit
        terms = found.losses(batch).terms
        assert terms["colour"] == 0 and terms["smooth"] == 0
        count = batch.is_object.float().mean().item()
        loud = "occupied" if silent == "free" else "free"
        share = count if loud == "occupied" else 1 - count
        assert terms[silent].item() < 0.01
        if loud == "occupied":
            assert terms[loud].item() == pytest.approx(6 * share, rel=0.01)
        else:
            assert 0 < terms[loud].item() <= 6.01 * share  # of those that meet the cube


def test_dvr_3_and_8_follow_the_published_schedule(capture):
    """DVR-3: 16 to 128 samples. DVR-8: rays, rate and epochs."""
    found = trainer(capture, "march.samples=16,32,64,128", "march.finer=0.17,0.34,0.85", "schedule.steps=1000")
    seen, rates = [], []
    for found.steps_done in range(0, 1001, 50):
        seen.append(found.samples)
        rates.append(found.rate)
    assert [seen.count(samples) for samples in (16, 32, 64, 128)] == [4, 3, 10, 4]
    assert [rates.count(rate) for rate in (1e-2, 5e-3, 2.5e-3)] == [10, 7, 4]
    config = make_config("dvr", [])
    assert isinstance(config, DvrConfig)
    assert (config.schedule.rays, config.schedule.rate, config.schedule.rate_epochs) == (2048, 1e-4, (3000, 5000))
    assert config.march.half == pytest.approx(1.1) and config.loss.smooth_weight == 0.05


def test_a_fit_finds_the_shape_and_goes_on_bit_by_bit(tmp_path):
    folder = make_capture(tmp_path / "balls", views=6)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = {"preset": "dvr", "assignments": SMALL, "steps": 400, "threads": 1}
    summary = fit_capture(folder, out=whole, **options)
    assert summary.mask_iou > 0.9
    with stopped_after(DvrTrainer, 210):
        fit_capture(folder, out=parts, **options)
    fit_capture(folder, out=parts, **options)
    assert_same_run(whole, parts)
    colours_as_in_its_mesh(whole)
    model = load_run(whole).model
    assert model.radius == pytest.approx(1.1 * 3**0.5)
    edge = torch.tensor([[1.2, 0.0, 0.0], [0.0, -1.4, 0.0]], device=model.device)
    assert (model.surface(edge).cpu() > torch.tensor([0.099, 0.299])).all()
    near = model.trace(Rays(torch.tensor([[0.0, 0.0, -3.0]]), torch.tensor([[0.0, 0.0, 1.0]])))
    slope = model.gradient(near.depth[:, None] * torch.tensor([[0.0, 0.0, 1.0]]) - torch.tensor([[0.0, 0.0, 3.0]]))
    assert 0.2 < slope.norm().item() < 5  # nearly a distance


def colours_as_in_its_mesh(run: Path) -> None:
    """DVR-9: watertight, each vertex in the colour that the network has there."""
    assert mesh_run(run, resolution=48).topology.closed
    loaded, mesh = load_run(run), trimesh.load(run / "mesh" / "mesh.ply", process=False)
    T = np.linalg.inv(loaded.T_world_normalised)
    places = torch.from_numpy(mesh.vertices @ T[:3, :3].T + T[:3, 3])
    colour = loaded.model.colour(places.to(loaded.model.device, loaded.model.dtype), places)
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3], 255 * colour.cpu().numpy(), atol=1.01)


def test_cameras_are_not_trained(capture, tmp_path):
    with pytest.raises(UsageError, match="method dvr takes them as they are"):
        fit_capture(capture.folder, out=tmp_path / "run", preset="dvr", cameras="train")


def test_the_surface_stays_where_it_is_when_the_steepness_is_followed(capture):
    found = trainer(capture)
    ball_network(found.model.network, 100)
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(2)).to(found.model.device) - 0.5
    before = found.model.surface(points)
    found._slopes = torch.full((5,), 2.0)
    found.moved(found.pixels.at_step(0))
    after = found.model.surface(points)
    assert torch.equal(before < 0, after < 0)
    torch.testing.assert_close(before / after, torch.full_like(before, 1.05))


def test_dvr_4_colours_are_those_of_the_place(capture):
    """DVR-4: the same from all sides; white where nothing is hit."""
    found = trainer(capture)
    ball_network(found.model.network)
    there = {"device": found.model.device, "dtype": found.model.dtype}
    origins = torch.tensor([[0.0, 0.0, -3.0], [1.5, 0.0, -3.0], [1.05, 1.05, -3.0]], **there)
    directions = torch.tensor([[0.0, 0.0, 1.0], [-0.4, 0.0, 0.9], [0.0, 0.0, 1.0]], **there)
    look = found.model.look(Rays(origins, torch.nn.functional.normalize(directions, dim=1)))
    assert look.hit.tolist() == [True, True, False] and (look.colour[2] == 1).all()
    points = torch.tensor([[0.0, 0.0, -0.6]], **there)
    seen = [found.model.colour(points, direction[None]) for direction in directions]
    assert torch.equal(seen[0], seen[1])
    torch.testing.assert_close(seen[0], look.colour[:1], atol=0.05, rtol=0)

"""Photo consistency: which photos are compared, what hides a point, and where the loss of a textured ball leads."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from ball_run import RADIUS
from textured_balls import Balls, ball, photograph, pixel_rays, twelve
from tiny_fits import SMALL, curve, fit, state
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr import runtime
from taichi_idr.capture.pixels import Photos, PixelBatch
from taichi_idr.capture.reading import read_capture
from taichi_idr.capture.synthetic import make_capture
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast.photo_consistency import PhotoConsistency, candidate_views, unlikeness, visible_views
from taichi_idr.methods.fast.settings import ConsistencyConfig
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import load_run
from taichi_idr.tracing.lattice import ProxyLattice

CONFIG = ConsistencyConfig(weight=1.0, sources=6, best=4)
OCCLUDER = ((1.1, 0.0, 0.0), 0.12)  # stands in the way of views 0 and 4
OFF = 0.02  # share of the radius by which the surface is off: less than a pixel between neighbours
STEPS = 10
QUALITY = (
    "schedule.hull_steps=50",
    "consistency.weight=0.1",
    "consistency.points=64",
    "consistency.reach=2",
    "consistency.widest=80",
)


@functools.lru_cache(maxsize=1)
def photos() -> Photos:
    return photograph(ball(), twelve())


def sampled(balls: Balls) -> ProxyLattice:
    """A lattice of their distance, within [-1, 1]."""
    current = runtime.current()
    lattice = ProxyLattice(64, current.device, current.dtype)

    def sdf(points: Tensor) -> Tensor:
        apart = (points[:, None] - balls.centres.to(points)).norm(dim=2) - balls.radii.to(points)
        return apart.amin(dim=1)

    lattice.refresh(sdf)
    return lattice


def seen_points(view: int, count: int, generator: torch.Generator) -> tuple[PixelBatch, Tensor]:
    """Pixels of a view well inside the ball and the points they see there, float64."""
    rays = pixel_rays(twelve(), view)
    hits = ball().trace(rays)
    facing = -(normalize(rays.at(hits.depth), dim=1) * rays.directions).sum(dim=1)
    inside = (hits.hit & (facing > 0.6)).nonzero()[:, 0]
    index = inside[torch.randperm(len(inside), generator=generator)[:count]]
    width = int(photos().sizes[view, 1])
    row, column, every = index // width, index % width, torch.ones(count, dtype=torch.bool)
    return photos().batch(torch.full((count,), view), row, column, every), rays.at(hits.depth)[index]


def test_candidates_face_the_point_at_an_angle_that_tells(generator):
    _, points = seen_points(5, 100, generator)
    centres, view = twelve().centres, torch.full((100,), 5)
    sources = candidate_views(points, normalize(points, dim=1), view, centres, CONFIG, generator)
    found = sources >= 0
    assert sources.shape == (100, 6) and float(found.double().mean()) > 0.5
    towards = normalize(centres - points[:, None], dim=2)
    index = found.nonzero()[:, 0]
    chosen = towards[index, sources[found].long()]
    angle = torch.rad2deg(torch.acos((chosen * towards[index, 5]).sum(dim=1)))
    assert CONFIG.narrowest < float(angle.min()) and float(angle.max()) < CONFIG.widest
    assert float((chosen * normalize(points[index], dim=1)).sum(dim=1).min()) > CONFIG.flattest
    assert all(len(set(row[row >= 0].tolist())) == int((row >= 0).sum()) for row in sources)


def test_a_point_seen_flat_has_no_candidates(generator):
    _, points = seen_points(5, 20, generator)
    away = normalize(torch.linalg.cross(points, twelve().centres[5].expand_as(points)), dim=1)
    sources = candidate_views(points, away, torch.full((20,), 5), twelve().centres, CONFIG, generator)
    assert bool((sources == -1).all())


def test_a_ball_in_the_way_hides_points_from_views_behind_it(generator):
    _, points = seen_points(5, 200, generator)
    points = points.to(runtime.current().device, runtime.current().dtype)
    centres = twelve().centres.to(points)
    sources = torch.arange(12, dtype=torch.int32, device=points.device).repeat(200, 1)
    balls = Balls(((0.0, 0.0, 0.0), RADIUS), ((0.8, 0.0, 0.0), 0.1))
    free = visible_views(points, sources, centres, sampled(ball()))
    left = visible_views(points, sources, centres, sampled(balls))
    for view in range(12):
        directions = normalize(centres[view] - points, dim=1)
        cosine = (directions * normalize(points, dim=1)).sum(dim=1)
        apart = points - balls.centres[1].to(points)
        along = -(apart * directions).sum(dim=1)
        miss = (apart + along[:, None] * directions).norm(dim=1)
        assert bool((free[cosine > 0.2, view] == view).all())
        assert bool((free[cosine < -0.2, view] == -1).all())
        assert bool((left[(along > 0.1) & (miss < 0.07), view] == -1).all())
        assert bool((left[(miss > 0.14) & (cosine > 0.2), view] == view).all())
    assert bool((left != free).any())


def loss_at(scale: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The loss with the ball's surface `scale` times as far out, and its slope in moving points outwards."""
    current = runtime.current()
    term = PhotoConsistency(photos(), CONFIG)
    batch, points = seen_points(5, 300, generator)
    points = points.to(current.device, current.dtype)
    rays = normalize(points - twelve().centres[5].to(points), dim=1)
    outwards = rays / (rays * normalize(points, dim=1)).sum(dim=1, keepdim=True)
    moved = (points + (scale - 1) * RADIUS * outwards).requires_grad_()
    loss = term.loss(term.posed(twelve()), batch, moved, normalize(points, dim=1), sampled(ball()), generator)
    (slope,) = torch.autograd.grad(loss, moved)
    return loss.detach(), (slope * outwards).sum()


def test_the_loss_is_least_at_the_surface_and_leads_there(generator):
    inside, surface, outside = (loss_at(scale, generator) for scale in (1 - OFF, 1.0, 1 + OFF))
    assert float(surface[0]) < 0.3 * float(torch.minimum(inside[0], outside[0]))
    assert float(inside[1]) < 0 < float(outside[1])
    assert abs(float(surface[1])) < 0.2 * float(torch.minimum(inside[1].abs(), outside[1]))


def test_patches_that_nothing_connects_do_not_pull():
    likeness = torch.tensor([-0.5, 0.0, 0.3, 0.9, 1.0], dtype=torch.float64, requires_grad=True)
    loss = unlikeness(likeness, 0.05)
    (slope,) = torch.autograd.grad(loss.sum(), likeness)
    assert loss[-1].item() == 0 and bool((loss[:-1] >= loss[1:]).all())
    assert slope[0] == slope[1] == 0
    assert 0 > slope[2] > slope[3] > slope[4]


def test_nothing_to_compare_is_no_loss(generator):
    term, (batch, points) = PhotoConsistency(photos(), CONFIG), seen_points(5, 10, generator)
    points = points.to(runtime.current().dtype).requires_grad_()
    loss = term.loss(term.posed(twelve()), batch, points, -points.detach(), sampled(ball()), generator)
    loss.backward()
    none = torch.arange(0)
    nothing = term.loss(term.posed(twelve()), batch[none], points[none], points[none], sampled(ball()), generator)
    assert loss.item() == nothing.item() == 0
    assert points.grad is not None and not points.grad.any()


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "ewer"
    return make_capture(folder, views=8, heldout=0, size=(64, 64), samples=2, mesh_resolution=32)


def test_preset_quality_fits_and_goes_on_where_it_stopped(capture, tmp_path):
    options = {"preset": "quality", "more": QUALITY, "steps": STEPS}
    fit(capture, tmp_path / "straight", **options)
    terms = {r["step"]: r["consistency"] for r in RunFolder(tmp_path / "straight").read_metrics()}
    assert {step for step, term in terms.items() if term > 0} == {6, 8, 10}  # from a share of 0.4 on
    assert load_run(tmp_path / "straight").config.preset == "quality"
    fit(capture, tmp_path / "broken", **options, time_limit=1e-9)
    fit(capture, tmp_path / "broken", **options)
    assert curve(tmp_path / "broken") == curve(tmp_path / "straight")
    straight, broken = state(tmp_path / "straight"), state(tmp_path / "broken")
    assert all(torch.equal(straight[name], broken[name]) for name in straight)


def test_trained_poses_do_not_follow_the_term(capture):
    """The first step moves them the same with and without it, and the field not."""
    tables, poses = [], []
    for weight in (0, 5):
        settings = [*SMALL, *QUALITY, "consistency.start=0", f"consistency.weight={weight}", "cameras.train=true"]
        device, read = runtime.current().device, read_capture(capture)
        config = make_config("quality", [*settings, "cameras.warmup=0", "schedule.warmup=0"])
        trainer = FastTrainer(config, read, device)  # pyright: ignore[reportArgumentType]
        trainer.start(read, lambda: None)
        report = trainer.step()
        assert (report.terms["consistency"].item() > 0) == (weight > 0)
        tables.append(trainer.model.geometry.table.detach().clone())
        poses.append(trainer.poses.cameras())
    assert torch.equal(poses[0].quaternions, poses[1].quaternions)
    assert torch.equal(poses[0].centres, poses[1].centres)
    assert not torch.equal(poses[0].centres, read_capture(capture).cameras.centres)
    assert not torch.equal(*tables)

"""The trainer of preset idr: sets, epochs, schedules, poses (TRACE-13/14, LOSS-1 to LOSS-5, CAM-4, CAM-5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from captures import make_capture
from tiny_fits import SMALL_IDR

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.epochs import rate_at
from taichi_idr.methods.idr.settings import IdrConfig
from taichi_idr.methods.idr.trainer import IdrTrainer, doublings_at
from taichi_idr.methods.losses import alpha_at
from taichi_idr.types import Capture

SMALL = [
    *SMALL_IDR,
    "schedule.rays=200",
]
VIEWS = 5
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return read_capture(make_capture(tmp_path_factory.mktemp("captures") / "balls", views=VIEWS))


def trainer(capture: Capture, *more: str) -> IdrTrainer:
    config = make_config("idr", [*SMALL, *more])
    assert isinstance(config, IdrConfig)
    return IdrTrainer(config, capture, runtime.current().device)


def test_loss_5_and_rates_follow_the_published_epochs():
    """LOSS-5 and section 5: alpha 50 ... 1600 at epochs 250 ... 1250, the rate halves at 1000 and 1500."""
    config = IdrConfig()
    alphas = [alpha_at(config.loss, doublings_at(config.schedule, epoch)) for epoch in (0, 249, 250, 1249, 1250, 2000)]
    assert alphas == [50, 50, 100, 800, 1600, 1600]
    rates = [rate_at(config.schedule, epoch) for epoch in (0, 999, 1000, 1500)]
    assert rates == [1e-4, 1e-4, 5e-5, 2.5e-5]


def test_steps_squeeze_the_epochs(capture):
    """Section 5: 2,001 epochs of one step per view; with `schedule.steps` the milestones keep their share."""
    assert trainer(capture).total_steps == 2001 * VIEWS
    short = trainer(capture, "schedule.steps=100")
    alphas = []
    for short.steps_done in range(100):
        alphas.append(short.alpha)
    rises = [step for step in range(1, 100) if alphas[step] > alphas[step - 1]]
    assert rises == [13, 25, 38, 50, 63]


def test_loss_4_weights_are_the_published_ones():
    """LOSS-4: mask 100, eikonal 0.1, on 1,024 box points."""
    loss = IdrConfig().loss
    assert (loss.mask_weight, loss.eikonal_weight, loss.eikonal_points, loss.smooth_weight) == (100, 0.1, 1024, 0)


@pytest.mark.precision("float64")
def test_terms_are_those_of_their_sets(capture):
    """LOSS-1 on hit object pixels, LOSS-2 on all others, LOSS-3 on box points and all traced points."""
    train = trainer(capture, "geometry.initial_bias=0.3")
    box = train.draw_box()
    batch = train.pixels.at_step(0)
    done = train.losses_with(batch, box, torch.Generator().manual_seed(3))
    on_surface = done.hits.hit & batch.is_object
    assert torch.equal(done.on_surface, on_surface)
    assert 0 < int(on_surface.sum()) < int(batch.is_object.sum())
    model, rays = train.model, train.poses.rays(batch.view, batch.position.double())

    seen = model.radiance(done.points, rays.directions[on_surface], model.geometry.sample(done.points))
    colour = (seen - batch.colour[on_surface]).abs().sum() / 200
    f = model.surface(rays.at(done.hits.search_depth))[~on_surface]
    entropy = torch.where(batch.is_object[~on_surface], f, -f).mul(50).exp().log1p()
    mask = 100 * entropy.sum() / 50 / 200
    slopes = model.gradient(torch.cat([box, rays.at(done.hits.search_depth)])).norm(dim=1)
    assert done.report.terms["colour"].item() == pytest.approx(colour.item(), rel=ROUNDING)
    assert done.report.terms["mask"].item() == pytest.approx(mask.item(), rel=ROUNDING)
    assert done.report.terms["eikonal"].item() == pytest.approx(0.1 * ((slopes - 1) ** 2).mean().item(), rel=1e-9)


@pytest.mark.precision("float64")
def test_mask_points_are_the_tracers(capture):
    """TRACE-13: past the sphere the point nearest to the centre. TRACE-14: elsewhere inside the sphere, and for
    background pixels that are hit behind the surface."""
    train = trainer(capture, "tracer.radius=0.55")
    batch = train.pixels.at_step(1)
    hits = train.losses_with(batch, train.draw_box(), torch.Generator().manual_seed(3)).hits
    rays = train.poses.rays(batch.view, batch.position.double())
    outside = hits.status == 0
    assert outside.any()
    nearest = -(rays.origins * rays.directions).sum(dim=1)
    torch.testing.assert_close(hits.search_depth[outside], nearest[outside], atol=ROUNDING, rtol=0)
    assert (rays.at(hits.search_depth)[~outside].norm(dim=1) <= 0.55 + 1e-9).all()
    behind = hits.hit & ~batch.is_object
    assert behind.any()
    assert (hits.search_depth[behind] >= hits.depth[behind]).all()


@pytest.mark.precision("float64")
def test_the_mask_loss_moves_the_cameras_along_with_f(capture):
    """LOSS-2: x* is fixed in t, attached in c and v: its slope in a centre is that of finite differences."""
    train = trainer(capture, "cameras.train=true", "loss.eikonal_weight=0")
    batch, box = train.pixels.at_step(0), train.draw_box()
    background = torch.zeros_like(batch.is_object)
    batch = replace(batch, is_object=background)
    done = train.losses_with(batch, box, torch.Generator().manual_seed(3))
    done.report.terms["mask"].backward()
    assert train.poses.places.grad is not None
    view = int(batch.view[0])
    depth = done.hits.search_depth

    def mask(shift: float) -> float:
        with torch.no_grad():
            train.poses.places[view, 0] += shift
            f = train.model.surface(train.poses.rays(batch.view, batch.position.double()).at(depth))
            train.poses.places[view, 0] -= shift
        return float(100 * (-50 * f).exp().log1p().sum() / 50 / len(f))

    slope = (mask(1e-6) - mask(-1e-6)) / 2e-6
    assert train.poses.places.grad[view, 0].item() == pytest.approx(slope, rel=1e-6)


def test_only_the_sampled_view_moves(capture):
    """CAM-4, CAM-5: quaternion and centre of the step's view, at a rate that no schedule changes."""
    train = trainer(capture, "cameras.train=true", "schedule.steps=40")
    for _ in range(2 * VIEWS):
        before = {name: p.detach().clone() for name, p in train.poses.named_parameters()}
        view = int(train.pixels.at_step(train.steps_done).view[0])
        train.step()
        for name, parameter in train.poses.named_parameters():
            moved = (parameter.detach() != before[name]).any(dim=1)
            assert moved.nonzero()[:, 0].tolist() == [view], name
    assert set(dict(train.poses.named_parameters())) == {"quaternions", "places"}
    torch.testing.assert_close(train.poses.centres, train.poses.places)


def test_fixed_cameras_stay(capture):
    train = trainer(capture)
    train.step()
    assert torch.equal(train.poses.cameras().centres, capture.cameras.centres)


@pytest.mark.parametrize("is_object", [True, False])
def test_empty_sets_give_finite_steps(capture, is_object):
    """Pixels of one kind alone: no hit object pixel, or no other."""
    train = trainer(capture)
    train.pixels.objects[:] = is_object
    report = train.step()
    assert train.applied
    assert torch.isfinite(report.loss)


def test_a_broken_step_moves_nothing(capture):
    train = trainer(capture)
    before = [p.detach().clone() for p in train.model.parameters()]
    train.poses.inverse_intrinsics[:] = torch.nan
    train.step()
    assert not train.applied
    assert all(torch.equal(a, b) for a, b in zip(before, train.model.parameters(), strict=True))


def test_double_precision_asks_every_sample(capture):
    """In float32 a step asks the field less than half as often, at the same points."""
    train = trainer(capture)
    batch, box = train.pixels.at_step(0), train.draw_box()
    ends, queries = [], []
    for train.model.screened in (False, True):
        ends.append(train.losses_with(batch, box, torch.Generator().manual_seed(3)).hits)
        queries.append(train.scheduled()["sdf_queries"])
    assert torch.equal(ends[0].status, ends[1].status)
    assert queries[1] < 0.5 * queries[0]


@pytest.mark.precision("float64")
def test_double_precision_is_not_screened(capture):
    assert not trainer(capture).model.screened


def test_the_papers_readings_are_settings(capture):
    """Section 10: the far front for stragglers alone asks less often; the mask loss may search the whole ray."""
    queries = {}
    for name, more in {"released": (), "paper": ("tracer.far_front=stragglers", "tracer.search=paper")}.items():
        train = trainer(capture, *more)
        train.model.screened = False
        train.step()
        assert train.applied
        queries[name] = train.scheduled()["sdf_queries"]
    assert queries["paper"] < queries["released"]

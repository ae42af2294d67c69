"""What the surface encloses, and the term that keeps it solid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from captures import make_capture
from tiny_fits import SMALL
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast.inside import DEPTH, drawn_around, enclosed, hollow_loss
from taichi_idr.methods.fast.model import FastModel
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.methods.fast.terms import INSIDE_PER_STEP
from taichi_idr.methods.fast.trainer import FastTrainer

RESOLUTION, RADIUS = 32, 0.6
CELL = 2 / (RESOLUTION - 1)
SLANT = 3**0.5  # how much further than its sides a cube of cells reaches


@pytest.fixture
def radius() -> Tensor:
    """Distance from the origin at the lattice's points."""
    axis = torch.linspace(-1, 1, RESOLUTION)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).norm(dim=0)


def test_what_is_deep_in_a_ball_is_enclosed(radius):
    deep = enclosed(radius - RADIUS)
    assert deep[radius < RADIUS - SLANT * (DEPTH + 1) * CELL].all()
    assert not deep[radius > RADIUS - DEPTH * CELL].any()


def test_a_hollow_is_enclosed(radius):
    ball = radius - RADIUS
    assert torch.equal(enclosed(torch.maximum(ball, 0.3 - radius)), enclosed(ball))


def test_a_hollow_with_a_way_out_is_air(radius):
    """A channel from the middle to the border of the lattice."""
    hollow = torch.maximum(radius - RADIUS, 0.15 - radius)
    middle = RESOLUTION // 2
    hollow[middle, middle, middle:] = 1.0
    found = enclosed(hollow)
    assert not found[radius < 0.15].any()
    assert found.any()


def test_a_model_knows_where_its_inside_is_hollow(radius):
    """And what is no hollow any more once the lattice is another."""
    config = make_config("fast", [f"proxy.resolution={RESOLUTION}"])
    assert isinstance(config, FastConfig)
    model = FastModel(config, runtime.current().device)
    ball, speck = radius - RADIUS, 2.5 * CELL
    model.lattice.values.copy_(torch.maximum(ball, speck - radius))
    model.lattice_changed()
    deep, hollow = model.inside()
    assert len(deep) == int(enclosed(ball).sum())
    assert 0 < float(hollow.norm(dim=1).max()) < speck + CELL
    assert len(hollow) == int((radius < speck + CELL).sum())
    model.lattice.values.copy_(ball)
    model.lattice_changed()
    deep_again, hollow = model.inside()
    assert torch.equal(deep_again, deep) and len(hollow) == 0


def test_a_step_asks_where_the_inside_is_hollow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One point of a lattice of many: drawn all over the inside, few points would meet it."""
    photos = read_capture(make_capture(tmp_path, views=6))
    config = make_config("fast", SMALL)
    assert isinstance(config, FastConfig)
    fit = FastTrainer(config, photos, runtime.current().device)
    fit.start(photos, lambda: None)
    fit.step()
    lattice, geometry = fit.model.lattice, fit.model.geometry
    deep = enclosed(lattice.values).nonzero()
    place = deep[len(deep) // 2]
    lattice.values[tuple(place)] = lattice.cell
    fit.model.lattice_changed()
    asked, sdf = list[Tensor](), geometry.sdf
    monkeypatch.setattr(geometry, "sdf", lambda points: asked.append(points.detach()) or sdf(points))
    fit.step()
    near = (torch.cat(asked) - (place * lattice.cell - 1)).abs().amax(dim=1) <= 0.51 * lattice.cell
    assert int(near.sum()) >= INSIDE_PER_STEP


def test_nothing_and_everything():
    one = torch.ones(8, 8, 8)
    assert not enclosed(one).any()
    assert enclosed(-one).all()


def test_what_is_less_than_a_cell_below_costs():
    sdf = torch.tensor([0.2, -0.5, 0.0, -CELL / 2], requires_grad=True)
    loss = hollow_loss(sdf, CELL)
    assert float(loss.detach()) == pytest.approx((0.2 + CELL + CELL + CELL / 2) / 4)
    loss.backward()
    assert sdf.grad is not None and sdf.grad.tolist() == [0.25, 0, 0.25, 0.25]
    assert hollow_loss(sdf[:0], CELL) == 0


def test_points_are_drawn_all_over_the_cells_around_places():
    places = torch.tensor([[0.0, 0, 0], [0.5, 0, 0]])
    points = drawn_around(places, CELL, 1000, torch.Generator().manual_seed(0))
    away = (points[:, None] - places).abs().amax(dim=2).amin(dim=1)
    assert points.shape == (1000, 3) and away.max() <= CELL / 2
    assert (away > CELL / 4).any() and (points[:, 0] > 0.25).float().mean() == pytest.approx(0.5, abs=0.1)
    assert len(drawn_around(places[:0], CELL, 1000, torch.Generator())) == 0

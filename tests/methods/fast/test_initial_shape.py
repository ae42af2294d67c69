"""Where a fit starts, and the pictures of what it then is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taichi_idr import runtime as taichi_runtime
from taichi_idr.methods.fast.initial_shape import BALL_RADIUS, above_support, hull_distance, teach_distance
from taichi_idr.methods.fast.model import FastModel
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.pictures.rendering import render_view
from taichi_idr.types import Cameras, Plane

HULL = 48
CELL = 2 / (HULL - 1)
RADIUS = 0.5


def grid(resolution: int) -> torch.Tensor:
    axis = torch.linspace(-1, 1, resolution)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)


def test_hull_distance_of_a_ball():
    exact = grid(HULL).norm(dim=-1) - 0.6
    distance = hull_distance(exact < 0)
    near = exact.abs() < 0.2
    assert (distance - exact)[near].abs().max() < 2 * CELL  # stairs of a cell, smoothed


def test_an_empty_hull_starts_from_a_ball():
    distance = hull_distance(torch.zeros(24, 24, 24, dtype=torch.bool))
    assert distance[12, 12, 12] == pytest.approx(-BALL_RADIUS, abs=0.1)
    assert distance[0, 0, 0] > 1


@pytest.mark.parametrize("allowance", [0.0, 2 * CELL])
def test_nothing_is_below_what_the_object_stands_on(allowance):
    """A bound that is widened by the allowance ends at half a cell below the plane at most."""
    places = grid(HULL)
    ball, plane = places.norm(dim=-1) - RADIUS, Plane(np.array([0.0, 0.6, 0.8]), -0.2)
    height = torch.from_numpy(plane.height(places.numpy())).float()
    cut = above_support(ball, plane, allowance) - allowance
    assert (cut[height < -CELL / 2 - 1e-6] > 0).all()
    own = ball - allowance > -height
    assert own.any()
    torch.testing.assert_close(cut[own], (ball - allowance)[own])
    assert above_support(ball, None, allowance) is ball


def test_teaching_may_be_stopped(generator):
    def stop() -> None:
        raise KeyboardInterrupt

    model = small_model()
    with pytest.raises(KeyboardInterrupt):
        teach_distance(model, hull_distance(grid(HULL).norm(dim=-1) < RADIUS), model.config.schedule, generator, stop)


def small_model() -> FastModel:
    small = {"levels": 5, "log2_rows": 11, "finest": 48, "width": 32}
    config = FastConfig.model_validate({"geometry": small, "proxy": {"resolution": 48}})
    return FastModel(config, taichi_runtime.current().device)


def test_a_taught_ball_is_rendered_as_a_ball(generator):
    """Silhouette, depth and normal of a ball seen from 2.5, against the closed form."""
    model = small_model()
    hull = grid(HULL).norm(dim=-1) < RADIUS
    assert teach_distance(model, hull_distance(hull), model.config.schedule, generator) < 0.02
    K = torch.tensor([[[60.0, 0, 19.5], [0, 60, 19.5], [0, 0, 1]]], dtype=torch.float64)
    centre = torch.tensor([[0.0, 0, -2.5]], dtype=torch.float64)
    camera = Cameras(torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64), centre, K)
    view = render_view(model, camera, 40, 40)
    assert view.depth[20, 20] == pytest.approx(2.0, abs=0.03)
    facing = view.normals[15:25, 15:25].reshape(-1, 3).mean(axis=0)
    assert facing @ np.array([0, 0, -1]) > 0.9
    column, row = np.meshgrid(np.arange(40), np.arange(40))
    distance = np.hypot(column - 19.5, row - 19.5)
    outline = 60 * RADIUS / np.sqrt(2.5**2 - RADIUS**2)
    assert view.hit[distance < outline - 1.2].all()
    assert not view.hit[distance > outline + 1.2].any()
    assert (view.colour[~view.hit] == 1).all()
    within = np.zeros((40, 40), bool)
    within[20, 18:22] = True
    part = render_view(model, camera, 40, 40, within=within)
    assert part.hit.sum() == 4
    np.testing.assert_allclose(part.colour[20, 20], view.colour[20, 20], atol=1e-5)


def test_nothing_outside_the_grown_hull(generator):
    """The network alone may say what it likes there; inside the hull it is not touched."""
    model = small_model()
    points = 2 * torch.rand(500, 3, generator=generator).to(model.hull.device) - 1
    alone = model.surface(points)
    distance = hull_distance(grid(model.config.schedule.hull_resolution).norm(dim=-1) < RADIUS)
    model.bound_by_hull(distance)
    bounded, radius = model.surface(points), points.norm(dim=1)
    far, deep = radius > RADIUS + 4 * CELL, radius < RADIUS - 0.3
    assert (bounded[far] > 0).all()
    assert torch.equal(bounded[deep & (alone > -0.2)], alone[deep & (alone > -0.2)])


def test_the_lattice_follows_a_hull_that_lost_a_part():
    """What was deep inside lies in no band near the surface and, outside the hull, in no sweep."""
    model = small_model()
    model.lattice.values.fill_(-1)
    model.bound_by_hull(hull_distance(grid(model.config.schedule.hull_resolution).norm(dim=-1) < RADIUS))
    radius = model.lattice.places().norm(dim=1).view_as(model.lattice.values)
    assert (model.lattice.values[radius > RADIUS + 4 * CELL] > 0).all()
    assert (model.lattice.values[radius < RADIUS] < 0).all()
    assert (model.lattice.values[~model.possible()] > 0).all()

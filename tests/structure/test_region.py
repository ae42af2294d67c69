"""Where the object is among points, and what it stands on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from table_scene import MIDDLE, RADIUS, TableScene, make_scene

from taichi_idr.errors import BadInput
from taichi_idr.structure.model import Structure
from taichi_idr.structure.region import ROOM, find_region, region_of_ball, upright
from taichi_idr.types import Plane


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> TableScene:
    return make_scene(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def structure(scene: TableScene) -> Structure:
    return scene.structure(np.random.default_rng(0), stray=60)


def ball_alone(structure: Structure) -> Structure:
    on_ball = np.flatnonzero(np.abs(np.linalg.norm(structure.points - MIDDLE, axis=1) - RADIUS) < 1e-6)
    kept = np.isin(structure.observed, on_ball)
    parts = {key: getattr(structure, key)[kept] for key in ("observing", "places")}
    observed = np.searchsorted(on_ball, structure.observed[kept])
    return replace(
        structure, points=structure.points[on_ball], errors=structure.errors[on_ball], observed=observed, **parts
    )


def turned() -> np.ndarray:
    """A similarity."""
    axis = np.array([0.3, -0.5, 0.2])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.linalg.solve(np.eye(3) + cross, np.eye(3) - cross)  # Cayley
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = 3 * rotation, (5.0, -2.0, 1.0)
    return T


@pytest.mark.parametrize("T", [np.eye(4), turned()], ids=["as it is", "in another frame"])
def test_the_ball_is_found_on_its_table(structure, T):
    found = find_region(structure.moved(T), np.random.default_rng(0))
    scale, truth = np.cbrt(np.linalg.det(T[:3, :3])), T[:3, :3] @ MIDDLE + T[:3, 3]
    assert found.support is not None
    assert found.support.height(truth[None])[0] == pytest.approx(scale * RADIUS, rel=0.02)
    assert np.linalg.norm(found.centre - truth) + scale * RADIUS < found.radius  # holds all of it
    assert found.radius < 1.1 * ROOM * scale * RADIUS
    on_ball = np.abs(np.linalg.norm(structure.points - MIDDLE, axis=1) - RADIUS) < 1e-6
    assert (found.is_object & ~on_ball).sum() < 0.02 * on_ball.sum()
    assert (found.is_object & on_ball).sum() > 0.9 * on_ball.sum()
    assert not (found.is_object & found.is_support).any()


def test_an_object_in_the_air_has_no_support(structure):
    found = find_region(ball_alone(structure), np.random.default_rng(0))
    assert found.support is None
    assert np.linalg.norm(found.centre - MIDDLE) < 0.1 * RADIUS
    assert found.is_object.all()


def test_a_flat_top_is_no_support(structure):
    """A third of the ball's points lie on a disc that cuts it: there are as many below."""
    alone = ball_alone(structure)
    points = alone.points.copy()
    points[::3, 2] = MIDDLE[2]
    assert find_region(replace(alone, points=points), np.random.default_rng(0)).support is None


def test_nothing_is_found_where_nothing_is(structure):
    with pytest.raises(BadInput, match="object not found"):
        find_region(replace(structure, points=structure.points + 50), np.random.default_rng(0))


def test_before_a_table_a_ball_is_guessed_where_the_object_has_no_points(structure):
    table = structure.points[:, 2] == 0
    bare = replace(structure, points=np.where(table[:, None], structure.points, 50.0))
    found = find_region(bare, np.random.default_rng(0))
    assert found.support is not None and not found.is_object.any()
    assert np.linalg.norm(found.centre - MIDDLE) + RADIUS < 1.5 * found.radius


def test_upright_is_the_unit_ball_with_the_table_below(structure):
    moved = structure.moved(turned())
    placed, region = upright(moved, find_region(moved, np.random.default_rng(0)))
    assert region.radius == 1 and not region.centre.any() and region.support is not None
    np.testing.assert_allclose(region.support.normal, (0, 0, 1), atol=1e-9)
    assert -1 < region.support.offset < 0
    assert (placed.centres[:, 2] > region.support.offset).all()
    assert np.linalg.norm(placed.points[region.is_object], axis=1).max() < 1 / ROOM + 0.01


def test_without_support_up_is_as_cameras_stand(structure):
    alone = ball_alone(structure)
    placed, _ = upright(alone, find_region(alone, np.random.default_rng(0)))
    down = placed.rotations[:, :, 1].mean(axis=0)
    assert down[2] / np.linalg.norm(down) == pytest.approx(-1, abs=1e-6)


def test_a_ball_that_is_told(structure):
    found = region_of_ball(structure, MIDDLE, 1.2 * RADIUS, Plane(np.array([0.0, 0, 1]), 0.0))
    assert found.is_object.sum() > 1000 and (structure.points[found.is_object, 2] > 0).all()
    assert found.is_support.any() and np.abs(structure.points[found.is_support, 2]).max() < 0.02
    assert not region_of_ball(structure, MIDDLE, 1.2 * RADIUS, None).is_support.any()


def test_a_plane_in_another_frame():
    T, points = turned(), np.random.default_rng(1).normal(size=(20, 3))
    plane = Plane(np.array([0.6, 0.0, 0.8]), 0.7)
    moved = plane.moved(T)
    np.testing.assert_allclose(moved.height(points @ T[:3, :3].T + T[:3, 3]), 3 * plane.height(points))
    assert np.linalg.norm(moved.normal) == pytest.approx(1)


def test_moved_cameras_see_the_same(structure):
    from table_scene import project

    T = turned()
    moved = structure.moved(T)
    for before, after in zip(structure.views, moved.views, strict=True):
        np.testing.assert_allclose(project(after, moved.points), project(before, structure.points), atol=1e-6)


def test_points_far_from_where_photos_show_them_do_not_count(structure):
    errors = structure.errors.copy()
    wrong = np.arange(0, len(errors), 2)
    errors[wrong] = 50.0
    found = find_region(replace(structure, errors=errors), np.random.default_rng(0))
    assert not found.is_object[wrong].any() and found.is_object.any()

"""Thinning keeps the mean and the bulk; outliers go, surfaces of other density stay."""

from __future__ import annotations

import numpy as np
import point_clouds
import pytest

from taichi_idr.clouds.cleaning import cleaned, on_surfaces
from taichi_idr.clouds.cloud import Cloud
from taichi_idr.errors import BadInput

SETTINGS = {"count": 12, "apart": 1.8}
GOOD_LOST = 0.02
FAR = 0.15  # from the surface, where 5 % outliers lie apart from it


def test_outliers_go_and_the_surface_stays():
    generator = np.random.default_rng(0)
    good = point_clouds.torus(20_000, generator).points + 0.005 * generator.normal(size=(20_000, 3))
    bad = 2.4 * generator.random((1000, 3)) - 1.2
    kept = on_surfaces(np.concatenate([good, bad]), **SETTINGS)
    far = np.abs(point_clouds.torus_distance(bad)) > FAR
    assert far.sum() > 500
    assert not kept[20_000:][far].any()
    assert kept[:20_000].mean() > 1 - GOOD_LOST


def test_a_sparser_side_stays():
    """Ten times fewer points on one side than on the other."""
    generator = np.random.default_rng(1)
    points = point_clouds.sphere(40_000, generator).points
    points = points[generator.random(40_000) < 10 ** (-(points[:, 0] + 1) / 2)]
    kept = on_surfaces(points, **SETTINGS)
    sparse = points[:, 0] > 0.8
    assert sparse.sum() > 300
    assert kept[sparse].mean() > 1 - GOOD_LOST


def test_thinning_averages_what_is_close():
    generator = np.random.default_rng(2)
    ball = point_clouds.sphere(50_000, generator)
    colours = np.repeat(np.array([[10, 200, 90]], np.uint8), 50_000, axis=0)
    far = 1e6
    thin = cleaned(Cloud(ball.points + far, ball.normals, colours), most=2000, **SETTINGS)
    found = thin.cloud
    assert 1000 < len(found) < 2200
    assert thin.merged + thin.outliers + len(found) == 50_000
    radius = np.linalg.norm(found.points - far, axis=1)
    assert np.abs(radius - 1).max() < 0.01
    assert (np.einsum("ni,ni->n", found.normals, found.points - far) > 0).all()
    assert (found.colours == colours[0]).all()


def test_outliers_in_a_crowd_go_too():
    """After thinning one is as far from others as any point of the surface."""
    generator = np.random.default_rng(4)
    good = point_clouds.torus(200_000, generator).points + 0.005 * generator.normal(size=(200_000, 3))
    bad = 2.4 * generator.random((10_000, 3)) - 1.2
    found = cleaned(Cloud(np.concatenate([good, bad])), most=5000, **SETTINGS).cloud.points
    assert len(found) > 4000
    assert np.abs(point_clouds.torus_distance(found)).max() < FAR


def test_the_same_points_twice_are_one():
    points = np.repeat(point_clouds.sphere(500, np.random.default_rng(0)).points, 3, axis=0)
    assert len(cleaned(Cloud(points), most=10_000, **SETTINGS).cloud) == 500


def test_a_point_at_the_end_of_the_world_does_no_harm():
    points = point_clouds.sphere(500, np.random.default_rng(0)).points
    points[0] = 1e12
    assert np.abs(cleaned(Cloud(points), most=10_000, **SETTINGS).cloud.points).max() < 1.1


PLANE = np.random.default_rng(0).random((500, 3)) * [1, 1, 0] + 5
FLAT = {
    "in one place": np.ones((500, 3)),
    "in one plane": PLANE,
    "on one line": PLANE * [1, 0, 0],
}


@pytest.mark.parametrize("why", FLAT)
def test_what_has_no_inside_is_refused(why):
    with pytest.raises(BadInput, match=why):
        cleaned(Cloud(FLAT[why]), most=10_000, **SETTINGS)

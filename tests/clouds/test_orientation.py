"""PTS-3: normals point outwards, and an inside is found, on shapes of many kinds."""

from __future__ import annotations

import numpy as np
import point_clouds
import pytest

from taichi_idr.clouds.cloud import Cloud
from taichi_idr.clouds.indicator import indicator, value_at
from taichi_idr.clouds.normals import local_planes
from taichi_idr.clouds.orientation import lattice_for, oriented

COUNT = 8000
NOISE = 0.004
OUTWARDS = 0.995  # share of normals
APART = np.array([0.4, 0, 0])


def two_bodies(count: int, generator: np.random.Generator) -> Cloud:
    near, far = (point_clouds.sphere(count // 2, generator, 0.3) for _ in range(2))
    points = np.concatenate([near.points - APART, far.points + APART])
    return Cloud(points, np.concatenate([near.normals, far.normals]))


def holed(count: int, generator: np.random.Generator) -> Cloud:
    """A ball of which a cap of 50 degrees was not scanned."""
    ball = point_clouds.sphere(2 * count, generator, 0.8)
    return ball[ball.points[:, 2] < 0.8 * np.cos(np.radians(50))]


def beaker(count: int, generator: np.random.Generator) -> Cloud:
    """A cylinder that is open above: outside, inside and floors; no rim."""
    outer, inner, height = 0.4, 0.3, 0.6
    parts = []
    for radius, side, low in ((outer, 1.0, -height), (inner, -1.0, -height + 0.1)):
        angle = 2 * np.pi * generator.random(count // 2)
        normals = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
        z = low + (height - low) * generator.random(count // 2)
        disc = np.sqrt(generator.random(count // 8))[:, None] * radius * normals[: count // 8]
        floor = disc + np.array([0, 0, low])
        wall = radius * normals + z[:, None] * np.array([0, 0, 1.0])
        down = np.repeat([[0, 0, -side]], len(floor), axis=0)
        parts.append((np.concatenate([wall, floor]), np.concatenate([side * normals, down])))
    return Cloud(np.concatenate([p for p, _ in parts]), np.concatenate([n for _, n in parts]).astype(np.float32))


SHAPES = {
    "ball": lambda count, generator: point_clouds.sphere(count, generator, 0.8),
    "torus": lambda count, generator: point_clouds.torus(count, generator),
    "plate": lambda count, generator: point_clouds.box(count, generator, (0.6, 0.5, 0.03)),
    "two": two_bodies,
    "hole": holed,
    "beaker": beaker,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_estimated_normals_point_outwards(shape):
    generator = np.random.default_rng(5)
    cloud = SHAPES[shape](COUNT, generator)
    scale = 0.8 / np.linalg.norm(cloud.points, axis=1).max()
    points = (scale * (cloud.points + NOISE * generator.normal(size=cloud.points.shape))).astype(np.float32)
    planes = local_planes(points)
    found = oriented(points, planes, None, lattice_for(planes.spacing, 128))
    outwards = np.einsum("ni,ni->n", found.normals, cloud.normals) > 0
    assert outwards.mean() > OUTWARDS
    assert found.settled


def test_given_normals_are_kept_where_they_have_a_length():
    ball = point_clouds.sphere(2000, np.random.default_rng(0), 0.7)
    given = -2 * ball.normals  # somebody's normals may point inwards
    given[:100] = 0
    points = ball.points.astype(np.float32)
    planes = local_planes(points)
    found = oriented(points, planes, given, 64)
    np.testing.assert_allclose(found.normals[100:], -ball.normals[100:], atol=1e-6)
    assert (np.einsum("ni,ni->n", found.normals, ball.normals) < 0).all()


def test_the_indicator_rises_by_one_through_a_sphere():
    """Its gradient is the normals', so that the weights, as areas, settle the height of the step."""
    ball = point_clouds.sphere(20_000, np.random.default_rng(0), 0.6)
    area = np.full(20_000, 4 * np.pi * 0.6**2 / 20_000)
    field = indicator(ball.points, ball.normals, area, np.zeros(20_000), 64)
    inside, outside = value_at(field, np.array([[0.0, 0, 0], [0.9, 0, 0]]))
    assert outside - inside == pytest.approx(1, abs=0.02)


def test_spacing_and_noise_are_those_of_the_points():
    generator = np.random.default_rng(0)
    flat = np.concatenate([2 * generator.random((10_000, 2)) - 1, 0.01 * generator.normal(size=(10_000, 1))], axis=1)
    planes = local_planes(flat)
    assert np.median(planes.spacing) == pytest.approx(0.02, rel=0.1)
    assert np.median(planes.noise) == pytest.approx(0.01, rel=0.1)
    assert np.median(np.abs(planes.normals[:, 2])) > 0.99

"""Distances between meshes against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from taichi_idr.measures.surfaces import mesh_distance, sample_surface
from taichi_idr.meshes import mesh as meshes

SINGLE = 1e-6  # float32 at coordinates of order 1
SAMPLING = 0.02  # relative, of a mean over 20,000 samples of a smooth function


def ball(radius: float, level: int = 4) -> meshes.Mesh:
    shape = trimesh.creation.icosphere(level, radius)
    return meshes.make_mesh(np.asarray(shape.vertices), np.asarray(shape.faces, np.int32))


def plate(width: float, height: float, z: float = 0.0) -> meshes.Mesh:
    corners = np.array([[0, 0, z], [width, 0, z], [width, height, z], [0, height, z]], float)
    return meshes.make_mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def test_samples_are_uniform_in_area() -> None:
    mesh = plate(3.0, 1.0)
    points, face = sample_surface(mesh, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(points.mean(axis=0), [1.5, 0.5, 0], rtol=SAMPLING)
    np.testing.assert_allclose(points.std(axis=0), np.array([3, 1, 0]) / np.sqrt(12), rtol=SAMPLING)
    assert face.mean() == pytest.approx(0.5, rel=SAMPLING)


def test_concentric_balls() -> None:
    found = mesh_distance(ball(1.1), ball(1.0), samples=20_000)
    assert found.accuracy == pytest.approx(0.1, rel=SAMPLING)
    assert found.completeness == pytest.approx(0.1, rel=SAMPLING)
    assert found.chamfer == pytest.approx((found.accuracy + found.completeness) / 2)
    assert found.fscore == 0  # 0.1 is beyond 1 % of the diagonal 3.46
    assert found.normal_error_deg < 2  # measured 1.2: the facets of the two balls


def test_a_mesh_is_itself() -> None:
    found = mesh_distance(ball(1.0), ball(1.0), samples=5_000)
    assert found.chamfer < SINGLE and found.fscore == 1 and found.normal_error_deg < 1e-3


def test_half_is_accurate_but_not_complete() -> None:
    found = mesh_distance(plate(1.0, 1.0), plate(2.0, 1.0), samples=20_000)
    assert found.accuracy < SINGLE
    assert found.completeness == pytest.approx(0.25, rel=SAMPLING)  # half at 0, half at 0.5 on average
    recall = 0.5 + 0.01 * np.sqrt(5) / 2
    assert found.fscore == pytest.approx(2 * recall / (1 + recall), rel=SAMPLING)


def test_turned_inside_out_is_a_normal_error_of_half_a_turn() -> None:
    truth = plate(1.0, 1.0)
    flipped = meshes.make_mesh(truth.vertices, truth.faces[:, ::-1])
    assert mesh_distance(flipped, truth, samples=1_000).normal_error_deg == pytest.approx(180)

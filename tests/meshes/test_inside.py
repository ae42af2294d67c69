"""Which points lie inside a closed mesh."""

from __future__ import annotations

import numpy as np
import pytest
from moving_meshes import ball, box, joined, turned_round

from taichi_idr.meshes.mesh import Mesh, transformed
from taichi_idr.meshes.solid import inside_mesh


def places(seed: int, count: int = 20_000, reach: float = 1.5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-reach, reach, (count, 3))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_ball_holds_what_is_nearer_than_its_radius(seed):
    points = places(seed)
    distance = np.linalg.norm(points, axis=1)
    clear = (distance < 0.99) | (distance > 1.0)  # its faces are chords
    found = inside_mesh(ball(subdivisions=4), points)
    assert np.array_equal(found[clear], distance[clear] < 0.99)


def test_rays_along_edges_of_a_lattice_do_not_mislead():
    """A box whose faces, edges and diagonals lie on the planes on which the points lie too."""
    axis = np.arange(-1, 1.01, 0.125)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    farthest = np.abs(points / [0.8, 0.6, 0.7]).max(axis=1)
    assert np.array_equal(inside_mesh(box((1.6, 1.2, 1.4)), points), farthest < 1)


def test_bodies_may_overlap_and_be_hollow():
    """The winding number: 2 where bodies overlap, 0 in a hollow."""
    points = places(0)
    there = {x: np.linalg.norm(points - [x, 0, 0], axis=1) for x in (-0.4, 0.4)}
    clear = np.all([np.abs(distance - 0.695) > 0.006 for distance in there.values()], axis=0)
    pair = joined(ball(0.7, (-0.4, 0, 0), 4), ball(0.7, (0.4, 0, 0), 4))
    expected = (there[-0.4] < 0.7) | (there[0.4] < 0.7)
    assert np.array_equal(inside_mesh(pair, points)[clear], expected[clear])
    distance = np.linalg.norm(points, axis=1)
    clear = (np.abs(distance - 0.995) > 0.006) & (np.abs(distance - 0.5975) > 0.003)
    shell = joined(ball(subdivisions=4), turned_round(ball(0.6, subdivisions=4)))
    assert np.array_equal(inside_mesh(shell, points)[clear], ((distance > 0.6) & (distance < 1))[clear])


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_unit_and_distance_from_the_origin_do_not_matter(scale):
    T = np.diag([scale, scale, scale, 1.0])
    T[:3, 3] = 1e6 * scale
    points, moved = places(1), transformed(ball(), T)
    assert isinstance(moved, Mesh)
    assert (inside_mesh(moved, points * scale + 1e6 * scale) == inside_mesh(ball(), points)).mean() > 0.9999

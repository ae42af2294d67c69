"""Long edges split: the surface stays, closed meshes stay closed, no edge is longer than asked for."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from taichi_idr.meshes.mesh import area, make_mesh, topology, volume
from taichi_idr.meshes.subdivision import FACES_A_SQUARE, edge_for, subdivided

MOST = 10**6


def tetrahedron(stretch: float = 1.0):
    corners = np.array([[0.0, 0, 0], [stretch, 0, 0], [0, 1, 0], [0, 0, 1]])
    return make_mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32))


def longest_edge(mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max())


@pytest.mark.parametrize("stretch", [1.0, 9.0])
@pytest.mark.parametrize("longest", [0.9, 0.3, 0.07])
def test_the_surface_stays(stretch, longest):
    before = tetrahedron(stretch)
    after = subdivided(before, longest, MOST)
    assert longest_edge(after) <= longest < longest_edge(before)
    np.testing.assert_array_equal(after.vertices[:4], before.vertices)
    assert area(after.vertices, after.faces) == pytest.approx(area(before.vertices, before.faces), rel=1e-12)
    assert volume(after.vertices, after.faces) == pytest.approx(volume(before.vertices, before.faces), rel=1e-12)
    found = topology(after.faces, len(after.vertices))
    assert found.closed and found.bodies == 1 and found.euler == 2


def test_it_is_shaded_as_before():
    """Normals of a coarse ball stay between those of its vertices: flat faces do not become facets."""
    ball = trimesh.creation.icosphere(1)
    fine = subdivided(make_mesh(np.asarray(ball.vertices), ball.faces.astype(np.int32)), 0.1, MOST)
    outward = fine.vertices / np.linalg.norm(fine.vertices, axis=1, keepdims=True)
    assert (fine.normals * outward).sum(axis=1).min() > 0.9999  # measured 0.99999; of flat faces 0.971


def test_a_mesh_that_is_fine_enough_is_returned_as_it_is():
    mesh = tetrahedron()
    assert subdivided(mesh, 2.0, MOST) is mesh


def test_no_more_vertices_than_allowed():
    mesh = tetrahedron()
    assert edge_for(mesh, 0.5, MOST) == 0.5
    longest = edge_for(mesh, 1e-4, 20_000)
    assert 2_000 < len(subdivided(mesh, longest, MOST).vertices) < 20_000
    needles = subdivided(tetrahedron(1e5), 0.01, 1000)
    assert 1000 <= len(needles.vertices) < 4000


@pytest.mark.parametrize("stretch", [1.0, 3.0])
@pytest.mark.parametrize("longest", [0.02, 0.03])
def test_faces_are_as_many_as_their_area_says_at_most(stretch, longest):
    mesh = tetrahedron(stretch)
    faces = len(subdivided(mesh, longest, MOST).faces) * longest**2 / area(mesh.vertices, mesh.faces)
    assert FACES_A_SQUARE / 4 < faces < FACES_A_SQUARE  # measured 6.2 to 9.23; needles make more

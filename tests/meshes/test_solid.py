"""OCC-3: what is inside a closed mesh, in any frame; what has no inside is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from solids import ball, both, box, opened, turned

from taichi_idr.errors import BadInput
from taichi_idr.meshes.mesh import Mesh, make_mesh
from taichi_idr.meshes.solid import count_edges, make_solid, welded

FILE = Path("shape.ply")
ROUGH = 0.02  # farther from the sphere than its mesh of 1,280 faces is


def asked(mesh: Mesh, places: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """What is inside at places of the file's frame."""
    solid = make_solid(mesh, FILE)
    placed = (places - solid.T_world_normalised[:3, 3]) / solid.T_world_normalised[0, 0]
    return solid.contains(torch.from_numpy(placed).to(solid.tree.boxes), generator).cpu().numpy()


@pytest.mark.parametrize("kind", ["as it is", "inside out", "some faces turned", "in triangles of their own"])
@pytest.mark.parametrize(("unit", "away"), [(1.0, 0.0), (1e-4, 0.0), (1e3, 1e5)])
def test_occ_3_a_ball_is_where_it_is(kind, unit, away, generator, runtime):
    """OCC-3: in any unit and place, whichever way its faces look."""
    mesh = ball(unit, (away * unit,) * 3)
    if kind == "inside out":
        mesh = turned(mesh)
    elif kind == "some faces turned":
        mesh = turned(mesh, slice(0, None, 7))
    elif kind == "in triangles of their own":  # as STL has them
        apart = np.arange(mesh.faces.size, dtype=np.int32).reshape(-1, 3)
        mesh = make_mesh(mesh.vertices[mesh.faces].reshape(-1, 3), apart)
    places = 1.5 * (2 * np.random.default_rng(0).random((20_000, 3)) - 1)
    radius = np.linalg.norm(places, axis=1)
    inside, clear = asked(mesh, unit * (places + away), generator), np.abs(radius - 1) > ROUGH
    assert np.array_equal(inside[clear], radius[clear] < 1)


def test_occ_3_bodies_that_overlap_are_one_and_hollows_are_outside(generator, runtime):
    """OCC-3: the winding number is 2 where bodies overlap, and 0 in a shell that looks inwards."""
    two = both(ball(), ball(1.0, (0.8, 0, 0)))
    hollow = both(ball(), turned(ball(0.6)))
    places = np.array([[0.4, 0, 0], [-0.9, 0, 0], [1.7, 0, 0], [0, 0, 0.8], [0.1, 0.1, 0.1], [0, 0, 1.2]])
    assert asked(two, places, generator).tolist() == [True, True, True, True, True, False]
    assert asked(hollow, places, generator).tolist() == [False, True, False, True, False, False]


def test_the_frame_is_the_unit_cube_of_the_box(runtime):
    solid = make_solid(box((100, 70, 40), (500, 20, -3000)), FILE)
    np.testing.assert_allclose(np.abs(solid.mesh.vertices), np.tile([0.5, 0.35, 0.2], (8, 1)), atol=1e-12)
    np.testing.assert_allclose(solid.T_world_normalised[:3], [[100, 0, 0, 500], [0, 100, 0, 20], [0, 0, 100, -3000]])


def test_an_open_mesh_says_how_many_edges_are_open(runtime):
    with pytest.raises(BadInput, match=r"not watertight \(shape.ply\): 6 of its 1,\d+ edges are open"):
        make_solid(opened(ball(), 0, 900), FILE)


def test_a_sheet_folded_on_itself_encloses_nothing(runtime):
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(BadInput, match="encloses nothing"):
        make_solid(make_mesh(corners, np.array([[0, 1, 2], [2, 1, 0]], np.int32)), FILE)


def test_edges_of_two_boxes_that_touch_are_even():
    """Four faces at the edge that they share: closed, though no manifold."""
    mesh = both(box((1, 1, 1)), box((1, 1, 1), (1, 1, 0)))
    vertices, faces = welded(mesh.vertices, mesh.faces)
    edges = count_edges(faces, len(vertices))
    assert len(vertices) == 14 and edges.open == 0 and edges.balanced == edges.count == 35

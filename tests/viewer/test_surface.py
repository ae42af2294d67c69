"""Meshes that browsers turn smoothly look like the files that they come from."""

from __future__ import annotations

import numpy as np
from ball_run import RADIUS
from ball_scene import ball

from taichi_idr.meshes.mesh import make_mesh, topology
from taichi_idr.meshes.shown import ShownMesh
from taichi_idr.viewer.surface import few_faces

SMOOTH = 0.999  # cosine between a normal and where it should look


def split_ball(subdivisions: int) -> ShownMesh:
    """A textured ball whose faces share no vertex, as files have seams; columns of the picture say x, its rows y."""
    whole = ball(subdivisions)
    corners = whole.vertices[whole.faces]
    vertices, faces = corners.reshape(-1, 3), np.arange(whole.faces.size, dtype=np.int32).reshape(-1, 3)
    columns, rows = np.meshgrid(np.arange(256), np.arange(256))
    picture = np.stack([columns, rows, np.zeros_like(rows)], axis=2).astype(np.uint8)
    places = corners[..., :2] / RADIUS / 2 + 0.5
    return ShownMesh(make_mesh(vertices, faces), [picture], np.zeros(len(faces), np.int32), places)


def test_a_texture_stays_and_seams_are_smooth():
    shown = split_ball(2)
    mesh = few_faces(shown)
    assert mesh.texture is not None
    uv = mesh.texture.atlas.uv[mesh.texture.atlas.corners]
    np.testing.assert_allclose(uv, shown.places, atol=1e-12)
    outward = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    assert (mesh.normals * outward).sum(axis=1).min() > SMOOTH


def test_fewer_faces_keep_the_colours_of_the_texture():
    mesh = few_faces(split_ball(4), most=1000)
    assert len(mesh.faces) <= 1000
    assert topology(mesh.faces, len(mesh.vertices)).closed
    assert mesh.texture is None
    assert mesh.colours is not None
    expected = (mesh.vertices[:, :2] / RADIUS / 2 + 0.5) * 255
    assert np.abs(mesh.colours[:, :2] - expected).mean() < 4

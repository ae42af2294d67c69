"""Sequences of known motion."""

from __future__ import annotations

import numpy as np
import pytest

from taichi_idr.meshes.mesh import topology, volume
from taichi_idr.meshes.motions import MOTIONS, bending, breathing, moving_shape, still_shape, turning


@pytest.mark.parametrize("motion", MOTIONS)
def test_frames_are_closed_and_correspond(motion):
    meshes = moving_shape(motion, 5, 3)
    for mesh in meshes:
        found = topology(mesh.faces, len(mesh.vertices))
        assert found.closed and found.bodies == 1 and found.euler == 2
        assert volume(mesh.vertices, mesh.faces) > 0.5
        assert np.array_equal(mesh.faces, meshes[0].faces)
    np.testing.assert_array_equal(meshes[0].vertices, still_shape(3).vertices)
    assert np.linalg.norm(meshes[2].vertices - meshes[0].vertices, axis=1).max() > 0.1


def test_turning_keeps_all_distances():
    places = still_shape(2).vertices
    pairs = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (places, turning(places, 0.7))]
    np.testing.assert_allclose(*pairs, atol=1e-12)


def test_bending_keeps_the_axis_as_long_as_it_was():
    axis = np.stack([np.linspace(-1, 1, 1001), np.zeros(1001), np.zeros(1001)], axis=1)
    bent = bending(axis, 1.0)
    assert np.linalg.norm(np.diff(bent, axis=0), axis=1).sum() == pytest.approx(2, abs=1e-5)
    ends = bent[1] - bent[0], bent[-1] - bent[-2]
    angle = np.degrees(np.arccos(np.dot(*ends) / np.prod(np.linalg.norm(ends, axis=1))))
    assert angle == pytest.approx(70, abs=0.5)
    np.testing.assert_allclose(bending(axis, 1e-6), axis, atol=1e-6)


def test_breathing_ends_as_it_began():
    places = still_shape(2).vertices
    np.testing.assert_allclose(breathing(places, 1.0), places, atol=1e-12)
    assert (np.abs(breathing(places, 0.5)) >= np.abs(places) - 1e-12).all()

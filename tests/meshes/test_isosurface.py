"""Marching cubes: closed for any lattice, true to closed forms, independent of how the lattice is cut into
slabs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes.isosurface import TRIANGLES, SurfaceBuilder

CHORD_ERROR = 4e-3  # measured 2.9e-3: a chord of a ball of 14 cells, relative to its volume


def surface(values: np.ndarray, *cuts: int) -> tuple[np.ndarray, np.ndarray]:
    builder = SurfaceBuilder()
    ends = [0, *cuts, values.shape[0] - 1]
    for first, last in pairwise(ends):
        builder.add(values[first : last + 1])
    return builder.finish()


def ball(n: int, radius: float) -> np.ndarray:
    axes = np.meshgrid(*[np.linspace(-1, 1, n)] * 3, indexing="ij")
    return np.sqrt(sum(a**2 for a in axes)) - radius


def enclosed_noise(seed: int, n: int = 12) -> np.ndarray:
    """Every pattern of signs, ambiguous ones in plenty; outside at the border."""
    values = np.ones((n, n, n))
    values[1:-1, 1:-1, 1:-1] = np.random.default_rng(seed).uniform(-1, 1, (n - 2,) * 3)
    return values


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.integers(1, 10))
def test_noise_gives_closed_manifold_outward_surface(seed: int, cut: int) -> None:
    values = enclosed_noise(seed)
    vertices, faces = surface(values, cut)
    assert meshes.topology(faces, len(vertices)).closed
    assert meshes.volume(vertices, faces) > 0
    assert len(np.unique(vertices, axis=0)) == len(vertices)


@pytest.mark.parametrize("seed", range(3))
def test_faces_around_each_vertex_form_one_fan(seed: int) -> None:
    vertices, faces = surface(enclosed_noise(seed))
    following = {}
    for a, b, c in np.concatenate([faces, np.roll(faces, 1, 1), np.roll(faces, 2, 1)]).tolist():
        following.setdefault(a, {})[b] = c
    assert len(following) == len(vertices)
    for ring in following.values():
        start = at = next(iter(ring))
        for _ in ring:
            at = ring[at]
        seen = {start}
        while (start := ring[start]) not in seen:
            seen.add(start)
        assert seen == set(ring) and at in ring


def test_ball_has_its_volume_and_its_vertices_on_the_level() -> None:
    vertices, faces = surface(ball(41, 0.7))
    assert meshes.volume(vertices, faces) / 20**3 == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=CHORD_ERROR)
    radii = np.linalg.norm(vertices / 20 - 1, axis=1)
    assert np.abs(radii - 0.7).max() < 5e-4  # measured 4.1e-4: linear interpolation across 1/14 of the radius
    assert meshes.topology(faces, len(vertices)).euler == 2


def test_slabs_change_nothing_but_the_order() -> None:
    values = enclosed_noise(7)
    whole, cut = surface(values), surface(values, 3, 4, 9)

    def corners(vertices: np.ndarray, faces: np.ndarray) -> set[bytes]:
        return {np.sort(triangle.round(9), axis=0).tobytes() for triangle in vertices[faces]}

    assert corners(*whole) == corners(*cut)


def test_complementary_patterns_differ_only_where_a_face_is_ambiguous() -> None:
    counts = (TRIANGLES[:, :, 0] >= 0).sum(axis=1)
    assert counts[0] == counts[255] == 0
    assert counts[1] == counts[254] == 1
    assert counts[0b00001111] == 2


def test_one_sign_has_no_surface() -> None:
    vertices, faces = surface(np.ones((4, 4, 4)))
    assert vertices.shape == (0, 3) and faces.shape == (0, 3)

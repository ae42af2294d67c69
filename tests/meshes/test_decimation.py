"""Light meshes: fewer faces, still closed, still near."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes.decimation import decimated, distance_added
from taichi_idr.meshes.mesh import Mesh, make_mesh, topology


def of(shape: trimesh.Trimesh, scale: float = 1.0, shift: float = 0.0) -> Mesh:
    return make_mesh(np.asarray(shape.vertices, np.float64) * scale + shift, np.asarray(shape.faces, np.int32))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-6, 0.0), (1e3, 5e6)])
def test_a_ball_stays_a_ball(scale: float, shift: float) -> None:
    fine = of(trimesh.creation.icosphere(5), scale, shift)
    light = decimated(fine, 1000)
    assert light is not None and 900 < len(light.faces) <= 1000
    assert topology(light.faces, len(light.vertices)) == topology(fine.faces, len(fine.vertices))
    radius = np.linalg.norm((light.vertices - shift) / scale, axis=1)
    np.testing.assert_allclose(radius, 1, atol=0.02)
    assert meshes.volume(light.vertices, light.faces) == pytest.approx(4.19 * scale**3, rel=0.02)
    mean, most = distance_added(light, fine)
    assert 0 < mean < 0.005 * scale and mean < most < 0.03 * scale


def test_handles_and_parts_stay() -> None:
    rings = trimesh.util.concatenate(
        [trimesh.creation.torus(1, 0.2, 96, 48).apply_translation((x, 0, 0)) for x in (0, 3)]
    )
    fine = of(rings)
    light = decimated(fine, 900)
    assert light is not None
    found = topology(light.faces, len(light.vertices))
    assert found.closed and found.bodies == found.handles == 2


def test_a_mesh_that_is_light_already_is_itself() -> None:
    ball = of(trimesh.creation.icosphere(1))
    assert decimated(ball, 1000) is ball
    assert distance_added(ball, ball)[1] < 1e-6


def test_what_would_lose_a_part_is_refused() -> None:
    """A hundred balls have no room in 200 faces."""
    balls = [trimesh.creation.icosphere(2).apply_translation((3 * k, 0, 0)) for k in range(100)]
    assert decimated(of(trimesh.util.concatenate(balls)), 200) is None

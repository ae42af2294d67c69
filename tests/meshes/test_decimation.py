"""Light meshes: fewer faces, still closed, still near."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from taichi_idr.errors import OutOfMemory
from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes import quadrics
from taichi_idr.meshes.decimation import decimated, distance_added
from taichi_idr.meshes.mesh import Mesh, make_mesh, topology


def of(shape: trimesh.Trimesh, scale: float = 1.0, shift: float = 0.0) -> Mesh:
    return make_mesh(np.asarray(shape.vertices, np.float64) * scale + shift, np.asarray(shape.faces, np.int32))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-6, 0.0), (1e3, 5e6)])
def test_a_ball_stays_a_ball(scale: float, shift: float) -> None:
    fine = of(trimesh.creation.icosphere(5), scale, shift)
    light = decimated(fine, 1000)
    assert 900 < len(light.faces) <= 1000
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
    found = topology(light.faces, len(light.vertices))
    assert found.closed and found.bodies == found.handles == 2


def test_a_process_of_its_own_finds_the_same(monkeypatch) -> None:
    ball = of(trimesh.creation.icosphere(4))
    before = ball.vertices.copy(), ball.faces.copy()
    here = quadrics.by_quadrics(ball.vertices, ball.faces, 1000)
    monkeypatch.setattr(quadrics, "ALONE", 0)
    there = quadrics.by_quadrics(ball.vertices, ball.faces, 1000)
    for one, other in zip((ball.vertices, ball.faces), before, strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(here, there, strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other)
    with pytest.raises(OutOfMemory, match="faces cannot be taken away: ValueError"):
        quadrics.by_quadrics(ball.vertices, ball.faces, 10**6)


def test_a_mesh_that_is_light_already_is_itself() -> None:
    ball = of(trimesh.creation.icosphere(1))
    assert decimated(ball, 1000) is ball
    assert distance_added(ball, ball)[1] < 1e-6


def test_what_quadrics_would_tear_is_taken_away_otherwise(monkeypatch) -> None:
    """A ball with fifty narrow tunnels: where they close, edges fall together."""
    fine = pierced_ball()
    before = topology(fine.faces, len(fine.vertices))
    assert before.closed and before.handles > 10
    for faces in (4000, 1000):
        light = decimated(fine, faces)
        found = topology(light.faces, len(light.vertices))
        assert found.closed and found.bodies == 1 and len(light.faces) < 0.5 * len(fine.faces)
        enclosed = meshes.volume(light.vertices, light.faces)
        assert enclosed == pytest.approx(meshes.volume(fine.vertices, fine.faces), rel=0.06)
        assert np.linalg.norm(light.vertices, axis=1).max() < 1.02


def pierced_ball() -> Mesh:
    import manifold3d

    ball = manifold3d.Manifold.sphere(1.0, 160)
    for turn in np.linspace(0, 180, 12, endpoint=False):
        for tilt in (0, 25, -25):
            ball -= manifold3d.Manifold.cylinder(3.0, 0.012, 0.012, 8, True).rotate((90 + tilt, 0, turn))
    found = ball.refine_to_length(0.05).to_mesh()
    return make_mesh(np.asarray(found.vert_properties, np.float64)[:, :3], np.asarray(found.tri_verts, np.int32))

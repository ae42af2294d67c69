"""Which pixels show a mesh clearly (TEX-1)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from captures import make_capture
from painted_balls import ball_mesh

from taichi_idr.capture.reading import read_capture
from taichi_idr.meshes.mesh import transformed
from taichi_idr.painting.placing import mesh_frame
from taichi_idr.painting.seen import clear_vertices, look_through, shown_in, view_rays
from taichi_idr.painting.settings import SeenConfig
from taichi_idr.tracing.triangles import Surface
from taichi_idr.types import Capture

SIZE = (240, 200)
CONFIG = SeenConfig()


@pytest.fixture(scope="module")
def balls(tmp_path_factory) -> tuple[Surface, Capture]:
    mesh = ball_mesh()
    T = mesh_frame(mesh)
    folder = make_capture(tmp_path_factory.mktemp("seen") / "balls", views=4, size=SIZE)
    capture = read_capture(folder, T_world_normalised=T)
    return Surface(transformed(mesh, np.linalg.inv(T))), capture


def shown(balls, view: int, config: SeenConfig = CONFIG, usable: np.ndarray | None = None):
    surface, capture = balls
    camera, mask = capture.cameras[[view]], capture.masks[view]
    rays = view_rays(camera, mask.shape)
    return shown_in(surface, rays, camera, mask if usable is None else usable, config), rays


def test_the_mesh_is_where_the_silhouette_is(balls):
    for view in range(4):
        found, _ = shown(balls, view)
        met = found.depth.isfinite().cpu().numpy()
        assert (met & balls[1].masks[view]).sum() / (met | balls[1].masks[view]).sum() > 0.98


def test_clear_pixels_keep_away_from_outlines_and_from_steps_of_depth(balls):
    """One ball before the other: a pixel whose neighbours see another ball is not clear, whatever its own slope."""
    apart = []
    for view in range(4):
        found, rays = shown(balls, view)
        ball = (found.face.cpu() >= 1280).int() + 2 * found.depth.isinf().cpu().int()
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            moved = ball.roll((down, right), dims=(0, 1))
            points = rays.at(found.depth.flatten()).cpu().view(*SIZE[::-1], 3)
            jump = (points - points.roll((down, right), dims=(0, 1))).norm(dim=2)
            border = (ball != moved) & ~(jump < 0.2)
            border[0], border[-1], border[:, 0], border[:, -1] = False, False, False, False
            apart.append(int(border.sum()))
            assert not (found.clear.cpu() & border).any()
    assert min(apart) > 20 and max(apart) > 100


def test_most_pixels_are_clear_and_none_grazes(balls):
    found, _ = shown(balls, 0)
    assert found.clear.sum() > 0.75 * found.seen.sum()
    assert (found.facing[found.clear] >= CONFIG.grazing).all()
    strict, _ = shown(balls, 0, SeenConfig(grazing=0.6))
    assert (strict.facing[strict.clear] >= 0.6).all() and strict.clear.sum() < 0.8 * found.clear.sum()


def test_pixels_that_are_not_of_the_object_tell_nothing(balls):
    usable = balls[1].masks[0].copy()
    usable[80:120, 100:140] = False
    found, _ = shown(balls, 0, usable=usable)
    assert not found.clear[79:121, 99:141].any() and found.clear[60:76, 100:140].any()
    assert not found.seen[80:120, 100:140].any()


def test_vertices_are_seen_on_the_side_of_the_camera(balls):
    surface, capture = balls
    found, _ = shown(balls, 1)
    seen = clear_vertices(surface, found, capture.cameras[[1]], CONFIG).cpu().numpy()
    towards = capture.cameras.centres[1].numpy() - surface.mesh.vertices
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    facing = (surface.mesh.normals * towards).sum(axis=1)
    assert not seen[facing < 0.1].any()
    assert seen[facing > 0.5].mean() > 0.7  # the rest lies inside the other ball, or behind it


def test_samples_lie_on_the_balls_and_are_as_many_as_wanted(balls, generator):
    surface, capture = balls
    whole = look_through(surface, capture, CONFIG, generator)
    few = look_through(surface, capture, SeenConfig(samples=400), generator)
    assert len(few.samples) == 400 and len(whole.samples) > 4000
    torch.testing.assert_close(few.pixels, whole.pixels, rtol=0, atol=0)
    for samples in (whole.samples, few.samples):
        corners = surface.corners[samples.face.long()]
        shares = surface.shares(samples.points, samples.face.long())
        again = (shares[..., None] * corners).sum(dim=1)
        torch.testing.assert_close(again, samples.points, rtol=0, atol=1e-5)
    assert set(few.samples.view.tolist()) == {0, 1, 2, 3}
    assert 0.6 < (whole.vertices > 0).float().mean() < 1


def test_ignored_pixels_take_no_part(balls, generator):
    surface, capture = balls
    everywhere = tuple(np.ones_like(mask) for mask in capture.masks)
    seen = look_through(surface, replace(capture, ignored=everywhere), CONFIG, generator)
    assert len(seen.samples) == 0 and not seen.vertices.any()

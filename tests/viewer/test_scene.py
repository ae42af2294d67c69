"""What is shown of a run lies where the run has it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_run import HEIGHT, RADIUS, WIDTH, BallRun, T_world_normalised
from ball_scene import STEP, ball, make_ball_scene, save, write_start

from taichi_idr.cameras.pinhole import projections
from taichi_idr.errors import BadInput
from taichi_idr.meshes.mesh import transformed
from taichi_idr.meshes.writing import write_mesh
from taichi_idr.runs.folder import RunFolder
from taichi_idr.viewer.scene import CROWDED, NEAR, read_scene

SINGLE = 1e-4  # of vertices that a file keeps in single precision


@pytest.fixture
def run(tmp_path: Path) -> BallRun:
    return make_ball_scene(tmp_path)


def test_a_run_is_shown_without_its_networks(run: BallRun):
    scene = read_scene(run.folder)
    assert (scene.name, scene.step, len(scene.cameras), scene.before) == ("ball", STEP, 6, [])
    assert [(preview.step, preview.view) for preview in scene.previews] == [(0, 2), (STEP, 3)]
    assert [camera.photo and camera.photo.name for camera in scene.cameras] == [f"{view:03d}.png" for view in range(6)]
    np.testing.assert_allclose(scene.up, [0, 0, 1], atol=1e-9)


def test_a_frustum_ends_in_the_corners_of_its_photo(run: BallRun):
    scene = read_scene(run.folder)
    P = projections(run.loaded.cameras).numpy()
    rim = np.array([[-0.5, -0.5], [WIDTH - 0.5, -0.5], [WIDTH - 0.5, HEIGHT - 0.5], [-0.5, HEIGHT - 0.5]])
    for view, camera in enumerate(scene.cameras):
        corners = camera.corners(0.7)
        np.testing.assert_allclose(corners[0], run.loaded.cameras.centres[view], atol=1e-12)
        seen = np.c_[corners[1:], np.ones(4)] @ P[view].T
        np.testing.assert_allclose(seen[:, 2], 0.7, atol=1e-9)
        np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], rim, atol=1e-9)


def test_many_photos_are_drawn_small(run: BallRun):
    scene = read_scene(run.folder)
    many = replace(scene, cameras=scene.cameras * 25)
    for camera in scene.cameras:
        high, upper, lower = (many.depth(camera), *camera.corners(many.depth(camera))[[1, 4]])
        assert np.linalg.norm(upper - lower) == pytest.approx(CROWDED / 150**0.5 * 2.5)
        assert high < scene.depth(camera) <= NEAR * 2.5
    narrow = replace(scene.cameras[0], fov=0.01)
    assert scene.depth(narrow) == pytest.approx(NEAR * 2.5)


def test_the_mesh_lies_in_the_normalised_frame_with_its_colours(run: BallRun):
    mesh = read_scene(run.folder).mesh
    assert mesh is not None
    assert mesh.colours is not None
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), RADIUS, atol=SINGLE)
    expected = (mesh.vertices / RADIUS / 2 + 0.5) * 255
    assert np.abs(mesh.colours - expected).max() <= 1


def test_world_and_back(run: BallRun):
    scene = read_scene(run.folder)
    points = np.array([[0.0, 0, 0], [0.1, -0.2, 0.3]])
    world = scene.in_world(points)
    np.testing.assert_allclose(world[0], T_world_normalised()[:3, 3])
    np.testing.assert_allclose(scene.from_world(world), points, atol=1e-12)


def test_a_mesh_of_an_older_checkpoint_is_not_shown(run: BallRun):
    save(run, STEP + 1)
    assert read_scene(run.folder).mesh is None
    made = ball(1)
    assert read_scene(run.folder, lambda: made).mesh is made


def test_a_fresh_light_mesh_is_preferred(run: BallRun):
    folder = RunFolder(run.folder)
    light = folder.mesh / "light.glb"
    write_mesh(light, transformed(ball(2), T_world_normalised()))
    mesh = read_scene(run.folder).mesh
    assert mesh is not None
    assert len(mesh.faces) == len(ball(2).faces)
    os.utime(light, (0, 0))
    mesh = read_scene(run.folder).mesh
    assert mesh is not None
    assert len(mesh.faces) == len(ball().faces)


def test_what_all_cameras_moved_by_is_no_movement(run: BallRun):
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    write_start(run, turn, torch.tensor([0.3, 0.2, -0.1], dtype=torch.float64), nudge=0.05)
    scene = read_scene(run.folder)
    apart = [np.linalg.norm(a.centre - b.centre) for a, b in zip(scene.before, scene.cameras, strict=True)]
    assert apart[0] == pytest.approx(0.05, rel=0.1)
    assert max(apart[1:]) < 0.005
    assert [camera.name for camera in scene.before] == [camera.name for camera in scene.cameras]


def test_photos_that_have_gone_are_a_warning(run: BallRun, capsys: pytest.CaptureFixture[str]):
    (run.capture / "image").rename(run.capture / "elsewhere")
    scene = read_scene(run.folder)
    assert [camera.photo for camera in scene.cameras] == [None] * 6
    assert scene.cameras[3].name == "003"
    assert "no photos are shown" in capsys.readouterr().err


def test_a_run_that_has_saved_nothing_is_refused(run: BallRun):
    for file in RunFolder(run.folder).checkpoints.iterdir():
        file.unlink()
    with pytest.raises(BadInput, match="no checkpoint"):
        read_scene(run.folder)


def test_a_scene_of_no_mesh_is_a_scene(tmp_path: Path):
    assert read_scene(make_ball_scene(tmp_path, with_mesh=False).folder).mesh is None

"""Cameras written for other programs come back, by readers of a few lines, with the same pixels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_run import HEIGHT, WIDTH, T_world_normalised, around
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.pinhole import projections
from taichi_idr.capture.formats.matrices import read_matrices
from taichi_idr.capture.formats.writing import write_cameras
from taichi_idr.errors import CannotCreate
from taichi_idr.files.npz import read_npz
from taichi_idr.types import Cameras

PIXEL = 1e-9  # pixels; files hold every digit
VIEWS = 5
NAMES = [f"{index:03d}.png" for index in range(VIEWS)]


def turned_frame() -> np.ndarray:
    """A normalised frame that is scaled, turned and shifted."""
    T = T_world_normalised()
    T[:3, :3] @= Rotation.from_rotvec([0.4, 0.1, -0.9]).as_matrix()
    return T


@pytest.fixture
def cameras() -> Cameras:
    ring = around(VIEWS, elevation=0.4)
    intrinsics = ring.intrinsics.clone()
    intrinsics[:, 0, 0] += torch.arange(VIEWS)
    intrinsics[:, 0, 2] += 3.3
    return replace(ring, quaternions=ring.quaternions * 2, intrinsics=intrinsics)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.4, 0.4, (7, 3))


def pixels(cameras: Cameras, points: np.ndarray) -> np.ndarray:
    """(V, N, 2), integers at the pixels' centres."""
    image = projections(cameras).numpy() @ np.column_stack([points, np.ones(len(points))]).T
    return np.moveaxis(image[:, :2] / image[:, 2:], 1, 2)


def written(folder: Path, cameras: Cameras) -> Path:
    write_cameras(folder / "cameras", cameras, turned_frame(), NAMES, [(HEIGHT, WIDTH)] * VIEWS)
    return folder / "cameras"


def world(points: np.ndarray) -> np.ndarray:
    T = turned_frame()
    return points @ T[:3, :3].T + T[:3, 3]


def test_idr_file(tmp_path: Path, cameras: Cameras, points: np.ndarray):
    folder = written(tmp_path, cameras)
    world_mats, scale_mats = read_matrices(folder / "cameras.npz", range(VIEWS))
    assert np.allclose(scale_mats[0], turned_frame())
    image = world_mats[:, :3] @ np.column_stack([world(points), np.ones(len(points))]).T
    found = np.moveaxis(image[:, :2] / image[:, 2:], 1, 2)
    assert np.allclose(found, pixels(cameras, points), atol=PIXEL)
    assert len(read_npz(folder / "cameras.npz")) == 2 * VIEWS


def test_transforms_json(tmp_path: Path, cameras: Cameras, points: np.ndarray):
    """OpenGL: a point in front has negative z, up is positive y; a pixel's centre is at .5."""
    frames = json.loads((written(tmp_path, cameras) / "transforms.json").read_text())["frames"]
    assert [frame["file_path"] for frame in frames] == [f"image/{name}" for name in NAMES]
    for frame, expected in zip(frames, pixels(cameras, points), strict=True):
        T_world_camera = np.array(frame["transform_matrix"])
        assert np.allclose(T_world_camera[:3, :3] @ T_world_camera[:3, :3].T, np.eye(3))
        x, y, z = ((world(points) - T_world_camera[:3, 3]) @ T_world_camera[:3, :3]).T
        column = frame["cx"] + frame["fl_x"] * x / -z - 0.5
        row = frame["cy"] - frame["fl_y"] * y / -z - 0.5
        assert (z < 0).all()
        assert np.allclose(np.column_stack([column, row]), expected, atol=PIXEL)
        assert (frame["w"], frame["h"]) == (WIDTH, HEIGHT)


def test_colmap_text(tmp_path: Path, cameras: Cameras, points: np.ndarray):
    """World to camera, w x y z; a pixel's centre is at .5."""
    folder = written(tmp_path, cameras) / "sparse" / "0"
    pinholes = {line.split()[0]: line.split() for line in (folder / "cameras.txt").read_text().splitlines()[1:]}
    lines = (folder / "images.txt").read_text().splitlines()[1:]
    assert lines[1::2] == [""] * VIEWS and len(lines) == 2 * VIEWS
    for line, name, expected in zip(lines[::2], NAMES, pixels(cameras, points), strict=True):
        number, *numbers, camera, found_name = line.split()
        (w, x, y, z), shift = map(float, numbers[:4]), np.array(numbers[4:], float)
        model, width, height, *parameters = pinholes[camera][1:]
        fx, fy, cx, cy = map(float, parameters)
        seen = world(points) @ Rotation.from_quat([x, y, z, w]).as_matrix().T + shift
        found = seen[:, :2] / seen[:, 2:] * [fx, fy] + [cx - 0.5, cy - 0.5]
        assert np.allclose(found, expected, atol=PIXEL)
        assert (model, int(width), int(height), found_name) == ("PINHOLE", WIDTH, HEIGHT, name)
        assert number == camera
    assert all(line.startswith("#") for line in (folder / "points3D.txt").read_text().splitlines())


@pytest.mark.parametrize(("skew", "pixels_off"), [(0.0, ""), (0.01, ""), (0.35, "0.12")])
def test_lost_skew_is_said_once(tmp_path: Path, cameras: Cameras, capsys: pytest.CaptureFixture, skew, pixels_off):
    """0.35 * 23.5 rows / 70 = 0.12 pixels."""
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, 0, 1] = skew
    written(tmp_path, replace(cameras, intrinsics=intrinsics))
    said = capsys.readouterr().err
    assert said.count("skew") == (1 if pixels_off else 0)
    assert pixels_off in said


def test_names_with_blanks_stay_one_word_for_colmap(tmp_path: Path, cameras: Cameras):
    names = ["my photo\n.png", *NAMES[1:]]
    write_cameras(tmp_path, cameras, turned_frame(), names, [(HEIGHT, WIDTH)] * VIEWS)
    lines = (tmp_path / "sparse" / "0" / "images.txt").read_text().splitlines()
    assert lines[1].endswith(" my_photo_.png") and len(lines) == 1 + 2 * VIEWS
    assert json.loads((tmp_path / "transforms.json").read_text())["frames"][0]["file_path"] == f"image/{names[0]}"


def test_a_file_in_the_way_is_refused(tmp_path: Path, cameras: Cameras):
    (tmp_path / "cameras").write_text("mine")
    with pytest.raises(CannotCreate):
        written(tmp_path, cameras)
    assert (tmp_path / "cameras").read_text() == "mine"

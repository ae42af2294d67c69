"""The frame of captures without masks: what their cameras look at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import DISTANCE, ORIGIN, SCALE, SIZE, edit_cameras, make_capture

from taichi_idr.cameras.pinhole import transform_cameras
from taichi_idr.capture.looked_at import frame_looked_at
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.convert import convert_capture
from taichi_idr.errors import BadInput, InputMissing
from taichi_idr.types import Cameras, Capture, CaptureReading

MILLIMETRES = 8.0
"""Cameras look past the middle by 2 % of the distance, each to another side."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "balls", views=9)


def bare(folder: Path) -> Path:
    """Without masks and scale_mat."""
    shutil.rmtree(folder / "mask")
    edit_cameras(folder, **{f"scale_mat_{view}": None for view in range(9)})
    return folder


def unmasked(folder: Path, **options) -> Capture:
    return read_capture(folder, need_masks=False, **options)


def test_cameras_say_where_the_object_is(folder):
    """The radius is what the usual photo shows: its distance times the sine of half the height."""
    read = unmasked(bare(folder))
    T = read.T_world_normalised
    assert np.linalg.norm(T[:3, 3] - ORIGIN) < MILLIMETRES
    focal, below = 1.3 * SIZE[0], 0.47 * SIZE[1] + 0.5
    assert T[0, 0] == pytest.approx(DISTANCE * np.sin(np.arctan(below / focal)), rel=0.03)
    assert 0.7 < T[0, 0] / SCALE < 1.6
    assert np.array_equal(T[:3, :3], T[0, 0] * np.eye(3))
    (said,) = [text for text in read.warnings if text.startswith("no masks")]
    assert "world units of (" in said and "where the cameras look" in said


def test_one_camera_that_looks_elsewhere_counts_little(folder):
    whole = read_capture(folder)
    world = transform_cameras(whole.T_world_normalised, whole.cameras)
    shapes = [mask.shape for mask in whole.masks]
    quaternions = world.quaternions.clone()
    quaternions[4] = torch.tensor([0.6, 0.0, 0.8, 0.0], dtype=torch.float64)
    odd = Cameras(quaternions, world.centres, world.intrinsics)
    usual, moved = frame_looked_at(world, shapes), frame_looked_at(odd, shapes)
    assert np.linalg.norm(moved[:3, 3] - usual[:3, 3]) < MILLIMETRES


def test_a_shrunk_photo_shows_the_same(folder):
    bare(folder)
    assert np.allclose(unmasked(folder, downscale=2).T_world_normalised, unmasked(folder).T_world_normalised, rtol=0.01)


def test_the_frame_of_the_file_and_masks_come_first(folder):
    given = read_capture(folder).T_world_normalised
    found = unmasked(folder, reading=CaptureReading(normalize=True)).T_world_normalised
    shutil.rmtree(folder / "mask")
    assert np.array_equal(unmasked(folder).T_world_normalised, given)
    looked = unmasked(folder, reading=CaptureReading(normalize=True)).T_world_normalised
    assert not np.allclose(found, given) and not np.allclose(looked, found)


def test_captures_of_other_formats_have_one_too(folder, tmp_path):
    """transforms.json, as apps for phones write it, says nothing of where the object is."""
    convert_capture(folder, tmp_path / "app", to="transforms")
    shutil.rmtree(tmp_path / "app" / "masks", ignore_errors=True)
    shutil.rmtree(tmp_path / "app" / "mask", ignore_errors=True)
    file = tmp_path / "app" / "transforms.json"
    told = json.loads(file.read_text())
    for frame in told["frames"]:
        frame.pop("mask_path", None)
    file.write_text(json.dumps(told))
    with pytest.raises(InputMissing, match="no mask folder"):
        read_capture(tmp_path / "app")
    ours, theirs = (unmasked(place).T_world_normalised for place in (bare(folder), tmp_path / "app"))
    assert np.allclose(theirs, ours, rtol=1e-3)


def test_cameras_that_look_away_have_no_frame(folder):
    whole = read_capture(folder)
    world = transform_cameras(whole.T_world_normalised, whole.cameras)
    turned = torch.stack(
        [-world.quaternions[:, 2], world.quaternions[:, 3], world.quaternions[:, 0], -world.quaternions[:, 1]], 1
    )
    away = Cameras(turned, world.centres, world.intrinsics)
    with pytest.raises(BadInput, match="most look away from what is nearest to their axes"):
        frame_looked_at(away, [mask.shape for mask in whole.masks])


def test_cameras_in_one_place_have_no_frame(folder):
    whole = read_capture(folder)
    world = transform_cameras(whole.T_world_normalised, whole.cameras)
    still = Cameras(world.quaternions, world.centres[:1].expand_as(world.centres), world.intrinsics)
    with pytest.raises(BadInput, match="all cameras are in one place"):
        frame_looked_at(still, [mask.shape for mask in whole.masks])

"""How objects stand before their cameras, and what lights a side that no camera saw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ball_run import around
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.pinhole import transform_cameras
from taichi_idr.materials.standing import folded, standing, turned
from taichi_idr.types import Cameras

CLOSE: Any = {"rtol": 0, "atol": 1e-9}


def ring(count: int = 24) -> Cameras:
    return around(count, elevation=0.4)


def azimuths(cameras: Cameras, middle: torch.Tensor) -> torch.Tensor:
    """Degrees, about the z axis, from that of `middle`."""
    angle = torch.atan2(cameras.centres[:, 1], cameras.centres[:, 0])
    turn = (angle - torch.atan2(middle[1], middle[0]) + math.pi) % (2 * math.pi) - math.pi
    return torch.rad2deg(turn)


def test_photographed_all_round_the_front_is_the_first_cameras_side():
    cameras = ring()
    stands = standing(cameras)
    assert stands.reach == math.pi
    np.testing.assert_allclose(stands.axes @ stands.axes.T, np.eye(3), **CLOSE)
    assert np.linalg.det(stands.axes) == pytest.approx(1)
    assert stands.azimuth(cameras.centres)[0].abs() < 1e-9
    assert (cameras.centres.numpy() @ stands.up).min() > 0.5


def test_photographed_from_one_side_the_front_is_its_middle():
    cameras = ring()
    centre = cameras.centres[9]
    one_side = cameras[azimuths(cameras, centre).abs() < 50]
    stands = standing(one_side)
    assert len(one_side) == 7
    assert math.degrees(stands.reach) == pytest.approx(45, abs=0.1)
    assert stands.azimuth(centre[None]).abs() < 1e-9


def test_a_camera_above_is_on_no_side():
    cameras = ring()
    upright = around(1, elevation=0.0).quaternions
    above = Cameras(upright, torch.tensor([[0.05, -0.02, 2.5]]).double(), cameras.intrinsics[:1])
    near = azimuths(cameras, cameras.centres[9]).abs() < 50
    parts = zip(vars(cameras[near]).values(), vars(above).values(), strict=True)
    assert math.degrees(standing(Cameras(*map(torch.cat, parts))).reach) == pytest.approx(45, abs=0.1)
    assert standing(above).reach == math.pi


def test_standing_turns_with_the_object():
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [0.4, -1.1, 2.0]).as_matrix()
    cameras = ring()[torch.arange(7)]
    moved, still = standing(transform_cameras(T, cameras)), standing(cameras)
    np.testing.assert_allclose(moved.axes, still.axes @ T[:3, :3].T, **CLOSE)
    assert moved.reach == pytest.approx(still.reach)


def test_light_goes_back_to_the_front_behind_the_object():
    angles = torch.linspace(-math.pi, math.pi, 2001, dtype=torch.float64)
    reach = math.radians(60)
    light = folded(angles, reach)
    inside = angles.abs() <= reach
    torch.testing.assert_close(light[inside], angles[inside])
    assert light.abs().max() <= reach + 1e-9
    assert light[[0, -1]].abs().max() < 1e-9
    assert light.diff().abs().max() < 1.01 * angles.diff().max()
    torch.testing.assert_close(folded(angles, math.pi), angles)


def test_turning_adds_to_the_azimuth(generator):
    stands = standing(ring())
    points = torch.randn(50, 3, generator=generator).double()
    angle = torch.rand(50, generator=generator).double() - 0.5
    local = stands.local(points)
    after = turned(local, angle)
    added = torch.atan2(after[:, 1], after[:, 0]) - stands.azimuth(points) - angle
    torch.testing.assert_close(torch.sin(added / 2), torch.zeros_like(added), **CLOSE)
    torch.testing.assert_close(after.norm(dim=1), points.norm(dim=1))
    torch.testing.assert_close(after[:, 2], points @ torch.from_numpy(stands.up))

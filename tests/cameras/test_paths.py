"""Camera paths: distances, directions and pictures that must come out, whatever the frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ball_run import around
from scipy.spatial.transform import Rotation

from taichi_idr.cameras import paths
from taichi_idr.cameras.pinhole import projections, transform_cameras
from taichi_idr.cameras.rotations import facing, quaternions_from_rotations, rotation_matrices
from taichi_idr.types import Cameras

EXACT = 1e-9
SIZE = (48, 64)


@pytest.fixture(params=range(3), ids=lambda seed: f"seed{seed}")
def cameras(request: pytest.FixtureRequest) -> Cameras:
    """A ring of cameras in an arbitrary orientation."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.random(rng=np.random.default_rng(request.param)).as_matrix()
    return transform_cameras(turn, around(7, elevation=0.5))


def origin_pixels(cameras: Cameras) -> np.ndarray:
    seen = projections(cameras)[:, :, 3].numpy()
    return seen[:, :2] / seen[:, 2:]


def test_orbit_keeps_distance_and_elevation_and_looks_at_the_origin(cameras: Cameras) -> None:
    found = paths.orbit(cameras, frames=12, size=SIZE)
    up = paths.mean_up(cameras)
    np.testing.assert_allclose(found.centres.norm(dim=1), 2.5, atol=EXACT)
    np.testing.assert_allclose(found.centres.numpy() @ up, 2.5 * np.sin(0.5), atol=1e-6)
    np.testing.assert_allclose(origin_pixels(found), np.tile([(64 - 1) / 2, (48 - 1) / 2], (12, 1)), atol=1e-6)
    upward = -rotation_matrices(found.quaternions)[:, :, 1].numpy() @ up
    np.testing.assert_allclose(upward, np.cos(0.5), atol=1e-6)


def test_orbit_goes_once_around_in_equal_steps(cameras: Cameras) -> None:
    centres = paths.orbit(cameras, frames=12, size=SIZE).centres.numpy()
    np.testing.assert_allclose(centres.mean(axis=0), paths.mean_up(cameras) * 2.5 * np.sin(0.5), atol=1e-6)
    steps = np.linalg.norm(np.roll(centres, -1, axis=0) - centres, axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    np.testing.assert_allclose(centres[0], cameras.centres[0], atol=1e-6)


def test_orbit_shows_the_same_angle_at_any_size(cameras: Cameras) -> None:
    small, large = (paths.orbit(cameras, frames=1, size=size).intrinsics[0] for size in (SIZE, (480, 640)))
    assert large[0, 0] == pytest.approx(10 * float(small[0, 0]))
    assert small[0, 0] == pytest.approx(float(cameras.intrinsics[0, 0, 0]))


def test_orbit_of_cameras_looking_straight_down_is_not_too_steep() -> None:
    down = facing(np.array([0.0, 0, -1]), np.array([0.0, 1, 0]))
    quaternion = quaternions_from_rotations(torch.from_numpy(down)[None])
    K = around(1, elevation=0.0).intrinsics
    one = Cameras(quaternion, torch.tensor([[0.0, 0, 2]], dtype=torch.float64), K)
    found = paths.orbit(one, frames=4, size=SIZE)
    assert torch.isfinite(found.quaternions).all()
    np.testing.assert_allclose(found.centres.norm(dim=1), 2, atol=EXACT)


def test_up_of_cameras_rolled_every_way_is_where_they_spread_least() -> None:
    ring = around(8, elevation=0.0)
    roll = torch.tensor([np.cos(np.pi / 2), 0, 0, np.sin(np.pi / 2)])
    quaternions = ring.quaternions.clone()
    for view in range(0, 8, 2):
        turned = Rotation.from_quat(quaternions[view].numpy(), scalar_first=True) * Rotation.from_quat(
            roll.numpy(), scalar_first=True
        )
        quaternions[view] = torch.from_numpy(turned.as_quat(scalar_first=True))
    up = paths.mean_up(Cameras(quaternions, ring.centres, ring.intrinsics))
    np.testing.assert_allclose(np.abs(up), [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize("count", [1, 4, 12])
def test_up_of_cameras_on_one_side_does_not_lean(count: int) -> None:
    """Their own up vectors do, by up to 32 degrees; one camera alone knows no better."""
    up = paths.mean_up(around(24, elevation=0.6)[torch.arange(count)])
    leaning = np.degrees(np.arccos(up[2]))
    assert leaning < 1 if count > 1 else leaning == pytest.approx(np.degrees(0.6))


def test_up_of_portraits_among_landscapes_is_the_mean() -> None:
    ring = around(12, elevation=0.5)
    rolled = [
        quaternions_from_rotations(
            rotation_matrices(q[None]) @ torch.from_numpy(Rotation.from_euler("z", roll, degrees=True).as_matrix())
        )
        for q, roll in zip(ring.quaternions, [0, 90, 0, 0] * 3, strict=True)
    ]
    mixed = Cameras(torch.cat(rolled), ring.centres, ring.intrinsics)
    mean = -rotation_matrices(mixed.quaternions)[:, :, 1].numpy().mean(axis=0)
    np.testing.assert_allclose(paths.mean_up(mixed), mean / np.linalg.norm(mean), atol=1e-9)


def test_spline_passes_through_its_cameras_and_keeps_the_object_in_place(cameras: Cameras) -> None:
    found = paths.spline(cameras, frames=13, size=SIZE)
    np.testing.assert_allclose(found.centres[::2], cameras.centres, atol=1e-6)
    np.testing.assert_allclose(
        rotation_matrices(found.quaternions[::2]), rotation_matrices(cameras.quaternions), atol=1e-6
    )
    np.testing.assert_allclose(origin_pixels(found), np.tile([(64 - 1) / 2, (48 - 1) / 2], (13, 1)), atol=1e-6)
    np.testing.assert_allclose(found.centres.norm(dim=1), 2.5, atol=1e-6)


def test_facing_is_a_rotation_with_the_right_axes() -> None:
    R = facing(np.array([0.0, 0, -2]), np.array([0.0, 1, 0]))
    np.testing.assert_allclose(R.T @ [0, 0, -1], [0, 0, 1], atol=EXACT)  # ahead
    np.testing.assert_allclose(R.T @ [0, 1, 0], [0, -1, 0], atol=EXACT)  # y is down
    assert np.linalg.det(R) == pytest.approx(1)

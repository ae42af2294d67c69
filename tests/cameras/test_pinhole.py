"""Projection matrices to cameras and back (CAM-2, CAM-7), changes of frame, agreement of two sets of poses (CAM-9)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.alignment import align_cameras, camera_accuracy
from taichi_idr.cameras.pinhole import (
    cameras_from_projections,
    inverse_intrinsics,
    projections,
    shrunk,
    transform_cameras,
)
from taichi_idr.cameras.rotations import quaternions_from_rotations, rotation_matrices
from taichi_idr.capture.reading import read_capture
from taichi_idr.types import Cameras, CaptureReading

UNIT = st.integers(-1000, 1000).map(lambda n: n / 1000)
"""Hypothesis makes no floats where the processor flushes subnormal ones, as Taichi has it do."""
RELATIVE = 1e-8
"""Decompositions: double precision, less what a focal length of 1e4 pixels costs."""


@st.composite
def intrinsics(draw: st.DrawFn) -> np.ndarray:
    focal = 10 ** (3 + draw(UNIT))
    skew, column, row = 0.1 * focal * draw(UNIT), 500 * draw(UNIT), 400 * draw(UNIT)
    return np.array([[focal, skew, column], [0, 1.3 * focal, row], [0, 0, 1]])


@st.composite
def rotations(draw: st.DrawFn) -> np.ndarray:
    vector = np.array([draw(UNIT), draw(UNIT), draw(UNIT)])
    return Rotation.from_rotvec(vector * np.pi / np.sqrt(3)).as_matrix()


@given(K=intrinsics(), R=rotations(), centre=st.tuples(UNIT, UNIT, UNIT), log_scale=UNIT, negative=st.booleans())
def test_a_projection_of_any_scale_and_sign_is_taken_apart(K, R, centre, log_scale, negative):
    centre = 100 * np.array(centre)
    P = K @ np.column_stack([R.T, -R.T @ centre]) * 10 ** (6 * log_scale) * (-1 if negative else 1)
    cameras = cameras_from_projections(P[None])
    assert np.allclose(cameras.intrinsics[0], K, rtol=RELATIVE, atol=RELATIVE * K[0, 0])
    assert np.allclose(rotation_matrices(cameras.quaternions)[0], R, atol=RELATIVE)
    assert np.allclose(cameras.centres[0], centre, atol=100 * RELATIVE)
    assert torch.all(torch.diagonal(cameras.intrinsics[0]) > 0)


@given(K=intrinsics(), R=rotations(), scale=st.sampled_from([-3e3, -1.0, 1e-4, 1.0]))
def test_the_parts_make_the_projection_again(K, R, scale):
    P = scale * K @ np.column_stack([R.T, [3.0, -4.0, 50.0]])
    again = projections(cameras_from_projections(P[None]))[0].numpy()
    assert np.allclose(again * scale, P, rtol=RELATIVE, atol=RELATIVE * abs(P).max())


@pytest.mark.parametrize("axis", np.vstack([np.eye(3), [[0.6, 0.8, 0.0], [-0.48, 0.6, 0.64]]]), ids=str)
@pytest.mark.parametrize("angle", [0.0, 1e-9, 2.0, np.pi - 1e-9, np.pi])
def test_half_turns_have_quaternions_too(axis, angle):
    R = torch.from_numpy(Rotation.from_rotvec(angle * axis).as_matrix())[None]
    quaternion = quaternions_from_rotations(R)
    assert abs(float(quaternion.norm()) - 1) < 1e-12
    assert torch.allclose(rotation_matrices(quaternion), R, atol=1e-12)


def test_quaternions_of_any_length_rotate_alike(generator):
    quaternions = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    R = rotation_matrices(3 * quaternions)
    w_last = np.roll(quaternions.numpy(), -1, axis=1)
    assert np.allclose(R, Rotation.from_quat(w_last).as_matrix(), atol=1e-12)


def random_cameras(count: int, seed: int = 0) -> Cameras:
    random = np.random.default_rng(seed)
    R = torch.from_numpy(Rotation.random(count, random_state=seed).as_matrix())
    K = torch.tensor([[700.0, 2, 320], [0, 690, 230], [0, 0, 1]], dtype=torch.float64).repeat(count, 1, 1)
    return Cameras(quaternions_from_rotations(R), torch.from_numpy(random.normal(size=(count, 3))), K)


def test_the_ray_of_a_projected_point_passes_through_it():
    cameras = random_cameras(6)
    point = torch.tensor([0.2, -0.3, 0.1, 1.0], dtype=torch.float64)
    image = projections(cameras) @ point
    through = (inverse_intrinsics(cameras) @ image[:, :, None])[:, :, 0]
    reached = cameras.centres + (rotation_matrices(cameras.quaternions) @ through[:, :, None])[:, :, 0]
    assert torch.allclose(reached, point[:3].expand(6, 3), atol=1e-12)


def test_photos_stay_as_they_are_in_another_frame():
    cameras = random_cameras(5)
    T = np.eye(4)
    T[:3, :3] = 246.4 * Rotation.from_rotvec([0.3, -2, 1]).as_matrix()
    T[:3, 3] = [-37, 118, 641]
    point = np.array([0.2, -0.3, 0.1, 1.0])
    here, there = projections(cameras).numpy() @ point, projections(transform_cameras(T, cameras)).numpy() @ (T @ point)
    assert np.allclose(here[:, :2] / here[:, 2:], there[:, :2] / there[:, 2:], atol=1e-9)
    assert np.allclose(there[:, 2], 246.4 * here[:, 2])


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_averaging_blocks_moves_what_is_seen_where_it_should(factor):
    full = random_cameras(1)
    point = torch.tensor([0.2, -0.3, 0.1, 1.0], dtype=torch.float64)
    seen = [projections(cameras)[0] @ point for cameras in (full, shrunk(full, factor))]
    (u, v), (small_u, small_v) = ((image[:2] / image[2]).tolist() for image in seen)
    # A block of pixels b N ... b N + N - 1 becomes pixel b, whose centre is the block's.
    assert small_u == pytest.approx((u - (factor - 1) / 2) / factor)
    assert small_v == pytest.approx((v - (factor - 1) / 2) / factor)


def test_alignment_finds_a_similarity_in_spite_of_outliers():
    reference = random_cameras(12)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = 3.5 * Rotation.from_rotvec([1, 2, -0.5]).as_matrix(), [5, -2, 1]
    predicted = transform_cameras(np.linalg.inv(T), reference)
    assert np.allclose(align_cameras(predicted, reference), T, atol=1e-6)
    reference.centres[3] += 4.0  # sums of squares would be drawn to it
    assert np.allclose(align_cameras(predicted, reference), T, atol=1e-3)


def test_accuracy_measures_what_was_added():
    reference = random_cameras(9)
    R = rotation_matrices(reference.quaternions)
    turn = torch.from_numpy(Rotation.from_rotvec([0, 0, np.radians(6.0)]).as_matrix())
    turned = R.clone()
    turned[4] = turned[4] @ turn
    predicted = Cameras(quaternions_from_rotations(turned), reference.centres, reference.intrinsics)
    accuracy = camera_accuracy(predicted, reference)
    # The chordal mean takes a ninth of the turn, and is itself off by that.
    assert accuracy.rotation_mean_deg == pytest.approx((6 * 8 / 9 + 8 * 6 / 9) / 9, rel=0.02)
    assert accuracy.rotation_median_deg == pytest.approx(6 / 9, rel=0.02)
    assert accuracy.centre_median < 0.02


def test_one_turn_of_all_cameras_in_their_own_axes_is_told_apart():
    reference = random_cameras(20)
    turn = torch.from_numpy(Rotation.from_rotvec(np.radians([0.4, -0.3, 0.0])).as_matrix())
    turned = quaternions_from_rotations(rotation_matrices(reference.quaternions) @ turn)
    accuracy = camera_accuracy(Cameras(turned, reference.centres, reference.intrinsics), reference)
    assert accuracy.rotation_mean_deg > 0.35
    assert accuracy.rotation_apart_deg < 0.05


def test_sets_of_different_size_are_refused():
    with pytest.raises(ValueError, match="got 3 and 4 cameras"):
        align_cameras(random_cameras(3), random_cameras(4))


@pytest.mark.parametrize(
    ("name", "rough", "degrees", "millimetres"),
    [("dtu_scan65", "cameras_linear_init.npz", 1.389, 5.67), ("nefertiti", "cameras_noisy.npz", 1.48, 6.65)],
)
def test_rough_poses_are_as_far_off_as_published(capture_data, name, rough, degrees, millimetres):
    folder = capture_data(name)
    captures = [read_capture(folder, CaptureReading(cameras_file=file), downscale=4) for file in (rough, None)]
    start, truth = (transform_cameras(capture.T_world_normalised, capture.cameras) for capture in captures)
    accuracy = camera_accuracy(start, truth)
    assert accuracy.rotation_mean_deg == pytest.approx(degrees, abs=0.005)
    assert accuracy.centre_mean == pytest.approx(millimetres, abs=0.005)
    assert torch.equal(start.intrinsics, truth.intrinsics)

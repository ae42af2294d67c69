"""Pinhole cameras: from projection matrices and back, between frames, and how well two sets of poses agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from ..types import Cameras

ALIGNMENT_ITERATIONS = 300
ALIGNMENT_FLOOR = 1e-9
"""Least distance that counts as one in the weights of `align_cameras`, in units of the reference centres' spread."""


@dataclass(frozen=True)
class CameraAccuracy:
    """What is left after `align_cameras`: degrees, and the reference's unit of length. `alignment` (4, 4) is the
    similarity reference <- predicted."""

    rotation_mean_deg: float
    rotation_median_deg: float
    centre_mean: float
    centre_median: float
    alignment: np.ndarray


def cameras_from_projections(projections: np.ndarray) -> Cameras:
    """Cameras (float64) of P (V, 3, 4) = s K [R | t] with any s other than zero, negative included (CAM-2).

    K gets a positive diagonal, K[2, 2] = 1 and keeps its skew; the rotations are proper. P's left 3 x 3 block must be
    regular.
    """
    parts = [_decompose(P) for P in np.asarray(projections, dtype=np.float64)]
    intrinsics, rotations, centres = (torch.from_numpy(np.stack(part)) for part in zip(*parts, strict=True))
    return Cameras(quaternions_from_rotations(rotations), centres, intrinsics)


def projections(cameras: Cameras) -> Tensor:
    """P (V, 3, 4) = K [R^T | -R^T c]: homogeneous points of the cameras' frame -> pixel times depth."""
    R_camera_frame = rotation_matrices(cameras.quaternions).transpose(1, 2)
    shift = -R_camera_frame @ cameras.centres[:, :, None]
    return cameras.intrinsics @ torch.cat([R_camera_frame, shift], dim=2)


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """Rotations (V, 3, 3) of quaternions (V, 4) w x y z of any length but zero. Differentiable."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=1).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1),
    ]
    return torch.stack(rows, dim=1)


def quaternions_from_rotations(rotations: Tensor) -> Tensor:
    """Unit quaternions (V, 4) w x y z, w >= 0, of rotations (V, 3, 3); sound at trace = -1 too (CAM-7)."""
    xyzw = Rotation.from_matrix(rotations.detach().cpu().numpy()).as_quat(canonical=True)
    return torch.from_numpy(np.roll(xyzw, 1, axis=1)).to(rotations)


def inverse_intrinsics(cameras: Cameras) -> Tensor:
    """K^-1 (V, 3, 3), inverted in float64."""
    return torch.linalg.inv(cameras.intrinsics.double()).to(cameras.intrinsics)


def shrunk(cameras: Cameras, factor: float) -> Cameras:
    """The cameras of photos averaged over blocks of factor x factor pixels: u' = (u + 0.5) / factor - 0.5."""
    shrink = torch.tensor([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, factor]], dtype=torch.float64) / factor
    shrink[:2, 2] -= 0.5
    return Cameras(cameras.quaternions, cameras.centres, shrink.to(cameras.intrinsics) @ cameras.intrinsics)


def transform_cameras(T_new_old: np.ndarray, cameras: Cameras) -> Cameras:
    """The same cameras in another frame, x_new = T_new_old x_old, a similarity (4, 4). Photos stay as they are."""
    T = torch.from_numpy(np.asarray(T_new_old, dtype=np.float64)).to(cameras.centres)
    rotation = T[:3, :3] / torch.linalg.det(T[:3, :3]).pow(1 / 3)
    quaternions = quaternions_from_rotations(rotation @ rotation_matrices(cameras.quaternions))
    return Cameras(quaternions, cameras.centres @ T[:3, :3].T + T[:3, 3], cameras.intrinsics)


def align_cameras(predicted: Cameras, reference: Cameras) -> np.ndarray:
    """Similarity (4, 4) reference <- predicted frame (CAM-9).

    R is the chordal mean of R_reference R_predicted^T; then s and t minimise the sum of distances between centres.
    """
    if len(predicted) != len(reference) or len(predicted) < 2:
        raise ValueError(f"align_cameras: expected two equal sets, got {len(predicted)} and {len(reference)} cameras")
    R_predicted, R_reference = (rotation_matrices(c.quaternions.double()).numpy() for c in (predicted, reference))
    R = _nearest_rotation((R_reference @ R_predicted.transpose(0, 2, 1)).sum(axis=0))
    source = predicted.centres.double().numpy() @ R.T
    scale, shift = _least_distances(source, reference.centres.double().numpy())
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = scale * R, shift
    return T


def camera_accuracy(predicted: Cameras, reference: Cameras) -> CameraAccuracy:
    """Rotation and centre errors after the best similarity (CAM-9); both sets list the same photos in order."""
    T = align_cameras(predicted, reference)
    aligned = transform_cameras(T, predicted.to(torch.float64))
    R_aligned, R_reference = (rotation_matrices(c.quaternions.double()).numpy() for c in (aligned, reference))
    degrees = np.degrees(Rotation.from_matrix(R_reference @ R_aligned.transpose(0, 2, 1)).magnitude())
    apart = np.linalg.norm(aligned.centres.numpy() - reference.centres.double().numpy(), axis=1)
    numbers = [float(statistic(errors)) for errors in (degrees, apart) for statistic in (np.mean, np.median)]
    return CameraAccuracy(*numbers[:2], *numbers[2:], alignment=T)


def _decompose(P: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K, rotation camera -> frame and centre of one P (3, 4)."""
    M = P[:, :3] / np.linalg.norm(P[:, :3])
    K, R_camera_frame = scipy.linalg.rq(M * np.sign(np.linalg.det(M)))
    signs = np.sign(np.diag(K))
    K, R_camera_frame = K * signs, signs[:, None] * R_camera_frame
    return K / K[2, 2], R_camera_frame.T, -np.linalg.solve(P[:, :3], P[:, 3])


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    U, _, Vt = np.linalg.svd(matrix)
    return U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt


def _least_distances(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """s, t that minimise sum |target - (s source + t)| over points (V, 3), by reweighted least squares."""
    floor = ALIGNMENT_FLOOR * (np.ptp(target, axis=0).max() + np.finfo(float).tiny)
    weights = np.ones(len(source))
    scale, shift = 1.0, np.zeros(3)
    for _ in range(ALIGNMENT_ITERATIONS):
        share = weights / weights.sum()
        source_mean, target_mean = share @ source, share @ target
        spread = share @ ((source - source_mean) ** 2).sum(axis=1)
        along = share @ ((source - source_mean) * (target - target_mean)).sum(axis=1)
        scale = along / spread if spread > 0 else 1.0
        shift = target_mean - scale * source_mean
        weights = 1 / np.maximum(np.linalg.norm(target - (scale * source + shift), axis=1), floor)
    return float(scale), shift

"""Pinhole cameras: from projection matrices and back, and between frames."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from ..types import Cameras
from .rotations import quaternions_from_rotations, rotation_matrices

NOT_SIMILAR = 1e-3  # of a rotation times its transpose, beside the identity
LARGEST = 1e90  # size of numbers up to which, and down to whose inverse, volumes can be computed


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


def inverse_intrinsics(cameras: Cameras) -> Tensor:
    """K^-1 (V, 3, 3), inverted in float64."""
    return torch.linalg.inv(cameras.intrinsics.double()).to(cameras.intrinsics)


def shrunk(cameras: Cameras, factor: float) -> Cameras:
    """The cameras of photos averaged over blocks of factor x factor pixels: u' = (u + 0.5) / factor - 0.5."""
    shrink = torch.tensor([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, factor]], dtype=torch.float64) / factor
    shrink[:2, 2] -= 0.5
    return Cameras(cameras.quaternions, cameras.centres, shrink.to(cameras.intrinsics) @ cameras.intrinsics)


def every_nth_pixel(cameras: Cameras, every: int) -> Cameras:
    """The cameras of pictures made of every n-th row and column, the first included: u' = u / every."""
    scale = torch.diag(torch.tensor([1 / every, 1 / every, 1.0], dtype=cameras.intrinsics.dtype))
    return Cameras(cameras.quaternions, cameras.centres, scale @ cameras.intrinsics)


def is_similarity(T: np.ndarray) -> bool:
    """Whether T, numbers of any shape, is one: (4, 4), a rotation times a scale and a shift, of numbers of which
    volumes can be computed."""
    if T.shape != (4, 4) or not np.isfinite(T).all():
        return False
    block, size = T[:3, :3], np.abs(T[:3, :3]).max()
    if not 1 / LARGEST < size < LARGEST:
        return False
    block = block / size
    scale = np.linalg.norm(block) / np.sqrt(3)
    similar = np.abs(block.T @ block / scale**2 - np.eye(3)).max() <= NOT_SIMILAR and np.linalg.det(block) > 0
    return bool(similar) and np.allclose(T[3], [0, 0, 0, 1])


def scale_of(T: np.ndarray) -> float:
    """Length of a unit of the one frame in units of the other, of a similarity T (4, 4): of T_world_normalised, how
    long a normalised unit is in the world."""
    return float(np.cbrt(np.linalg.det(T[:3, :3])))


def transform_cameras(T_new_old: np.ndarray, cameras: Cameras) -> Cameras:
    """The same cameras in another frame, x_new = T_new_old x_old, a similarity (4, 4). Photos stay as they are."""
    T = torch.from_numpy(np.asarray(T_new_old, dtype=np.float64)).to(cameras.centres)
    rotation = T[:3, :3] / torch.linalg.det(T[:3, :3]).pow(1 / 3)
    quaternions = quaternions_from_rotations(rotation @ rotation_matrices(cameras.quaternions))
    return Cameras(quaternions, cameras.centres @ T[:3, :3].T + T[:3, 3], cameras.intrinsics)


def _decompose(P: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K, rotation camera -> frame and centre of one P (3, 4)."""
    M = P[:, :3] / np.linalg.norm(P[:, :3])
    K, R_camera_frame = scipy.linalg.rq(M * np.sign(np.linalg.det(M)))
    signs = np.sign(np.diag(K))
    K, R_camera_frame = K * signs, signs[:, None] * R_camera_frame
    return K / K[2, 2], R_camera_frame.T, -np.linalg.solve(P[:, :3], P[:, 3])


def pixel_angle(camera: Cameras) -> float:
    """Radians from a pixel to the next, in the middle of the picture."""
    return float(2 / (camera.intrinsics[0, 0, 0] + camera.intrinsics[0, 1, 1]))

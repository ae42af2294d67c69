"""Where other formats count pixels and axes in another way than we do, and views in plain numbers as cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...cameras.rotations import quaternions_from_rotations, rotation_matrices
from ...errors import BadInput
from ...types import Cameras
from .source import CORNER_CENTRE, FoundView, Pinhole

NOT_A_ROTATION = 1e-3  # largest deviation of R R^T from the unit matrix
FARTHEST = 1e90  # units of the world: volumes cannot be computed beyond
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV's camera axes <- OpenGL's: y up, z backward


def poses(cameras: Cameras) -> np.ndarray:
    """Camera -> world (V, 4, 4), OpenCV axes."""
    T = np.tile(np.eye(4), (len(cameras), 1, 1))
    T[:, :3, :3] = rotation_matrices(cameras.quaternions).numpy()
    T[:, :3, 3] = cameras.centres.numpy()
    return T


def pinholes(cameras: Cameras) -> list[list[float]]:
    """fx, fy, cx, cy of each view, coordinates counted from the corner of the first pixel."""
    K = cameras.intrinsics
    columns = [K[:, 0, 0], K[:, 1, 1], K[:, 0, 2] + CORNER_CENTRE, K[:, 1, 2] + CORNER_CENTRE]
    return torch.stack(columns, dim=1).tolist()


def view_cameras(views: Sequence[FoundView], pinholes: Sequence[Pinhole], where: Path) -> Cameras:
    """Cameras (float64, world frame) of views, with these intrinsics. Raises BadInput, naming a view whose pose is no
    rotation and centre."""
    K = torch.zeros(len(views), 3, 3, dtype=torch.float64)
    for k, pinhole in zip(K, pinholes, strict=True):
        k[0, 0], k[1, 1], k[0, 2], k[1, 2], k[2, 2] = pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy, 1.0
        k[0, 1] = pinhole.skew
    rotations = torch.tensor([view.rotation for view in views], dtype=torch.float64)
    centres = torch.tensor([view.centre for view in views], dtype=torch.float64)
    away = (rotations @ rotations.transpose(1, 2) - torch.eye(3, dtype=torch.float64)).abs().amax(dim=(1, 2))
    for view, R, centre, distance in zip(views, rotations, centres, away.tolist(), strict=True):
        if not distance < NOT_A_ROTATION or torch.linalg.det(R) < 0 or not centre.abs().max() < FARTHEST:
            why = "its pose is no rotation and shift of a right-handed frame"
            raise BadInput("bad camera", where=f"{where}: {view.image.name}", why=why, todo="correct it")
    return Cameras(quaternions_from_rotations(rotations), centres, K)

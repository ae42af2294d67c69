"""Where other formats count pixels and axes in another way than we do."""

from __future__ import annotations

import numpy as np
import torch

from ...cameras.rotations import rotation_matrices
from ...types import Cameras

CORNER_CENTRE = 0.5  # pixels from a pixel's corner, their origin, to its centre, ours
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

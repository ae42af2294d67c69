"""Cameras with errors that are known, and files of poses as a fit logs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.rotations import quaternions_from_rotations, rotation_matrices
from taichi_idr.types import Cameras


def disturbed(cameras: Cameras, degrees: float, length: float) -> Cameras:
    """Every other camera is turned about z and raised, the others turned and lowered as much: what is common to all is
    nothing, so that CAM-9 leaves every error as it is."""
    signs = np.where(np.arange(len(cameras)) % 2 == 0, 1.0, -1.0)
    turns = Rotation.from_rotvec(np.radians(degrees) * signs[:, None] * [[0, 0, 1.0]]).as_matrix()
    quaternions = quaternions_from_rotations(torch.from_numpy(turns) @ rotation_matrices(cameras.quaternions))
    centres = cameras.centres + torch.from_numpy(length * signs[:, None] * [[0, 0, 1.0]])
    return Cameras(quaternions, centres, cameras.intrinsics)


def write_history(file: Path, poses: list[Cameras], **changes: object) -> Path:
    arrays: dict[str, object] = {
        "steps": np.array([0, 50, 200][: len(poses)]),
        "quaternions": np.stack([each.quaternions.numpy() for each in poses]),
        "centres": np.stack([each.centres.numpy() for each in poses]),
    }
    np.savez(file, **{key: value for key, value in (arrays | changes).items() if value is not None})  # type: ignore[arg-type]
    return file

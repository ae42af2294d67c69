"""nerfstudio's and instant-ngp's transforms.json."""

from __future__ import annotations

from collections.abc import Sequence

from ...types import Cameras
from .conventions import OPENGL, pinholes, poses


def transforms(cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> dict[str, object]:
    """Per frame intrinsics and `transform_matrix`, OpenGL camera -> world."""
    frames = []
    for pose, pinhole, name, (height, width) in zip(poses(cameras), pinholes(cameras), names, sizes, strict=True):
        intrinsics = dict(zip(("fl_x", "fl_y", "cx", "cy"), pinhole, strict=True))
        matrix = (pose @ OPENGL).tolist()
        frames.append({"file_path": f"image/{name}", **intrinsics, "w": width, "h": height, "transform_matrix": matrix})
    return {"camera_model": "OPENCV", "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0, "frames": frames}

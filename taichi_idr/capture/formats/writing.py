"""Cameras of a run for other programs: IDR's matrices, nerfstudio's and instant-ngp's transforms.json, COLMAP's text.

All are in the capture's world frame and unit, for photos of full size. The latter two put a pixel's corner where we put
its centre, so that their principal point is half a pixel further, and have no place for skew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...cameras.pinhole import rotation_matrices, transform_cameras
from ...errors import warn
from ...files.writing import atomic_write, create_folder
from ...types import Cameras
from .idr import write_idr_cameras

CORNER_CENTRE = 0.5  # pixels from a pixel's corner, their origin, to its centre, ours
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV's camera axes <- OpenGL's: y up, z backward
SKEW_SHIFT = 0.01  # pixels, above which the loss of skew is worth a word
COLMAP_FOLDER = Path("sparse", "0")


def write_cameras(
    folder: Path,
    cameras: Cameras,
    T_world_normalised: np.ndarray,
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    *,
    mention_skew: bool = True,
) -> None:
    """Write `cameras.npz`, `transforms.json` and `sparse/0/{cameras,images,points3D}.txt` into `folder`.

    cameras: V, camera -> normalised, for photos of full size. names: file of each photo in the capture's `image/`.
    sizes: its height and width. mention_skew: warn of it where it is lost.
    Raises CannotCreate, WriteFailed; a file is replaced as a whole or not at all.
    """
    colmap = create_folder(folder / COLMAP_FOLDER)
    in_world = transform_cameras(T_world_normalised, cameras.to(torch.float64))
    if mention_skew:
        _warn_of_skew(in_world, sizes)
    write_idr_cameras(folder / "cameras.npz", cameras, T_world_normalised)
    atomic_write(folder / "transforms.json", json.dumps(_transforms(in_world, names, sizes), indent=1) + "\n")
    for name, text in _colmap_texts(in_world, names, sizes).items():
        atomic_write(colmap / name, text)


def _transforms(cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> dict[str, object]:
    """Per frame intrinsics and `transform_matrix`, OpenGL camera -> world."""
    frames = []
    for pose, pinhole, name, (height, width) in zip(_poses(cameras), _pinholes(cameras), names, sizes, strict=True):
        intrinsics = dict(zip(("fl_x", "fl_y", "cx", "cy"), pinhole, strict=True))
        matrix = (pose @ OPENGL).tolist()
        frames.append({"file_path": f"image/{name}", **intrinsics, "w": width, "h": height, "transform_matrix": matrix})
    return {"camera_model": "OPENCV", "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0, "frames": frames}


def _colmap_texts(cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> dict[str, str]:
    """A pinhole for each view; world -> camera as quaternion w x y z and shift; no points."""
    pinholes = ["# CAMERA_ID MODEL WIDTH HEIGHT fx fy cx cy"]
    images = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of points, which is empty"]
    conjugate = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    turns = torch.nn.functional.normalize(cameras.quaternions, dim=1) * conjugate
    shifts = -(rotation_matrices(turns) @ cameras.centres[:, :, None])[:, :, 0]
    rows = zip(_pinholes(cameras), turns.tolist(), shifts.tolist(), names, sizes, strict=True)
    for number, (pinhole, turn, shift, name, (height, width)) in enumerate(rows, start=1):
        pinholes.append(f"{number} PINHOLE {width} {height} {_spaced(pinhole)}")
        images += [f"{number} {_spaced(turn)} {_spaced(shift)} {number} {_one_word(name)}", ""]
    texts = {"cameras.txt": pinholes, "images.txt": images, "points3D.txt": ["# none"]}
    return {name: "\n".join(lines) + "\n" for name, lines in texts.items()}


def _poses(cameras: Cameras) -> np.ndarray:
    """Camera -> world (V, 4, 4), OpenCV axes."""
    T = np.tile(np.eye(4), (len(cameras), 1, 1))
    T[:, :3, :3] = rotation_matrices(cameras.quaternions).numpy()
    T[:, :3, 3] = cameras.centres.numpy()
    return T


def _pinholes(cameras: Cameras) -> list[list[float]]:
    """fx, fy, cx, cy of each view, coordinates counted from the corner of the first pixel."""
    K = cameras.intrinsics
    columns = [K[:, 0, 0], K[:, 1, 1], K[:, 0, 2] + CORNER_CENTRE, K[:, 1, 2] + CORNER_CENTRE]
    return torch.stack(columns, dim=1).tolist()


def _warn_of_skew(cameras: Cameras, sizes: Sequence[tuple[int, int]]) -> None:
    """K[0, 1] y moves a pixel by that many columns; y is largest at the first or last row."""
    shifts = []
    for K, (height, _) in zip(cameras.intrinsics.tolist(), sizes, strict=True):
        rows = max(abs(K[1][2]), abs(height - 1 - K[1][2]))
        shifts.append(abs(K[0][1]) * rows / K[1][1])
    if max(shifts, default=0.0) > SKEW_SHIFT:
        where = "transforms.json and COLMAP's files"
        warn(f"{where} hold no skew: pixels are off by up to {max(shifts):.2g}; cameras.npz is exact")


def _spaced(numbers: Sequence[float]) -> str:
    return " ".join(map(repr, numbers))


def _one_word(name: str) -> str:
    """COLMAP's names end at the first blank."""
    return "".join(letter if letter.isprintable() and letter != " " else "_" for letter in name)

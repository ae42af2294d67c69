"""COLMAP's text model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ...cameras.rotations import rotation_matrices
from ...types import Cameras
from .conventions import pinholes

COLMAP_FOLDER = Path("sparse", "0")


def colmap_texts(cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> dict[str, str]:
    """A pinhole for each view; world -> camera as quaternion w x y z and shift; no points."""
    models = ["# CAMERA_ID MODEL WIDTH HEIGHT fx fy cx cy"]
    images = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of points, which is empty"]
    conjugate = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    turns = torch.nn.functional.normalize(cameras.quaternions, dim=1) * conjugate
    shifts = -(rotation_matrices(turns) @ cameras.centres[:, :, None])[:, :, 0]
    rows = zip(pinholes(cameras), turns.tolist(), shifts.tolist(), names, sizes, strict=True)
    for number, (pinhole, turn, shift, name, (height, width)) in enumerate(rows, start=1):
        models.append(f"{number} PINHOLE {width} {height} {_spaced(pinhole)}")
        images += [f"{number} {_spaced(turn)} {_spaced(shift)} {number} {_one_word(name)}", ""]
    texts = {"cameras.txt": models, "images.txt": images, "points3D.txt": ["# none"]}
    return {name: "\n".join(lines) + "\n" for name, lines in texts.items()}


def _spaced(numbers: Sequence[float]) -> str:
    return " ".join(map(repr, numbers))


def _one_word(name: str) -> str:
    """COLMAP's names end at the first blank."""
    return "".join(letter if letter.isprintable() and letter != " " else "_" for letter in name)

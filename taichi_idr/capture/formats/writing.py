"""Cameras of a run for other programs: IDR's matrices, nerfstudio's and instant-ngp's transforms.json, COLMAP's text.

All are in the capture's world frame and unit, for photos of full size. The latter two put a pixel's corner where we put
its centre, so that their principal point is half a pixel further, and have no place for skew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ...cameras.pinhole import transform_cameras
from ...errors import warn
from ...files.writing import atomic_write, create_folder
from ...types import Cameras
from .colmap import COLMAP_FOLDER, colmap_texts
from .matrices import write_idr_cameras
from .transforms import transforms

SKEW_SHIFT = 0.01  # pixels, above which the loss of skew is worth a word


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
    create_folder(folder / COLMAP_FOLDER)
    in_world = transform_cameras(T_world_normalised, cameras.to(torch.float64))
    if mention_skew:
        _warn_of_skew(in_world, sizes)
    write_idr_cameras(folder / "cameras.npz", cameras, T_world_normalised)
    _write_transforms(folder, in_world, names, sizes)
    _write_colmap(folder, in_world, names, sizes)


def write_cameras_as(
    to: Literal["idr", "colmap", "transforms"],
    folder: Path,
    cameras: Cameras,
    T_world_normalised: np.ndarray,
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
) -> None:
    """One of the three. transforms.json names masks too: `mask/` has those of photos in `image/`, under their names.

    Raises CannotCreate, WriteFailed.
    """
    if to == "idr":
        write_idr_cameras(folder / "cameras.npz", cameras, T_world_normalised)
        return
    in_world = transform_cameras(T_world_normalised, cameras.to(torch.float64))
    _warn_of_skew(in_world, sizes)
    if to == "transforms":
        _write_transforms(folder, in_world, names, sizes, masks=True)
    else:
        _write_colmap(folder, in_world, names, sizes)


def _write_transforms(
    folder: Path, cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]], *, masks: bool = False
) -> None:
    text = json.dumps(transforms(cameras, names, sizes, masks=masks), indent=1) + "\n"
    atomic_write(folder / "transforms.json", text)


def _write_colmap(folder: Path, cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> None:
    model = create_folder(folder / COLMAP_FOLDER)
    for name, text in colmap_texts(cameras, names, sizes).items():
        atomic_write(model / name, text)


def _warn_of_skew(cameras: Cameras, sizes: Sequence[tuple[int, int]]) -> None:
    """K[0, 1] y moves a pixel by that many columns; y is largest at the first or last row."""
    shifts = []
    for K, (height, _) in zip(cameras.intrinsics.tolist(), sizes, strict=True):
        rows = max(abs(K[1][2]), abs(height - 1 - K[1][2]))
        shifts.append(abs(K[0][1]) * rows / K[1][1])
    if max(shifts, default=0.0) > SKEW_SHIFT:
        where = "transforms.json and COLMAP's files"
        warn(f"{where} hold no skew: pixels are off by up to {max(shifts):.2g}; cameras.npz is exact")

"""Masks as a fit has refined them: one PNG for each photo in `RUN/masks`, white on black, in the size of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from ..capture.images import opened
from ..capture.masks import THRESHOLD
from ..files.writing import create_folder
from ..machine import available_cores
from ..pictures.colours import write_png


def write_refined(folder: Path, names: Sequence[str], masks: Sequence[np.ndarray]) -> None:
    """masks: (H, W) bool, one for each name. Raises CannotCreate, WriteFailed."""
    create_folder(folder)
    pictures = (np.where(mask, 255, 0).astype(np.uint8) for mask in masks)
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(write_png, (_file(folder, name) for name in names), pictures))


def read_refined(folder: Path, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray] | None:
    """Bool masks of these heights and widths; None where the fit has refined none.

    Raises BadInput, naming the file, where one cannot be read.
    """
    files = [_file(folder, name) for name in names]
    if not all(file.is_file() for file in files):
        return None
    return [_read(file, shape) for file, shape in zip(files, shapes, strict=True)]


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def _read(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    with opened(file) as image:
        grey, (height, width) = image.convert("L"), shape
        if grey.size != (width, height):
            grey = grey.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(grey) > THRESHOLD

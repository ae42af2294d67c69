"""Masks as files, of the size of the photos."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..capture.formats.source import common_folder
from ..files.writing import create_folder
from ..machine import available_cores
from ..pictures.colours import write_png
from .small_photos import SmallPhoto

SMOOTH = 0.7  # pixels of the small photos: enlarged stairs become lines


def write_masks(photos: Sequence[SmallPhoto], masks: Sequence[np.ndarray], folder: Path) -> list[Path]:
    """One PNG for each photo, white on black, bent as the photo is, in folders as the photos are; returns them.

    Raises CannotCreate, WriteFailed.
    """
    base = common_folder([photo.view.image for photo in photos])

    def write(photo: SmallPhoto, mask: np.ndarray) -> Path:
        soft = ndimage.gaussian_filter(mask.astype(np.float32), SMOOTH)
        whole = photo.in_full(soft) > 0.5
        file = folder / photo.view.image.relative_to(base).with_suffix(".png")
        create_folder(file.parent)
        write_png(file, np.where(whole, 255, 0).astype(np.uint8))
        return file

    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(write, photos, masks))

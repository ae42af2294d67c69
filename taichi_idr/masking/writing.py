"""Masks as files, of the size of the photos."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..machine import available_cores
from ..pictures.colours import write_png
from .small_photos import SmallPhoto

SMOOTH = 0.7  # pixels of the small photos: enlarged stairs become lines


def write_masks(photos: Sequence[SmallPhoto], masks: Sequence[np.ndarray], folder: Path) -> None:
    """One PNG for each photo, white on black, bent as the photo is. Raises WriteFailed."""

    def write(photo: SmallPhoto, mask: np.ndarray) -> None:
        soft = ndimage.gaussian_filter(mask.astype(np.float32), SMOOTH)
        whole = photo.in_full(soft) > 0.5
        write_png(folder / f"{photo.view.image.stem}.png", np.where(whole, 255, 0).astype(np.uint8))

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(write, photos, masks))

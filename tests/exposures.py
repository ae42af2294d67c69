"""Photos exposed anew, by the curve of sRGB in full: toe, power and white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def photographed(colour: np.ndarray, stops: np.ndarray | float) -> np.ndarray:
    """Stored colours (..., 3) in [0, 1] with 2^stops times the light."""
    light = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    light = np.clip(light * np.exp2(stops), 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def differently_exposed(
    images: Sequence[np.ndarray], stops: Sequence[float] | np.ndarray, balance: Sequence[float] = (0.0, 0.0, 0.0)
) -> list[np.ndarray]:
    """V photos (H, W, 3) uint8, with stops (V,), and balance (3,) more in each channel."""
    pairs = zip(images, stops, strict=True)
    return [np.rint(255 * photographed(image / 255, own + np.array(balance))).astype(np.uint8) for image, own in pairs]


def expose_files(folder: Path, stops: Sequence[float] | np.ndarray) -> None:
    """The photos of a folder, in order of name, exposed anew in place."""
    for path, own in zip(sorted(folder.iterdir()), stops, strict=True):
        image = differently_exposed([np.array(Image.open(path).convert("RGB"))], [own])[0]
        Image.fromarray(image).save(path)

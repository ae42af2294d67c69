"""A mask cut anew where a fitted shape has its outline: the shape says roughly where, the colours where exactly.

A shape knows what all photos say of a pixel, the first cut only what its own colours do. Of mask, shape and new cut,
two decide: a cut alone eats into parts whose colour the background has too.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from ..capture.masks import without_specks
from .cutting import BACKGROUND, LIKELY_BACKGROUND, LIKELY_OBJECT, OBJECT, cut
from .small_photos import LONGER_SIDE
from .writing import SMOOTH

BAND, NARROWEST = 0.045, 3.0
"""Of the silhouette's longer side, and pixels: half of the width about its outline in which colours decide."""
SPECK = 0.003  # of the object: smaller parts and holes are noise


def refined(colour: np.ndarray, mask: np.ndarray, silhouette: np.ndarray) -> np.ndarray:
    """(H, W) bool. colour (H, W, 3) uint8, mask (H, W) bool: a photo and its mask; silhouette (h, w) bool: the shape,
    in a photo of any size.

    Raises Unavailable without OpenCV.
    """
    height, width = mask.shape
    factor = min(1.0, LONGER_SIDE / max(mask.shape))
    size = round(width * factor), round(height * factor)
    small = np.asarray(Image.fromarray(colour).resize(size, Image.Resampling.BOX))
    before, shape = (_resized(part, size) > 0.5 for part in (mask, silhouette))
    if not shape.any():
        return mask
    votes = before.astype(int) + shape + cut(small, _seeds(before, shape))
    found = _clean(votes >= 2)
    soft = ndimage.gaussian_filter(found.astype(np.float32), SMOOTH)
    return found if factor == 1 else _resized(soft, (width, height)) > 0.5


def _seeds(mask: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(h, w) uint8; far outside, what only the mask has may be a part too thin for the shape so far."""
    rows, columns = np.nonzero(shape)
    band = max(NARROWEST, BAND * max(np.ptp(rows), np.ptp(columns)))
    deep, away = (np.asarray(ndimage.distance_transform_edt(part)) for part in (shape, ~shape))
    seeds = np.where(mask, LIKELY_OBJECT, LIKELY_BACKGROUND).astype(np.uint8)
    seeds[deep > band] = OBJECT
    seeds[(away > band) & ~mask] = BACKGROUND
    return seeds


def _clean(mask: np.ndarray) -> np.ndarray:
    """Without ragged edges, specks and pinholes: the fit would make a body or a hollow of each."""
    smooth = ndimage.median_filter(mask, 3, mode="nearest")
    return without_specks(smooth, SPECK * smooth.sum())


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Of (h, w), in [0, 1], to a width and height."""
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))

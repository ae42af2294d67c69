"""Whether pixels look like the object or like its background, by the colours of one photo."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BINS, WIDTH = 16, 1.0
"""Of a histogram along each channel, and how far a pixel's count is spread, in bins."""
FEWEST = 50  # pixels of either kind
UNKNOWN = 1e-3  # of a colour: shares well below it say nothing, as what is rare on the object and never seen beside it
REACH = 5  # pixels a side that are judged together


def object_likeness(photo: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> np.ndarray | None:
    """Logarithm (H, W) of how much more common a pixel's colours are on the object than beside it, over a few pixels.

    photo (H, W, 3) uint8; inner, outer (H, W) bool: pixels that are surely on the object and surely beside it. None
    where there are too few of them.
    """
    if min(np.count_nonzero(inner), np.count_nonzero(outer)) < FEWEST:
        return None
    bins = tuple(np.moveaxis(photo // (256 // BINS), 2, 0))
    object_share, background_share = (_histogram(bins, where)[bins] for where in (inner, outer))
    return ndimage.uniform_filter(np.log((object_share + UNKNOWN) / (background_share + UNKNOWN)), REACH)


def _histogram(bins: tuple[np.ndarray, ...], where: np.ndarray) -> np.ndarray:
    """Share (BINS, BINS, BINS) of the pixels, spread over neighbouring colours."""
    flat = np.ravel_multi_index(tuple(channel[where] for channel in bins), (BINS,) * 3)
    counts = np.bincount(flat, minlength=BINS**3).reshape((BINS,) * 3)
    return ndimage.gaussian_filter(counts / counts.sum(), WIDTH)

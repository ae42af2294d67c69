"""How good each photo of a capture is for a fit, measured beside the others, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..types import Capture
from .hulls import LARGEST
from .masks import TOUCHING, rim_share

WINDOW = 512  # pixels a side, around the object's middle, in which sharpness is measured
INTERIOR = 4  # pixels from the outline: the silhouette's edge says nothing
FEWEST = 200  # pixels, below which nothing is measured
NEIGHBOURS, FEWEST_NEIGHBOURS, SAME_SIDE = 6, 3, 40.0
"""Nearest photos that one is compared with, and degrees between them within which they show about the same."""
BLURRED = 0.65
"""Sharpness in the median of the neighbours'; sound captures have at least 0.86, a photo blurred by a Gaussian of 1
pixel at most 0.61 (DTU scans 24 and 65, a rendered bust)."""
DARK, BRIGHT = 0.55, 1.3
"""Median brightness of the object, likewise: sound captures have 0.61 to 1.15, one stop more light is 1.37."""
WHITE, CLIPPED = 253, 0.25  # share of the object that is white


@dataclass(frozen=True)
class ViewQuality:
    """Of one photo. sharpness, brightness: in those of its neighbours; clipped: share of the object that is white;
    rim: share of the photo's rim on the object; covered: share of the photo on it.

    findings: what is wrong, in words; none of a good photo.
    """

    name: str
    sharpness: float
    brightness: float
    clipped: float
    rim: float
    covered: float
    findings: tuple[str, ...]


def judged_views(capture: Capture) -> list[ViewQuality]:
    """Quality of each photo of a capture whose frame is known."""
    near = _neighbours(capture.cameras.centres.numpy())
    pairs = list(zip(capture.images, capture.masks, strict=True))
    sharp = _beside(np.array([sharpness(*pair) for pair in pairs]), near, else_all=True)
    tones = np.array([_tones(*pair) for pair in pairs])
    bright, clipped = _beside(tones[:, 0], near, else_all=False), tones[:, 1]
    found = []
    for view, (name, mask) in enumerate(zip(capture.names, capture.masks, strict=True)):
        rim = 0.0 if mask.all() else rim_share(mask)  # else the mask says nothing
        tone = (float(sharp[view]), float(bright[view]), float(clipped[view]), rim)
        found.append(ViewQuality(name, *tone, float(mask.mean()), findings(*tone)))
    return found


def findings(sharp: float, bright: float, clipped: float, rim: float) -> tuple[str, ...]:
    """In words; NaN says nothing."""
    said = {
        f"blurred: {sharp:.0%} of its neighbours' sharpness": sharp < BLURRED,
        f"darker than its neighbours ({bright:.0%})": bright < DARK,
        f"brighter than its neighbours ({bright:.0%})": bright > BRIGHT,
        f"overexposed: {clipped:.0%} of the object is white": clipped > CLIPPED,
        f"the border cuts the object ({rim:.0%} of the rim)": rim > TOUCHING,
    }
    return tuple(text for text, is_so in said.items() if is_so)


def sharpness(image: np.ndarray, mask: np.ndarray) -> float:
    """Contrast of details below two pixels in that of those of two to eight, inside the object; NaN of a small one.

    image (H, W, 3) uint8, mask (H, W) bool. The ratio hardly depends on what is photographed.
    """
    if np.count_nonzero(mask) < FEWEST:
        return np.nan
    middle = [_middle(mask.sum(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(max(centre - WINDOW // 2, 0), centre + WINDOW // 2) for centre in middle)
    inside = np.asarray(ndimage.binary_erosion(mask[rows, columns], iterations=INTERIOR), dtype=bool)
    if np.count_nonzero(inside) < FEWEST:
        return np.nan
    grey = image[rows, columns].astype(np.float32).mean(axis=2)
    once, more = (np.asarray(ndimage.gaussian_filter(grey, sigma)) for sigma in (1.0, 4.0))
    fine, coarse = (float((part * part)[inside].mean()) for part in (grey - once, once - more))
    return float(np.sqrt(fine / coarse)) if coarse > 0 else np.nan


def _tones(image: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Median brightness of the object, and the share of it that is white."""
    if np.count_nonzero(mask) < FEWEST:
        return np.nan, 0.0
    every = max(1, max(mask.shape) // LARGEST)
    grey = image[::every, ::every][mask[::every, ::every]].astype(np.float32).mean(axis=1)
    return float(np.median(grey)), float((grey > WHITE).mean())


def _middle(counts: np.ndarray) -> int:
    """Where half of the counts lie before and half behind."""
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def _neighbours(centres: np.ndarray) -> list[np.ndarray]:
    """Of each view, the numbers of the nearest ones that look from about the same side; centres (V, 3), normalised."""
    towards = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    cosine = towards @ towards.T
    order = np.argsort(-cosine, axis=1, kind="stable")
    same_side = [row[cosine[view, row] > np.cos(np.deg2rad(SAME_SIDE))] for view, row in enumerate(order)]
    return [row[row != view][:NEIGHBOURS] for view, row in enumerate(same_side)]


def _beside(values: np.ndarray, near: Sequence[np.ndarray], *, else_all: bool) -> np.ndarray:
    """Values (V,) in the median of their neighbours'; of a view with few of them in that of all, or NaN."""
    usual = [values[row] if len(row) >= FEWEST_NEIGHBOURS else values if else_all else values[:0] for row in near]
    medians = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in usual])
    return np.divide(values, medians, out=np.full(len(values), np.nan), where=medians > 0)


def said_of_views(views: Sequence[ViewQuality], most: int) -> list[str]:
    """One line per finding with the views it is said of, and at most so many lines: the short form of a check."""
    by_kind: dict[str, list[str]] = {}
    for view in views:
        for text in view.findings:
            by_kind.setdefault(text.split(":")[0].split("(")[0].strip(), []).append(view.name)
    lines = []
    for kind, names in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        lines.append(f"{kind}: {len(names)} of {len(views)} photos ({shown})")
    return lines[:most]

"""Silhouettes that are all a little too wide, or too narrow: photos show where their edges are.

Programs that cut photos, and people who draw, often leave a rim of background, or cut one of the object away: a
pixel or three all around, in every photo. Each mask then agrees with the others, and the object comes out as much too
large. Across an outline photos change more than beside it; how much they change, mean over an outline, tells the
place to a fraction of a pixel, however weak single edges are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..machine import available_cores
from .masks import object_box

REACH, STEP = 10, 0.5  # pixels to both sides of an outline, and between two places
FARTHEST = 4.5  # pixels: what is farther away is another line
BESIDE = 3.0  # pixels from the strongest change at which there has to be less of it
CLEAR = 1.4  # by this factor
LEAST = 0.75  # pixels that are worth to be mended
ALIKE = 1.0  # pixels: outlines that are off by the same cause
MOST_CHANGE = 0.15  # of 1, per pixel: a single bright edge is worth no more
SOFT = 2.0  # pixels: an outline's normal is that of its surroundings
FEWEST_PLACES = 100
_OFFSETS = np.arange(-REACH, REACH + STEP / 2, STEP)


@dataclass(frozen=True)
class Moved:
    """Masks (H, W) bool with outlines at the photos' edges; offsets: pixels by which each was too narrow, negative
    where it was too wide, 0 where it stays."""

    masks: list[np.ndarray]
    offsets: list[float]

    @property
    def lines(self) -> list[str]:
        """What was found, in words."""
        wrong = [offset for offset in self.offsets if offset]
        if not wrong:
            return []
        middle = float(np.median(wrong))
        place, done = ("inside", "widened") if middle > 0 else ("outside", "narrowed")
        count = f"{len(wrong)} of {len(self.offsets)} photos"
        return [f"masks end {abs(middle):.1f} pixels {place} the object's edges in {count}: they are {done}"]


def moved_to_edges(
    photos: Sequence[np.ndarray], masks: list[np.ndarray], ignored: Sequence[np.ndarray | None] = ()
) -> Moved:
    """Outlines moved where most of them are off to the same side, each as far as its own photo says.

    photos: V of (H, W, 3) uint8. masks: (H, W) bool; none of them is changed. ignored: as a Capture has it.
    """
    with ThreadPoolExecutor(available_cores()) as pool:
        found = list(pool.map(_offset, photos, masks, ignored or [None] * len(masks)))
    clear = [offset for offset in found if offset is not None]
    middle = float(np.median(clear)) if 2 * len(clear) > len(found) else 0.0
    same = sum(abs(offset - middle) <= ALIKE for offset in clear)
    if abs(middle) < LEAST or 2 * same <= len(found):
        return Moved(masks, [0.0] * len(found))
    offsets = [o if o is not None and abs(o - middle) <= ALIKE and abs(o) >= LEAST else 0.0 for o in found]
    return Moved([_grown(mask, o) if o else mask for mask, o in zip(masks, offsets, strict=True)], offsets)


def _change_across(photo: np.ndarray, mask: np.ndarray, unused: np.ndarray | None = None) -> np.ndarray | None:
    """How much a photo (H, W, 3) uint8 changes along the normals of a mask's outline, mean over the outline.

    At REACH pixels inside to REACH outside, in STEPs. unused (H, W) bool: an outline beside them does not count.
    None where too little of an outline lies that far from the photo's borders.
    """
    edge = mask & np.logical_not(ndimage.binary_erosion(mask, border_value=True))
    edge[: REACH + 1] = edge[-REACH - 1 :] = edge[:, : REACH + 1] = edge[:, -REACH - 1 :] = False
    if unused is not None:
        edge &= np.logical_not(ndimage.binary_dilation(unused, iterations=2))
    row, column = np.nonzero(edge)
    if len(row) < FEWEST_PLACES:
        return None
    soft = ndimage.gaussian_filter(mask.astype(np.float32), SOFT)
    slope = np.stack([soft[row + 1, column] - soft[row - 1, column], soft[row, column + 1] - soft[row, column - 1]]) / 2
    steepness = np.maximum(np.linalg.norm(slope, axis=0), 1e-6)
    outward = -slope / steepness
    begin = (soft[row, column] - 0.5) / steepness  # from the pixel to the outline itself
    along = begin[:, None] + np.append(_OFFSETS - STEP, _OFFSETS[-1] + [0, STEP])
    places = np.stack([row, column])[:, :, None] + outward[:, :, None] * along
    colours = [ndimage.map_coordinates(photo[:, :, k], places, np.float32, order=1, mode="nearest") for k in range(3)]
    change = np.linalg.norm([part[:, 2:] - part[:, :-2] for part in colours], axis=0) / (2 * STEP * 255)
    return np.minimum(change, MOST_CHANGE).mean(axis=0)


def _offset(photo: np.ndarray, mask: np.ndarray, unused: np.ndarray | None) -> float | None:
    """Pixels from a mask's outline outwards to where its photo changes most; None where that is not clear."""
    part = _surroundings(mask)
    change = _change_across(photo[part], mask[part], None if unused is None else unused[part])
    if change is None:
        return None
    near = np.abs(_OFFSETS) <= FARTHEST
    top = int(np.flatnonzero(near)[change[near].argmax()])
    beside = np.abs(_OFFSETS - _OFFSETS[top]) >= BESIDE
    if change[top] < CLEAR * change[beside].max():
        return None
    before, here, after = change[top - 1 : top + 2]
    bend = before - 2 * here + after
    return float(_OFFSETS[top] + STEP * (0.5 * (before - after) / bend if bend < 0 else 0.0))


def _surroundings(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that an outline's places can lie in, and the photo's borders where these are near."""
    most = 2 * REACH + 2
    sides = object_box(mask)
    rows, columns = (slice(max(s.start - most, 0), s.stop + most) if s.stop else s for s in sides)
    return rows, columns


def _grown(mask: np.ndarray, offset: float) -> np.ndarray:
    """With its outline moved outwards by so many pixels, or inwards."""
    part = _surroundings(mask)
    before, grown = mask[part], np.zeros_like(mask)
    away = np.asarray(ndimage.distance_transform_edt(~before if offset > 0 else before))
    grown[part] = away <= offset + 0.5 if offset > 0 else away > 0.5 - offset
    return grown

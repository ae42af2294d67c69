"""A picture of what the object stands on, from all photos, and how far each photo differs from it.

The support is plane and still, shadows included: other photos see it where the object hides it in this one. What
differs from it is no support: the strongest sign of the object that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..cameras.rotations import axes_about
from ..structure.features import opencv
from ..structure.region import Region
from ..types import Plane
from .small_photos import SmallPhoto

CELLS, ROWS = 512, 64  # along each side of the usual picture, and rows that are worked on at a time
REACH = 1.5  # half of its side, in the region's radii
MOST = 100  # photos that it is made of, evenly from all: each takes 1.5 MB
FEWEST = 4  # photos that show a cell beside the object
SLOW, PRIOR = 0.05, 1e-3  # of a photo's longer side, standard deviation of what is slow; weight of no difference
COARSE = 4  # pixels
GROWN = 2  # pixels by which what was cut as the object is left out


@dataclass(frozen=True)
class Table:
    """lab (N, N, 3) float32, CIELAB; known (N, N) bool.

    corner (3,): place of cell (0, 0), world; across (2, 3): from a cell to the next in a row, and to the next row.
    """

    lab: np.ndarray
    known: np.ndarray
    corner: np.ndarray
    across: np.ndarray

    def cells_to_pixels(self, photo: SmallPhoto) -> np.ndarray:
        """(3, 3): column, row, 1 of a cell -> of the pixel that shows it."""
        turn = photo.K @ np.array(photo.view.rotation).T
        columns = [turn @ self.across[0], turn @ self.across[1], turn @ (self.corner - photo.view.centre)]
        return np.stack(columns, axis=1)

    def difference(self, photo: SmallPhoto, likely: np.ndarray | None = None) -> np.ndarray:
        """(h, w) float32: distance in CIELAB between a photo and the table that it would show; NaN where there is none
        or where it is not known.

        What differs slowly over the photo is exposure, gloss or a moving shadow, and no object: it is taken off, as far
        as pixels tell that are not `likely` (h, w) bool the object. Where nothing is known of the object, what most
        pixels have in common is.
        """
        cv2 = opencv()
        H, size = self.cells_to_pixels(photo), photo.shape[::-1]
        expected = cv2.warpPerspective(self.lab, H, size, flags=cv2.INTER_LINEAR)
        known = cv2.warpPerspective(self.known.astype(np.float32), H, size, flags=cv2.INTER_LINEAR) > 0.999
        known &= _before(photo, H)
        away = lab_of(photo.colour) - expected
        if likely is None:
            common = np.median(away[known], axis=0) if known.any() else 0.0
            return np.where(known, np.linalg.norm(away - common, axis=2), np.nan).astype(np.float32)
        free = (known & ~likely).astype(np.float32)
        slow = (
            _blurred(away * free[..., None], SLOW * max(size)) / (_blurred(free, SLOW * max(size)) + PRIOR)[..., None]
        )
        return np.where(known, np.linalg.norm(away - slow, axis=2), np.nan).astype(np.float32)


def table_picture(
    photos: Sequence[SmallPhoto], masks: Sequence[np.ndarray], region: Region, support: Plane, cells: int = CELLS
) -> Table:
    """masks: V of (h, w) bool, what is thought to be the object and left out. cells: along each side."""
    cv2 = opencv()
    foot = region.centre - support.height(region.centre[None])[0] * support.normal
    across = axes_about(support.normal)[:2] * (2 * REACH * region.radius / (cells - 1))
    empty = np.zeros((cells, cells), bool)
    blank = Table(np.zeros((cells, cells, 3), np.float32), empty, foot - (cells - 1) / 2 * across.sum(axis=0), across)
    some = slice(None, None, -(-len(photos) // MOST))
    photos, masks = photos[some], masks[some]
    layers = torch.full((len(photos), cells, cells, 3), torch.nan, dtype=torch.float16)
    kernel = np.ones((2 * GROWN + 1,) * 2, np.uint8)
    for layer, photo, mask in zip(layers.numpy(), photos, masks, strict=True):
        H = np.linalg.inv(blank.cells_to_pixels(photo))
        size = (cells, cells)
        free = (cv2.dilate(mask.astype(np.uint8), kernel) == 0).astype(np.float32)
        shown = cv2.warpPerspective(free, H, size, flags=cv2.INTER_LINEAR) > 0.999
        shown &= _seen_cells(blank, photo)
        colour = cv2.warpPerspective(lab_of(photo.colour), H, size, flags=cv2.INTER_LINEAR)
        layer[shown] = colour[shown]
    known = (layers[..., 0].isfinite().sum(dim=0) >= FEWEST).numpy()
    lab = np.concatenate([part.float().nanmedian(dim=0).values.numpy() for part in layers.split(ROWS, dim=1)])
    return Table(np.nan_to_num(lab), known, blank.corner, across)


def lab_of(colour: np.ndarray) -> np.ndarray:
    """CIELAB (h, w, 3) float32 of RGB uint8."""
    cv2 = opencv()
    return cv2.cvtColor(colour.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """By a Gaussian of many pixels: of a picture of a COARSEth of the size."""
    cv2 = opencv()
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (-(-width // COARSE), -(-height // COARSE)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / COARSE), (width, height), interpolation=cv2.INTER_LINEAR)


def _before(photo: SmallPhoto, H: np.ndarray) -> np.ndarray:
    """Pixels (h, w) bool whose rays meet the plane before the camera, not behind."""
    height, width = photo.shape
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    back = np.linalg.inv(H)
    scale = back[2, 0] * column + back[2, 1] * row + back[2, 2]
    return scale > 0


def _seen_cells(table: Table, photo: SmallPhoto) -> np.ndarray:
    """Cells (N, N) bool before the camera and within its photo."""
    H = table.cells_to_pixels(photo)
    column, row = np.meshgrid(*[np.arange(len(table.lab))] * 2)
    place = np.stack([column, row, np.ones_like(row)], axis=-1) @ H.T
    depth = place[..., 2]
    u, v = (place[..., k] / np.where(depth > 0, depth, 1) for k in (0, 1))
    height, width = photo.shape
    return (depth > 0) & (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)

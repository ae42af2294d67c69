"""Batches of preset `fast`: pixels from many photos at once, most of them around the object."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...capture.masks import object_box
from ...capture.pixels import Photos, PixelBatch
from ...types import Capture
from .settings import ScheduleConfig

OUTLINE_REACH = 2  # pixels on each side
MOST_DOUBTFUL = 4096  # pixels listed to be drawn again


class PixelTable(Photos):
    """Batches from many views at once, most of them around the object.

    doubtful (D,): pixels (as PixelBatch.index) on whose side of the silhouette the surface was not when last drawn.
    """

    def __init__(self, capture: Capture, schedule: ScheduleConfig, device: torch.device) -> None:
        super().__init__(capture, device)
        self.schedule = schedule
        boxes = torch.tensor([_surroundings(mask, schedule.surround) for mask in capture.masks], device=device)
        whole = torch.cat([torch.zeros_like(self.sizes), self.sizes], dim=1)
        # (4, 2 V) first row, first column, rows, columns: of each view's surroundings, then of each whole photo
        self.areas = torch.cat([boxes, whole]).T.contiguous()
        ignored = capture.ignored or [None] * len(capture)
        outlines = [torch.from_numpy(_outline(*pair)) for pair in zip(capture.masks, ignored, strict=True)]
        self.outlines = torch.cat(outlines).to(device)  # indices within their view, one view after the other
        self.outline_counts = torch.tensor([len(part) for part in outlines], device=device)
        self.outline_offsets = torch.cumsum(self.outline_counts, dim=0) - self.outline_counts
        self.doubtful = torch.zeros(0, dtype=torch.int64, device=device)

    def draw(self, generator: torch.Generator) -> PixelBatch:
        """The same number of pixels from each of `views_per_step` random views.

        The share `outline_share` lies on both sides of the silhouette, `uniform_share` anywhere in the photo, the rest
        in the object's surroundings. Up to `doubtful_share` of all are doubtful ones, which leave the list.
        """
        again = self._doubtful_again()
        count = self.schedule.rays - len(again)
        views = min(self.schedule.views_per_step, len(self.sizes), count)
        chosen = torch.randperm(len(self.sizes), generator=generator)[:views]
        view = chosen.repeat(-(-count // views))[:count].to(self.device)
        row_draw, column_draw, where = torch.rand(3, count, generator=generator).to(self.device)
        top, left, rows, columns = self.areas[:, view + len(self.sizes) * (where < self.schedule.uniform_share)]
        row = top + (row_draw * rows).long().minimum(rows - 1)
        column = left + (column_draw * columns).long().minimum(columns - 1)
        on_outline = (where > 1 - self.schedule.outline_share) & (self.outline_counts[view] > 0)
        on_row, on_column = self._outline_places(view[on_outline], row_draw[on_outline])
        row[on_outline], column[on_outline] = on_row, on_column
        pairs = zip((view, row, column), self._places(again), strict=True)
        view, row, column = (torch.cat(pair) for pair in pairs)
        typical = torch.cat([~on_outline, torch.zeros_like(again, dtype=torch.bool)])
        return self.usable(self.batch(view, row, column, typical))

    def doubt(self, index: Tensor) -> None:
        """List pixels (N,) to be drawn again soon; of too many the oldest are forgotten."""
        self.doubtful = torch.cat([self.doubtful, index])[-MOST_DOUBTFUL:]

    def _doubtful_again(self) -> Tensor:
        """The first of the list, at most `doubtful_share` of a batch."""
        most = int(self.schedule.doubtful_share * self.schedule.rays)
        again, self.doubtful = self.doubtful[:most], self.doubtful[most:]
        return again

    def _places(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """View, row and column (N,) of pixels (N,)."""
        view = torch.searchsorted(self.offsets, index, right=True) - 1
        place = index - self.offsets[view]
        return view, place // self.sizes[view, 1], place % self.sizes[view, 1]

    def _outline_places(self, view: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns (N,) on the outlines of views (N,), by random numbers draw (N,) in [0, 1)."""
        counts = self.outline_counts[view]
        index = self.outlines[self.outline_offsets[view] + (draw * counts).long().minimum(counts - 1)]
        return index // self.sizes[view, 1], index % self.sizes[view, 1]


def _outline(mask: np.ndarray, ignored: np.ndarray | None) -> np.ndarray:
    """Flat indices of the pixels within OUTLINE_REACH steps of the border between object and background, but for those
    to be ignored."""
    top, left, rows, columns = _surroundings(mask, 0.0, OUTLINE_REACH)
    box = np.s_[top : top + rows, left : left + columns]  # all that happens, happens here
    grown = ndimage.binary_dilation(mask[box], iterations=OUTLINE_REACH)
    shrunk = ndimage.binary_erosion(mask[box], iterations=OUTLINE_REACH, border_value=1)
    border = np.logical_and(grown, np.logical_not(shrunk))
    row, column = np.nonzero(border if ignored is None else border & ~ignored[box])
    return (row + top) * mask.shape[1] + column + left


def _surroundings(mask: np.ndarray, reach: float, least: int = 1) -> tuple[int, int, int, int]:
    """First row, first column, rows and columns of the object's box grown by `reach` of its larger side and some pixels
    more."""
    rows, columns = object_box(mask)
    if rows.stop == 0:
        return 0, 0, *mask.shape
    grow = int(np.ceil(reach * (max(rows.stop - rows.start, columns.stop - columns.start) - 1))) + least
    top, left = max(rows.start - grow, 0), max(columns.start - grow, 0)
    bottom, right = min(rows.stop + grow, mask.shape[0]), min(columns.stop + grow, mask.shape[1])
    return top, left, bottom - top, right - left

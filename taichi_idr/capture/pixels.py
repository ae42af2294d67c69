"""The photos of a capture as one table of pixels, and the random batches drawn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..config import EpochScheduleConfig, ScheduleConfig
from ..types import Capture

OUTLINE_REACH = 2  # pixels on each side
MOST_DOUBTFUL = 4096  # pixels listed to be drawn again
EPOCHS_PER_SEED = 1 << 20  # no two fits of neighbouring seeds share an epoch's draws


@dataclass(frozen=True)
class PixelBatch:
    """R pixels: view (R,) int32, position (R, 2) as u, v; colour (R, 3) in [-1, 1]; is_object (R,) bool.

    typical (R,) bool: drawn from an area, not from where photo and rendering differ most. index (R,): among all pixels.
    """

    index: Tensor
    view: Tensor
    position: Tensor
    colour: Tensor
    is_object: Tensor
    typical: Tensor

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: Tensor) -> PixelBatch:
        return PixelBatch(*(column[index] for column in vars(self).values()))


class Photos:
    """All pixels of all views, one after the other, row by row; 8 bit as in the files."""

    def __init__(self, capture: Capture, device: torch.device) -> None:
        self.device = device
        self.sizes = torch.tensor([mask.shape for mask in capture.masks], device=device)  # (V, 2) height, width
        self.offsets = torch.cumsum(self.sizes.prod(dim=1), dim=0) - self.sizes.prod(dim=1)
        self.colours = torch.cat([torch.from_numpy(image.reshape(-1, 3)) for image in capture.images]).to(device)
        self.objects = torch.cat([torch.from_numpy(mask.reshape(-1)) for mask in capture.masks]).to(device)

    def batch(self, view: Tensor, row: Tensor, column: Tensor, typical: Tensor) -> PixelBatch:
        """The pixels at row, column (R,) of views (R,)."""
        index = self.offsets[view] + row * self.sizes[view, 1] + column
        colour = self.colours[index].float() / 127.5 - 1
        position = torch.stack([column, row], dim=1).float()
        return PixelBatch(index, view.int(), position, colour, self.objects[index], typical)

    def photo(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """Photo (H, W, 3) in [0, 1] and mask (H, W) of one view."""
        height, width = self.sizes[view].tolist()
        span = slice(int(self.offsets[view]), int(self.offsets[view]) + height * width)
        photo = self.colours[span].cpu().numpy().reshape(height, width, 3).astype(np.float32) / 255
        return photo, self.objects[span].cpu().numpy().reshape(height, width)


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
        outlines = [torch.from_numpy(_outline(mask)) for mask in capture.masks]
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
        return self.batch(view, row, column, torch.cat([~on_outline, torch.zeros_like(again, dtype=torch.bool)]))

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


class EpochPixels(Photos):
    """One view a step (section 5 of the method): an epoch shows each once, in random order.

    The pixels are drawn without replacement once per epoch. Views of equal size share them; each other size has a draw
    of its own. An epoch's draws follow from seed and epoch alone: a resumed fit needs no record of them.
    """

    def __init__(self, capture: Capture, schedule: EpochScheduleConfig, seed: int, device: torch.device) -> None:
        super().__init__(capture, device)
        self.rays, self.seed = schedule.rays, seed
        self._epoch = -1
        self._order: list[int] = []
        self._places: dict[tuple[int, int], Tensor] = {}

    def at_step(self, step: int) -> PixelBatch:
        """The pixels of a step: `schedule.rays` of its view, or all where it has fewer."""
        epoch, turn = divmod(step, len(self.sizes))
        if epoch != self._epoch:
            self._begin(epoch)
        chosen = self._order[turn]
        height, width = self.sizes[chosen].tolist()
        place = self._places[height, width]
        view = torch.full_like(place, chosen)
        return self.batch(view, place // width, place % width, torch.ones_like(place, dtype=torch.bool))

    def _begin(self, epoch: int) -> None:
        generator = torch.Generator().manual_seed((self.seed * EPOCHS_PER_SEED + epoch) % (1 << 63))
        self._order = torch.randperm(len(self.sizes), generator=generator).tolist()
        self._places = {
            (height, width): torch.randperm(height * width, generator=generator)[: self.rays].to(self.device)
            for height, width in sorted({(height, width) for height, width in self.sizes.tolist()})
        }
        self._epoch = epoch


def _outline(mask: np.ndarray) -> np.ndarray:
    """Flat indices of the pixels within OUTLINE_REACH steps of the border between object and background."""
    grown = ndimage.binary_dilation(mask, iterations=OUTLINE_REACH)
    shrunk = ndimage.binary_erosion(mask, iterations=OUTLINE_REACH, border_value=1)
    return np.flatnonzero(np.logical_and(grown, np.logical_not(shrunk)))


def _surroundings(mask: np.ndarray, reach: float) -> tuple[int, int, int, int]:
    """First row, first column, rows and columns of the object's box grown by `reach` of its larger side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return 0, 0, *mask.shape
    grow = int(np.ceil(reach * max(np.ptp(rows), np.ptp(columns)))) + 1
    top, left = max(rows[0] - grow, 0), max(columns[0] - grow, 0)
    bottom, right = min(rows[-1] + grow + 1, mask.shape[0]), min(columns[-1] + grow + 1, mask.shape[1])
    return int(top), int(left), int(bottom - top), int(right - left)

"""The photos of a capture as one table of pixels, and the random batches drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..types import Capture


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
        self.count = int(self.sizes.prod(dim=1).sum())
        self.colours = torch.from_numpy(_table(capture.images)).reshape(-1, 3).to(device)
        self.objects = torch.from_numpy(_table(capture.masks)).to(device)
        self.ignored = _ignored(capture, device)
        self.depths = _depths(capture, device)

    def batch(self, view: Tensor, row: Tensor, column: Tensor, typical: Tensor) -> PixelBatch:
        """The pixels at row, column (R,) of views (R,)."""
        index = self.offsets[view] + row * self.sizes[view, 1] + column
        colour = self.colours[index].float() / 127.5 - 1
        position = torch.stack([column, row], dim=1).float()
        return PixelBatch(index, view.int(), position, colour, self.objects[index], typical)

    def usable(self, batch: PixelBatch) -> PixelBatch:
        """Those of a batch that are not to be ignored; all, if nothing else is left."""
        if self.ignored is None:
            return batch
        kept = ~self.ignored[batch.index]
        return batch[kept] if bool(kept.any()) else batch

    def depth(self, batch: PixelBatch) -> Tensor:
        """Known depth (R,) along the unit ray, normalised units, 0 where none is."""
        return self.depths[batch.index] if self.depths is not None else torch.zeros(len(batch), device=self.device)

    def photo(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """Photo (H, W, 3) in [0, 1] and mask (H, W) of one view."""
        height, width = self.sizes[view].tolist()
        photo = self.stored(view).astype(np.float32)
        photo /= 255
        return photo, self.objects[self._span(view)].cpu().numpy().reshape(height, width)

    def stored(self, view: int) -> np.ndarray:
        """Photo (H, W, 3) uint8 of one view."""
        height, width = self.sizes[view].tolist()
        return self.colours[self._span(view)].cpu().numpy().reshape(height, width, 3)

    def _span(self, view: int) -> slice:
        height, width = self.sizes[view].tolist()
        return slice(int(self.offsets[view]), int(self.offsets[view]) + height * width)


def _table(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """All values of arrays, flat; without a copy where they lie one after the other, as a capture from files does."""
    base = arrays[0].base
    if base is not None and base.ndim == 1 and all(a.base is base and a.flags.c_contiguous for a in arrays):
        starts = [a.ctypes.data - base.ctypes.data for a in arrays]
        ends = [start + a.nbytes for start, a in zip(starts, arrays, strict=True)]
        if [0, *ends] == [*starts, base.nbytes]:
            return base
    return np.concatenate([array.reshape(-1) for array in arrays])


def _depths(capture: Capture, device: torch.device) -> Tensor | None:
    """Of all pixels (P,); None where none is known."""
    if not capture.depths:
        return None
    pairs = zip(capture.depths, capture.masks, strict=True)
    parts = [np.zeros(mask.size, np.float32) if depth is None else depth.reshape(-1) for depth, mask in pairs]
    return torch.from_numpy(np.concatenate(parts)).to(device)


def _ignored(capture: Capture, device: torch.device) -> Tensor | None:
    """All pixels (P,) bool; None where none is ignored."""
    if not capture.ignored:
        return None
    pairs = zip(capture.ignored, capture.masks, strict=True)
    parts = [np.zeros(mask.size, bool) if ignored is None else ignored.reshape(-1) for ignored, mask in pairs]
    return torch.from_numpy(np.concatenate(parts)).to(device)

"""How published systems went through their photos: one a step, rates that fall at epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from ..capture.pixels import Photos, PixelBatch
from ..config import EpochScheduleConfig
from ..types import Capture

EPOCHS_PER_SEED = 1 << 20  # no two fits of neighbouring seeds share an epoch's draws


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
        return self.usable(self.batch(view, place // width, place % width, torch.ones_like(place, dtype=torch.bool)))

    def _begin(self, epoch: int) -> None:
        generator = torch.Generator().manual_seed((self.seed * EPOCHS_PER_SEED + epoch) % (1 << 63))
        self._order = torch.randperm(len(self.sizes), generator=generator).tolist()
        self._places = {
            (height, width): torch.randperm(height * width, generator=generator)[: self.rays].to(self.device)
            for height, width in sorted({(height, width) for height, width in self.sizes.tolist()})
        }
        self._epoch = epoch


def epoch_at(schedule: EpochScheduleConfig, step: int, total_steps: int) -> int:
    """Of the published schedule, which `schedule.steps` squeezes or stretches."""
    return step * schedule.epochs // total_steps


def rate_at(schedule: EpochScheduleConfig, epoch: int) -> float:
    """Learning rate of the networks."""
    return schedule.rate * schedule.rate_decay ** sum(epoch >= milestone for milestone in schedule.rate_epochs)

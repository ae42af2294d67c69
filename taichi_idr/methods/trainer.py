"""What every preset's trainer is to the loop, and what its steps report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import runtime
from ..capture.pixels import Photos
from ..config import FitConfig
from ..fields.model import Model
from ..poses.parameters import Poses
from ..types import Capture

LOST_AFTER = 20


@dataclass(frozen=True)
class StepReport:
    """What one step measured, as tensors still on the device (a log line moves them).

    loss and its terms as weighted in the sum; squared_error: mean over hit object pixels and channels, colours in
    [0, 1]; intersection, union: object and hit pixels, both of typical ones alone (pixels.PixelBatch); hits: rays
    that hit; clamped: grazing rays in Lemma 1.
    """

    loss: Tensor
    colour: Tensor
    mask: Tensor
    eikonal: Tensor
    smooth: Tensor
    consistency: Tensor
    squared_error: Tensor
    intersection: Tensor
    union: Tensor
    hits: Tensor
    clamped: Tensor

    def numbers(self) -> dict[str, float]:
        values = torch.stack([value.detach().double() for value in vars(self).values()]).tolist()
        return dict(zip(vars(self), values, strict=True))


class Trainer(ABC):
    """Holds what changes from step to step; `step` moves it by one."""

    config: FitConfig
    model: Model
    pixels: Photos
    poses: Poses
    total_steps: int
    steps_done = 0
    applied = True  # whether the last step moved the parameters

    @property
    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        return min(self.steps_done / self.total_steps, 1.0)

    def threads(self) -> AbstractContextManager[None]:
        """Around the loop: how many threads torch uses in it."""
        return runtime.small_batches()

    @abstractmethod
    def start(self, capture: Capture, between: Callable[[], None]) -> None:
        """What comes before the first step; `between` is called often and may raise, to stop."""

    def prepare(self, between: Callable[[], None]) -> None:  # noqa: B027 - most steps need nothing
        """What the next step needs before it and may take seconds; `between` may raise, and nothing has happened."""

    @abstractmethod
    def step(self) -> StepReport:
        """Draw a batch and move every parameter by it; a non-finite loss or gradient moves nothing (`applied`)."""

    @abstractmethod
    def halve_rates(self) -> None:
        """Go on with half the learning rates."""

    @abstractmethod
    def scheduled(self) -> dict[str, float]:
        """What the schedules say now, for the log."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that a later session needs to go on bit by bit: parameters, moments, random numbers."""

    @abstractmethod
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `state()`."""


def lost_surface(overlaps: Sequence[float], *, finished: bool = False) -> bool:
    """Whether no object pixel has hit the surface for LOST_AFTER logged steps or, once the fit has finished, in any.

    overlaps: mask IoU of the logged steps, oldest first.
    """
    recent = overlaps if finished else overlaps[-LOST_AFTER:]
    return len(recent) >= (1 if finished else LOST_AFTER) and not any(overlap > 0 for overlap in recent)

"""What every method's trainer is to the loop, and what its steps report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from ..config import FitConfig
from ..fields.model import Model
from ..types import Cameras, Capture
from .ranks import ALONE, Ranks

LOST_AFTER = 20


@dataclass(frozen=True)
class StepReport:
    """What one step measured, as tensors without axes, still on the device (a log line moves them).

    loss: attached. terms: its parts by the names of `Method.terms`, as weighted in the sum. measured: whatever else the
    method tells. The loop makes PSNR, mask IoU and a share of hits of these, where they are there: squared_error, mean
    over channels and hit object pixels (all pixels, of a method that does without masks), colours in [0, 1];
    intersection, union, object and hit pixels of those that were drawn from an area; hits, rays that hit. Others are
    logged as they are.
    """

    loss: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    measured: Mapping[str, Tensor] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """All of them by name, brought over at once."""
        tensors = {"loss": self.loss, **self.terms, **self.measured}
        values = torch.stack([tensor.detach().double() for tensor in tensors.values()]).tolist()
        return dict(zip(tensors, values, strict=True))


@dataclass(frozen=True)
class Preview:
    """What a picture half-way needs: the model, one camera (camera -> normalised), its photo (H, W, 3) uint8."""

    model: Model
    camera: Cameras
    photo: np.ndarray


class Trainer(ABC):
    """Holds what changes from step to step; `step` moves it by one."""

    config: FitConfig
    total_steps: int
    steps_done = 0
    applied = True  # whether the last step moved the parameters
    splits = False  # whether its batches can be shared with other processes
    ranks: Ranks = ALONE  # of those
    found: tuple[str, ...] = ()  # what `start` has to tell the user, a line each

    @property
    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        return min(self.steps_done / self.total_steps, 1.0)

    def threads(self) -> AbstractContextManager[None]:
        """Around the loop: how many threads torch uses in it."""
        return runtime.small_batches()

    def start(self, capture: Capture, between: Callable[[], None]) -> None:  # noqa: B027 - many need nothing
        """What comes before the first step; `between` is called often and may raise, to stop."""

    def prepare(self, between: Callable[[], None]) -> None:  # noqa: B027 - most steps need nothing
        """What the next step needs before it and may take seconds; `between` may raise, and nothing has happened."""

    @abstractmethod
    def step(self) -> StepReport:
        """Draw a batch and move every parameter by it; a non-finite loss or gradient moves nothing (`applied`)."""

    def halve_rates(self) -> None:  # noqa: B027 - some have none
        """Go on with half the learning rates, after steps that were not finite."""

    def scheduled(self) -> dict[str, float]:
        """What the schedules say now, for the log."""
        return {}

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that a later session needs to go on bit by bit: parameters, moments, random numbers.

        `model.*` are the parameters of the method's model; the names of runs/contents.py are taken.
        """

    @abstractmethod
    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        """Go on from `state()` as it was after `step` steps."""

    def cameras(self) -> Cameras | None:
        """The cameras as they are now, float64, camera -> normalised; None where they are the capture's for good."""
        return None

    def masks(self) -> list[np.ndarray] | None:
        """The masks as they are now, V of (H, W) bool; None where they are the capture's for good."""
        return None

    def exposures(self) -> np.ndarray | None:
        """Exposure (V, 3) of each photo and channel as fitted, EV above the usual photo's; None where photos are taken
        as they are."""
        return None

    def preview(self, view: int) -> Preview | None:
        """What shows one view half-way; None where there is nothing to see."""
        return None


def lost_surface(overlaps: Sequence[float], *, finished: bool = False) -> bool:
    """Whether no object pixel has hit the surface for LOST_AFTER logged steps or, once the fit has finished, in any.

    overlaps: mask IoU of the logged steps, oldest first.
    """
    recent = overlaps if finished else overlaps[-LOST_AFTER:]
    return len(recent) >= (1 if finished else LOST_AFTER) and not any(overlap > 0 for overlap in recent)

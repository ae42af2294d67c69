"""Whether more steps would help, by the error over a fit's course; and a fit that goes on until they help no more."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..state import alike

PARTS = 100  # of a fit's steps, of which the error is known
END = (90, 100)  # parts in which the rates are nearly what they end at
EARLY, LATE = (18, 20), (35, 40)  # parts, twice as far, while rates do not fall yet
CARRIED_OVER = (
    0.7  # of what the doubling between them gains, what half as many steps again gain: 0.78 and 0.67 measured
)
WORTH_DB = 0.5
STRETCH = 1.5  # of the steps, each time that a fit goes on
LEAST_GAIN_DB = 0.2  # by a stretch, for another one
MOST = 8  # times the steps that were asked for


class ErrorCurve:
    """Mean squared error of the batches over a fit's course.

    Photos have more pixels than a fit draws: nearly all were not seen before, as if they had been held back.
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(2, PARTS, dtype=torch.float64)  # errors, batches

    def note(self, progress: float, squared_error: Tensor | None) -> None:
        """The error of a step's batch, after which that share of the fit was done. What is not finite is left out."""
        error = math.nan if squared_error is None else float(squared_error.detach())
        if math.isfinite(error):
            part = min(math.ceil(progress * PARTS), PARTS) - 1
            self._sums[:, part] += torch.tensor([error, 1.0], dtype=torch.float64)

    def psnr_db(self, begin: int, end: int) -> float:
        """Over parts begin to end - 1; NaN where nothing is known."""
        error, batches = self._sums[:, begin:end].sum(dim=1).tolist()
        return -10 * math.log10(max(error / batches, 1e-10)) if batches else math.nan

    def expected_gain_db(self) -> float:
        """By half as many steps again; NaN where too little is known."""
        return CARRIED_OVER * (self.psnr_db(*LATE) - self.psnr_db(*EARLY))

    def forget_from(self, progress: float) -> None:
        """Those parts are to be done again."""
        self._sums[:, int(progress * PARTS) :] = 0

    def state(self) -> dict[str, Tensor]:
        return {"error": self._sums.clone()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Checkpoints of older versions have none."""
        if "error" in tensors:
            self._sums = alike(tensors["error"], self._sums).clone()


class Convergence:
    """Goes on by STRETCH until that gains less than LEAST_GAIN_DB.

    A stretched schedule goes back to two thirds of its way: rates rise and fall again, as in warm restarts (Loshchilov
    and Hutter, SGDR, ICLR 2017).
    """

    def __init__(self, steps: int, curve: ErrorCurve) -> None:
        """steps: to be done at first."""
        self.steps, self.curve = steps, curve
        self.planned: int | None = None
        self.before_db: float | None = None
        self.line = ""  # what the last stretch gained

    def after_step(self, done: int) -> int | None:
        """The step to end at, where `done`, the last, was not enough."""
        total = self.planned or self.steps
        if done < total:
            return None
        now, before = self.curve.psnr_db(*END), self.before_db
        gained = math.inf if before is None else now - before
        longer = math.ceil(STRETCH * total)
        self.line = "" if before is None else f"the last {total - round(total / STRETCH)} steps gained {gained:.2f} dB"
        if gained < LEAST_GAIN_DB or longer > MOST * self.steps:
            self.line += ": enough" if gained < LEAST_GAIN_DB else f"; {MOST} times the steps are enough all the same"
            return None
        self.planned, self.before_db = longer, now if math.isfinite(now) else None
        self.curve.forget_from(done / longer)
        return longer

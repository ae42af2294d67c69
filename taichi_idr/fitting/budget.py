"""How many steps a fit has time for, so that its schedule ends when the time does."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

FIRST_STEPS = 10  # kernels are compiled and caches filled in them
PROBED = 40  # steps after which the first plan is made
LOOKED_AT = 100  # steps between plans, and the last steps that a pace is taken from
SLACK = 0.03  # share by which a fit may be late before it is cut shorter


class Budget:
    """A fit's minutes, start and all sessions included, in steps: planned from measured steps, then only ever cut.

    A schedule that were stretched would go back to where it has been. Where steps get quicker a fit ends early.
    """

    def __init__(self, minutes: float, seconds: Callable[[], float]) -> None:
        """seconds: of the fit so far."""
        self.limit, self.seconds = 60 * minutes, seconds
        self.planned: int | None = None
        self._last = math.nan
        self._durations: list[float] = []

    def after_step(self, done: int) -> int | None:
        """Note that a step is over, the `done`-th; the step to end at, where that has just changed."""
        now, before = self.seconds(), self._last
        self._last = now
        if not math.isnan(before) and done > FIRST_STEPS:
            self._durations.append(now - before)
        due = done >= PROBED if self.planned is None else done % LOOKED_AT == 0
        if not due or not self._durations:
            return None
        total = done + self.steps_left()
        if self.planned is not None and total > self.planned - SLACK * (self.planned - done):
            return None
        self.planned = total
        return total

    def steps_left(self) -> int:
        """That there is time for, at the mean pace of the last ones: what comes between steps takes time as well.

        One at least, which is logged as the last.
        """
        recent = self._durations[-LOOKED_AT:]
        return max(1, int((self.limit - self.seconds()) / max(float(np.mean(recent)), 1e-9)))

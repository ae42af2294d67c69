"""A finished fit is judged: its views are rendered small, as many as there is time for, and compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ..measures.judgement import FEWEST, Judgement, judge
from ..measures.small_views import thumbnails
from ..methods.catalogue import method_of
from ..methods.method import Need
from ..methods.trainer import Trainer
from ..types import Capture

GOLDEN = (math.sqrt(5) - 1) / 2


class _OutOfTime(Exception):
    """The seconds for rendering are over."""


def judge_fit(trainer: Trainer, capture: Capture, seconds: float, between: Callable[[], None]) -> Judgement | None:
    """Judge a fit by its views, with masks as it has refined them; by as many views as are rendered in that many
    seconds; None of too few.

    between: called often, and may raise.
    """
    preview = trainer.preview(0) if seconds > 0 else None
    if preview is None:
        return None
    deadline = time.monotonic() + seconds

    def check() -> None:
        between()
        if time.monotonic() > deadline:
            raise _OutOfTime

    capture = replace(capture, masks=trainer.masks() or capture.masks)
    cameras, order, views = trainer.cameras() or capture.cameras, spread(len(capture)), []
    with suppress(_OutOfTime):
        for view in thumbnails(preview.model, cameras, capture, order, check, trainer.exposures()):
            views.append(view)
    if len(views) < min(FEWEST, len(capture)):
        return None
    judged = sorted(zip(order, views, strict=False), key=lambda pair: pair[0])
    names, silhouettes = [capture.names[i] for i, _ in judged], Need.MASKS in method_of(trainer.config).needs
    return judge(names, [view for _, view in judged], total=len(capture), silhouettes=silhouettes)


def spread(count: int) -> list[int]:
    """The first `count` numbers in an order of which every beginning lies evenly among them."""
    return sorted(range(count), key=lambda index: index * GOLDEN % 1)

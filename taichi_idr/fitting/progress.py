"""What a fit says while it runs, on standard error: a live line on a terminal, elsewhere plain lines now and then."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

PLAIN_INTERVAL = 5.0  # seconds
LIVE_INTERVAL = 0.25
_PACE_WINDOW = 30.0
_WIDTH_FOR_BAR = 120  # characters


def say(line: str, stream: TextIO | None = None) -> None:
    """A line about the fit, where its progress goes; a broken stream is silent."""
    with suppress(OSError, ValueError):
        print(line, file=stream or sys.stderr, flush=True)


@dataclass(frozen=True)
class Moment:
    """One moment of a fit. psnr_db over hit object pixels, mask_iou and hits (share of the rays) in [0, 1], where the
    method measures them.

    camera_turned_deg, camera_moved: mean over trained cameras since the start, world units.
    """

    step: int
    loss: float
    psnr_db: float | None = None
    mask_iou: float | None = None
    hits: float | None = None
    camera_turned_deg: float | None = None
    camera_moved: float | None = None


class Progress:
    """`with Progress(steps, rays) as progress: progress.update(Moment(...))`.

    steps: the step at which the fit ends. rays: per step, or other `items`. time_limit: seconds from now after which it
    ends earlier.
    A stream that breaks (a closed pipe) silences the progress; the fit goes on.
    """

    def __init__(
        self,
        steps: int,
        rays: int,
        *,
        time_limit: float | None = None,
        items: str = "rays",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps, self._rays, self._clock = steps, rays, clock
        self._stream, self._items = stream or sys.stderr, items
        self._deadline = None if time_limit is None else clock() + time_limit
        self._pace: deque[tuple[float, int]] = deque()
        self._last_shown = float("-inf")
        self._unshown: Moment | None = None
        self._live = _LiveLine(self._stream, steps) if _is_terminal(self._stream) else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unshown:
            self._show(self._unshown)
        if self._live:
            self._live.stop()

    @property
    def steps_per_second(self) -> float:
        """Over the last half minute; 0 before the second moment."""
        if len(self._pace) < 2:
            return 0.0
        (before, first), (now, last) = self._pace[0], self._pace[-1]
        return (last - first) / max(now - before, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """By the pace so far and the time limit; None while neither is known."""
        speed = self.steps_per_second
        by_steps = (self._steps - self._pace[-1][1]) / speed if speed > 0 else None
        by_time = None if self._deadline is None else max(self._deadline - self._clock(), 0.0)
        return min((left for left in (by_steps, by_time) if left is not None), default=None)

    def end_at(self, steps: int) -> None:
        """The fit ends at another step than was thought."""
        self._steps = steps
        if self._live:
            self._live.end_at(steps)

    def update(self, moment: Moment) -> None:
        """Show `moment`, unless another was shown a moment ago."""
        now = self._clock()
        self._pace.append((now, moment.step))
        while now - self._pace[0][0] > _PACE_WINDOW:
            self._pace.popleft()
        self._unshown = moment
        if now - self._last_shown >= (LIVE_INTERVAL if self._live else PLAIN_INTERVAL):
            self._last_shown = now
            self._show(moment)

    def message(self, text: str) -> None:
        """A line that stays."""
        with suppress(OSError, ValueError):
            if self._live:
                self._live.say(text)
            else:
                self._stream.write(f"{text}\n")
                self._stream.flush()

    def _show(self, moment: Moment) -> None:
        self._unshown = None
        parts = [f"loss {moment.loss:.4f}"]
        if moment.psnr_db is not None:
            parts.append(f"PSNR {moment.psnr_db:.2f} dB")
        if moment.mask_iou is not None:
            parts.append(f"mask IoU {moment.mask_iou:.3f}")
        if moment.hits is not None:
            parts.append(f"hits {100 * moment.hits:.0f} %")
        if moment.camera_turned_deg is not None:
            parts.append(f"cameras moved {moment.camera_turned_deg:.2f}° {moment.camera_moved:.3g}")
        if self.seconds_left is not None:
            parts.append(f"{_minutes(self.seconds_left)} left")
        if self.steps_per_second > 0:
            parts.append(f"{self.steps_per_second * self._rays:,.0f} {self._items}/s")
        if self._live:
            with suppress(OSError, ValueError):
                self._live.show(moment.step, "  ".join(parts))
        else:
            self.message("  ".join((f"step {moment.step}/{self._steps}", *parts)))


class _LiveLine:
    """A line by rich, drawn when told to: a drawing thread would take time from a kernel.

    A narrow terminal gets no bar, and as much of the text as there is room for.
    """

    def __init__(self, stream: TextIO, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        console = Console(file=stream)
        template = "{task.completed}/{task.total}  {task.fields[numbers]}"
        text = TextColumn(template, markup=False, table_column=Column(no_wrap=True, overflow="crop"))
        columns = (BarColumn(20), text) if console.width >= _WIDTH_FOR_BAR else (text,)
        self._progress = RichProgress(*columns, console=console, auto_refresh=False)
        self._task = self._progress.add_task("", total=steps, numbers="starting")

    def start(self) -> None:
        self._progress.start()
        self._progress.refresh()

    def stop(self) -> None:
        with suppress(OSError, ValueError):
            self._progress.stop()

    def show(self, step: int, numbers: str) -> None:
        self._progress.update(self._task, completed=step, numbers=numbers, refresh=True)

    def end_at(self, steps: int) -> None:
        self._progress.update(self._task, total=steps)

    def say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

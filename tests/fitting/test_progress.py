"""The progress line: what it says, how often, and that it never ends a fit."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from taichi_idr.fitting.progress import PLAIN_INTERVAL, Moment, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def reading(step: int) -> Moment:
    return Moment(step=step, loss=0.01234, psnr_db=22.414, mask_iou=0.9791, hits=0.562)


def run(progress: Progress, clock: Clock, steps: range, seconds_per_step: float) -> None:
    with progress:
        for step in steps:
            clock.now += seconds_per_step
            progress.update(reading(step))


def test_plain_lines_are_rare_and_the_last_one_is_there() -> None:
    stream, clock = io.StringIO(), Clock()
    run(Progress(100, 2048, stream=stream, clock=clock), clock, range(1, 101), 0.125)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "step 1/100  loss 0.0123  PSNR 22.41 dB  mask IoU 0.979  hits 56 %",
        "step 41/100  loss 0.0123  PSNR 22.41 dB  mask IoU 0.979  hits 56 %  0:07 left  16,384 rays/s",
        "step 81/100  loss 0.0123  PSNR 22.41 dB  mask IoU 0.979  hits 56 %  0:02 left  16,384 rays/s",
        "step 100/100  loss 0.0123  PSNR 22.41 dB  mask IoU 0.979  hits 56 %  0:00 left  16,384 rays/s",
    ]
    assert PLAIN_INTERVAL == 5.0


def test_trained_cameras_say_how_far_they_moved() -> None:
    stream = io.StringIO()
    with Progress(100, 2048, stream=stream) as progress:
        progress.update(replace(reading(1), camera_turned_deg=0.514, camera_moved=3.2049))
    assert stream.getvalue() == (
        "step 1/100  loss 0.0123  PSNR 22.41 dB  mask IoU 0.979  hits 56 %  cameras moved 0.51° 3.2\n"
    )


def test_the_pace_forgets_a_slow_start() -> None:
    clock = Clock()
    progress = Progress(10_000, 1, stream=io.StringIO(), clock=clock)
    run(progress, clock, range(10), 20.0)
    run(progress, clock, range(10, 1010), 0.1)
    assert progress.steps_per_second == pytest.approx(10.0)
    assert progress.seconds_left == pytest.approx((10_000 - 1009) / 10.0)


def test_a_time_limit_shortens_what_is_left() -> None:
    clock = Clock()
    progress = Progress(10_000, 1, time_limit=60.0, stream=io.StringIO(), clock=clock)
    assert progress.seconds_left == 60.0
    run(progress, clock, range(3), 1.0)
    assert progress.seconds_left == pytest.approx(57.0)


@pytest.mark.parametrize(("columns", "bar"), [(20, False), (80, False), (140, True)])
def test_a_terminal_gets_one_line_and_messages_stay(monkeypatch: pytest.MonkeyPatch, columns: int, bar: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    stream, clock = Terminal(), Clock()
    with Progress(6000, 64, stream=stream, clock=clock) as progress:
        progress.update(reading(1))
        progress.message("a [word]")
        clock.now += 1.0
        progress.update(reading(5000))
    text = stream.getvalue()
    assert "5000/6000  loss" in text
    assert ("PSNR 22.41 dB  mask IoU 0.979  hits 56 %  0:00 left" in text) == (columns >= 80)
    assert ("\u2501" in text) == bar
    assert "a [word]" in text


@pytest.mark.parametrize("kind", [Broken, io.StringIO], ids=["broken", "closed"])
def test_a_stream_that_went_away_does_not_end_the_fit(kind: type[io.StringIO]) -> None:
    stream, clock = kind(), Clock()
    if kind is io.StringIO:
        stream.close()
    progress = Progress(10, 64, stream=stream, clock=clock)
    run(progress, clock, range(10), 10.0)
    progress.message("still here")
    assert progress.steps_per_second == pytest.approx(0.1)

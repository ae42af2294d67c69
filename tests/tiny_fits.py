"""Fits of seconds, and what is compared of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from taichi_idr.commands.fit import fit_capture
from taichi_idr.errors import ExitCode, Stopped
from taichi_idr.methods.trainer import StepReport, Trainer
from taichi_idr.runs.checkpoint import load_newest
from taichi_idr.runs.folder import RunFolder

SMALL = [
    "geometry.levels=6",
    "geometry.log2_rows=12",
    "geometry.finest=64",
    "geometry.width=16",
    "radiance.width=16",
    "proxy.resolution=32",
    "schedule.rays=256",
    "schedule.hull_resolution=32",
    "schedule.hull_steps=200",
    "loss.eikonal_points=128",
    "stereo.enabled=false",  # has tests of its own, and costs seconds
    "consistency.weight=0",  # likewise
    "log.metrics_interval=2",
    "log.checkpoint_interval=10",
    "log.judge_seconds=0",
]
SMALL_IDR = [
    "geometry.width=48",
    "geometry.hidden_layers=3",
    "geometry.skip_layer=2",
    "geometry.features=8",
    "radiance.width=16",
    "radiance.hidden_layers=2",
    "loss.eikonal_points=64",
]
"""Of preset idr."""
STEPS = 30
GENTLE = ("schedule.network_rate=1e-3", "schedule.table_rate=5e-3")
"""Rates at which the few steps of a tiny fit, too few to warm up in, keep the shape that it has started with."""


def fit(capture: Path, out: Path, steps: int | None = STEPS, more: tuple[str, ...] = (), **options):
    return fit_capture(capture, out=out, steps=steps, assignments=[*SMALL, *more], threads=1, **options)


def curve(run: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"]) for record in RunFolder(run).read_metrics()]


def state(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_newest(RunFolder(run).checkpoints, print)
    assert checkpoint is not None
    return checkpoint.tensors


def assert_same_run(ours: Path, theirs: Path) -> None:
    """Bit by bit: what was logged, and every tensor of the newest checkpoint."""
    assert curve(ours) == curve(theirs)
    found, expected = state(ours), state(theirs)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@contextmanager
def stopped_after(trainer: type[Trainer], step: int) -> Iterator[None]:
    """The block's fit is told to stop after that step, and does."""
    original = trainer.step

    def step_and_signal(self: Trainer) -> StepReport:
        report = original(self)
        if self.steps_done == step:
            signal.raise_signal(signal.SIGTERM)
        return report

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped) as stopped:
        patch.setattr(trainer, "step", step_and_signal)
        yield
    assert stopped.value.exit_code == ExitCode.STOPPED_BY_SIGTERM

"""Fits of seconds, and what is compared of them."""

from __future__ import annotations

from pathlib import Path

import torch

from taichi_idr.commands.fit import fit_capture
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
    "log.metrics_interval=2",
    "log.checkpoint_interval=10",
]
STEPS = 30


def fit(capture: Path, out: Path, steps: int = STEPS, more: tuple[str, ...] = (), **options):
    return fit_capture(capture, out=out, steps=steps, assignments=[*SMALL, *more], threads=1, **options)


def curve(run: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"]) for record in RunFolder(run).read_metrics()]


def state(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_newest(RunFolder(run).checkpoints, print)
    assert checkpoint is not None
    return checkpoint.tensors

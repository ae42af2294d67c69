"""Ablations of the method (section 9): one flag each; a fit that fails says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from taichi_idr.capture.synthetic import make_capture
from taichi_idr.commands.fit import fit_capture
from taichi_idr.errors import Diverged, ExitCode
from taichi_idr.methods.trainer import LOST_AFTER, lost_surface
from taichi_idr.runs.loading import load_run

FAST = [
    "geometry.levels=3", "geometry.log2_rows=10", "geometry.width=16", "radiance.width=16",
    "proxy.resolution=16", "schedule.hull_resolution=16", "schedule.hull_steps=10", "schedule.rays=128",
]  # fmt: skip
IDR = [
    "geometry.width=48", "geometry.hidden_layers=2", "geometry.skip_layer=0", "geometry.features=4",
    "radiance.width=16", "radiance.hidden_layers=1", "tracer.samples=20", "schedule.rays=128",
    "loss.eikonal_points=32",
]  # fmt: skip
SMALL = {"fast": FAST, "idr": IDR}
RENDERER = ["radiance.mode=no_view_dir", "radiance.mode=no_normal", "geometry.features=0", "loss.mask_weight=0"]
FASTS = [*RENDERER[1:3], "radiance.mode=reflected"]
GEOMETRY = ["geometry.position_frequencies=0", "geometry.encoding=paper", "geometry.initialisation=random"]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "ewer"
    return make_capture(folder, views=4, heldout=0, size=(32, 32), samples=1, mesh_resolution=24)


def fit(capture: Path, out: Path, preset: str, *changes: str, steps: int = 2) -> None:
    assignments = [*SMALL[preset], "log.metrics_interval=1", *changes]
    fit_capture(capture, out=out, preset=preset, steps=steps, assignments=assignments, threads=1)


@pytest.mark.parametrize(
    ("preset", "change"),
    [("idr", c) for c in [*RENDERER, *GEOMETRY]] + [("fast", c) for c in FASTS],
)
def test_an_ablation_is_one_flag(capture, tmp_path, preset, change):
    """NET-2, NET-7 and the ablations of section 9: two steps move the networks, and the run can be loaded."""
    fit(capture, tmp_path / "run", preset, change)
    loaded = load_run(tmp_path / "run")
    key, _, value = change.partition("=")
    group, name = key.split(".")
    assert str(getattr(getattr(loaded.config, group), name)) in (value, f"{value}.0")
    assert loaded.step == 2


@pytest.mark.fault(60)
def test_a_fit_that_loses_its_surface_says_so(capture, tmp_path):
    """A ball of no size: f is positive everywhere."""
    with pytest.raises(Diverged, match=r"no surface.*no object pixel hits it") as caught:
        fit(capture, tmp_path / "run", "idr", "geometry.initial_bias=1e-6")
    assert caught.value.exit_code == ExitCode.DIVERGED == 76


def test_when_a_surface_counts_as_lost():
    assert not lost_surface([])
    assert not lost_surface([0.0] * (LOST_AFTER - 1))
    assert lost_surface([0.5] + [0.0] * LOST_AFTER)
    assert lost_surface([0.5] + [np.nan] * LOST_AFTER)
    assert not lost_surface([0.5, 0.0], finished=True)
    assert lost_surface([0.0], finished=True)
    assert not lost_surface([], finished=True)

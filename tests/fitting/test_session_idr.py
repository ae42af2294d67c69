"""`fit --preset idr` on a tiny capture: it learns, stops, goes on bit by bit, and its run is of use."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import make_capture
from tiny_fits import SMALL_IDR, assert_same_run, stopped_after

from taichi_idr.commands.fit import fit_capture
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.methods.idr.model import IdrModel
from taichi_idr.methods.idr.trainer import IdrTrainer
from taichi_idr.pictures.rendering import render_view
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import load_run

SMALL = [
    *SMALL_IDR,
    "schedule.rays=128",
    "schedule.rate=1e-3",
    "cameras.train=true",
    "log.metrics_interval=2",
    "log.checkpoint_interval=10",
]
STEPS = 40


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_capture(tmp_path_factory.mktemp("captures") / "balls", views=5)


def fit(capture: Path, out: Path):
    return fit_capture(capture, out=out, preset="idr", steps=STEPS, assignments=SMALL, threads=1)


@pytest.fixture(scope="module")
def straight(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of STEPS steps without a stop."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    fit(capture, run)
    return run


def test_the_loss_falls(straight):
    records = RunFolder(straight).read_metrics()
    losses = [record["colour"] for record in records]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert {"epoch", "alpha", "rate", "sdf_queries"} <= set(records[-1])
    assert records[-1]["alpha"] == 1600


def test_stopped_and_resumed_equals_straight(straight, capture, tmp_path):
    """Bit by bit, cameras and their moments included."""
    run = tmp_path / "run"
    with stopped_after(IdrTrainer, 13):
        fit(capture, run)
    fit(capture, run)
    assert_same_run(run, straight)


def test_a_run_can_be_loaded_meshed_and_rendered(straight, tmp_path):
    loaded = load_run(straight)
    assert isinstance(loaded.model, IdrModel)
    assert loaded.step == STEPS
    report = mesh_run(straight, resolution=32, out=tmp_path / "mesh.ply")
    assert report.topology.closed
    rendered = render_view(loaded.model, loaded.cameras[[0]], 40, 48)
    assert 0 < rendered.hit.mean() < 1
    assert (rendered.colour[~rendered.hit] == 1).all()
    assert list((straight / "renders" / "preview").glob("*.png"))

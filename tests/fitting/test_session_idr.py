"""`fit --preset idr` on a tiny capture: it learns, stops, goes on bit by bit, and its run is of use."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch
from captures import make_capture

from taichi_idr.commands.fit import fit_capture
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.errors import Stopped
from taichi_idr.methods.idr.model import IdrModel
from taichi_idr.methods.idr.trainer import IdrTrainer
from taichi_idr.pictures.rendering import render_view
from taichi_idr.runs.checkpoint import load_newest
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import load_run

SMALL = [
    "geometry.width=48",
    "geometry.hidden_layers=3",
    "geometry.skip_layer=2",
    "geometry.features=8",
    "radiance.width=16",
    "radiance.hidden_layers=2",
    "schedule.rays=128",
    "schedule.rate=1e-3",
    "loss.eikonal_points=64",
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


def curve(run: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"]) for record in RunFolder(run).read_metrics()]


def state(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_newest(RunFolder(run).checkpoints, print)
    assert checkpoint is not None
    return checkpoint.tensors


def test_the_loss_falls(straight):
    records = RunFolder(straight).read_metrics()
    losses = [record["colour"] for record in records]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert {"epoch", "alpha", "rate", "sdf_queries"} <= set(records[-1])
    assert records[-1]["alpha"] == 1600


def test_stopped_and_resumed_equals_straight(straight, capture, tmp_path, monkeypatch):
    """Bit by bit, cameras and their moments included."""
    run, step = tmp_path / "run", IdrTrainer.step

    def step_and_signal(self):
        report = step(self)
        if self.steps_done == 13:
            signal.raise_signal(signal.SIGTERM)
        return report

    monkeypatch.setattr(IdrTrainer, "step", step_and_signal)
    with pytest.raises(Stopped):
        fit(capture, run)
    monkeypatch.setattr(IdrTrainer, "step", step)
    fit(capture, run)
    assert curve(run) == curve(straight)
    ours, theirs = state(run), state(straight)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


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

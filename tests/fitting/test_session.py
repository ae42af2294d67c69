"""The fitting loop on a tiny capture: it learns, goes on where it stopped, and says how it ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_fits import SMALL, STEPS, assert_same_run, curve, fit, state, stopped_after

from taichi_idr.capture.synthetic import make_capture
from taichi_idr.commands.evaluate import evaluate_run
from taichi_idr.commands.fit import fit_capture
from taichi_idr.errors import BadInput, Diverged, ExitCode, Stopped, UsageError
from taichi_idr.fitting.interrupts import Interrupts
from taichi_idr.fitting.session import SKIPS_BEFORE_ROLLBACK
from taichi_idr.methods.fast.model import FastModel
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.pictures import rendering as render
from taichi_idr.runs.checkpoint import load_newest, save_checkpoint
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import load_run


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "ewer"
    return make_capture(folder, views=6, heldout=0, size=(64, 64), samples=2, mesh_resolution=32)


@pytest.fixture(scope="module")
def straight(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of STEPS steps without a stop."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    fit(capture, run)
    return run


def test_the_loss_falls_and_the_silhouette_fits(straight):
    records = RunFolder(straight).read_metrics()
    assert [record["step"] for record in records] == list(range(2, STEPS + 1, 2))
    losses = [record["loss"] for record in records]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert records[-1]["mask_iou"] > 0.75  # of the pixels around the object
    assert {"psnr_db", "mask", "colour", "eikonal", "hits", "rays_per_second", "seconds"} <= set(records[-1])


def test_a_run_holds_what_later_commands_need(straight, capture):
    loaded = load_run(straight)
    assert (loaded.step, loaded.capture_folder) == (STEPS, capture.resolve())
    points = torch.tensor([[0.0, 0.0, 0.0], [0.99, 0.99, 0.99]])
    assert loaded.model.surface(points)[1] > 0.2
    colour = loaded.model.colour(points, torch.tensor([[0.0, 0.0, 1.0]]).repeat(2, 1))
    assert ((colour >= 0) & (colour <= 1)).all()
    assert list((straight / "renders" / "preview").glob("*.png"))


@pytest.mark.fault(70)
def test_same_seed_same_curve(straight, capture, tmp_path):
    """Bit by bit on one thread."""
    fit(capture, tmp_path / "again")
    assert curve(tmp_path / "again") == curve(straight)


def test_another_seed_another_curve(straight, capture, tmp_path):
    fit(capture, tmp_path / "other", steps=STEPS, seed=1, time_limit=1e-3)
    fit(capture, tmp_path / "other", steps=STEPS, seed=1)
    assert curve(tmp_path / "other") != curve(straight)


@pytest.mark.fault(70)
def test_stopped_and_resumed_equals_straight(straight, capture, tmp_path):
    """A signal between two steps: checkpoint, exit code 143, and the next call ends as if nothing had happened."""
    run = tmp_path / "run"
    with stopped_after(FastTrainer, 13):
        fit(capture, run)
    fit(capture, run)
    assert_same_run(run, straight)


def test_a_finished_run_is_left_as_it_is(straight, capture):
    before = curve(straight)
    assert fit(capture, straight).steps == STEPS
    assert curve(straight) == before


@pytest.mark.fault(56)
def test_other_settings_are_refused_by_name(straight, capture):
    with pytest.raises(BadInput, match=r"another loss\.mask_weight, seed"):
        fit(capture, straight, seed=5, more=("loss.mask_weight=31",))


def test_more_steps_go_on_from_the_end(capture, tmp_path):
    fit(capture, tmp_path / "run", steps=6)
    assert fit(capture, tmp_path / "run", steps=10).steps == 10
    assert [step for step, _ in curve(tmp_path / "run")] == [2, 4, 6, 8, 10]


def test_a_run_from_before_poses_were_trained_goes_on(capture, tmp_path):
    """Settings that it does not know count as they are by default; it has no poses of its own."""
    fit(capture, tmp_path / "run", steps=6)
    folder = RunFolder(tmp_path / "run").checkpoints
    checkpoint = load_newest(folder, print)
    assert checkpoint is not None
    config = {key: value for key, value in checkpoint.metadata["config"].items() if key != "cameras"}
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.startswith("poses.")}
    save_checkpoint(folder, checkpoint.step, tensors, {**checkpoint.metadata, "config": config})
    assert fit(capture, tmp_path / "run", steps=8).steps == 8
    with pytest.raises(BadInput, match=r"another cameras\.train[,;]"):
        fit(capture, tmp_path / "run", cameras="train")


def test_a_run_from_before_the_renderer_had_a_table_goes_on_without(capture, tmp_path):
    """Its settings do not name the group: they are not the default's."""
    without = ("colours.levels=0",)
    fit(capture, tmp_path / "run", steps=6, more=without)
    folder = RunFolder(tmp_path / "run").checkpoints
    checkpoint = load_newest(folder, pytest.fail)
    config = {key: value for key, value in checkpoint.metadata["config"].items() if key != "colours"}
    save_checkpoint(folder, checkpoint.step, checkpoint.tensors, {**checkpoint.metadata, "config": config})
    with pytest.raises(BadInput, match=r"another colours\.levels;"):
        fit(capture, tmp_path / "run", steps=8)
    assert fit(capture, tmp_path / "run", steps=8, more=without).steps == 8


@pytest.mark.fault(56)
def test_a_run_from_before_links_were_refused_goes_on(capture, tmp_path):
    linked = Path(shutil.copytree(capture, tmp_path / "ewer"))
    (linked / "image").rename(tmp_path / "photos")
    (linked / "image").symlink_to(tmp_path / "photos")
    with pytest.raises(BadInput, match="fit with --allow-outside"):
        fit(linked, tmp_path / "run", steps=2)
    fit(linked, tmp_path / "run", steps=2, allow_outside=True)
    checkpoint = load_newest(tmp_path / "run" / "checkpoints", pytest.fail)
    metadata = json.loads(json.dumps(checkpoint.metadata))
    del metadata["reading"]["allow_outside"]
    save_checkpoint(tmp_path / "run" / "checkpoints", checkpoint.step, checkpoint.tensors, metadata)
    assert load_run(tmp_path / "run").reading.allow_outside
    assert evaluate_run(tmp_path / "run", max_views=1)["psnr_db"] > 0
    assert fit(linked, tmp_path / "run", steps=3, allow_outside=True).steps == 3


def test_a_signal_stops_a_preview(capture, tmp_path, monkeypatch):
    """A picture by wide networks takes longer than a signal may wait."""
    drawn, rays_of = [], render.camera_rays

    def rays_and_signal(*arguments):
        drawn.append(1)
        signal.raise_signal(signal.SIGTERM)
        return rays_of(*arguments)

    monkeypatch.setattr(render, "camera_rays", rays_and_signal)
    monkeypatch.setattr(FastModel, "chunk", 1000)
    with pytest.raises(Stopped):
        fit(capture, tmp_path / "run", steps=6, more=("log.preview_interval=4",))
    assert len(drawn) == 1
    assert load_run(tmp_path / "run").step == 4
    assert not (tmp_path / "run" / "renders").exists()


def test_settings_that_do_not_fit_leave_the_old_run_alone(capture, tmp_path):
    fit(capture, tmp_path / "run", steps=2)
    with pytest.raises(UsageError, match="no room for the skip"):
        fit_capture(capture, out=tmp_path / "run", preset="idr", assignments=["geometry.width=32"], fresh=True)
    assert load_run(tmp_path / "run").step == 2
    assert not (tmp_path / "run" / "previous").exists()


def test_fresh_starts_again(capture, tmp_path):
    fit(capture, tmp_path / "run", steps=6)
    assert fit(capture, tmp_path / "run", steps=4, fresh=True).steps == 4
    assert [step for step, _ in curve(tmp_path / "run")] == [2, 4]


@pytest.mark.fault(69)
def test_a_non_finite_step_moves_nothing(capture, tmp_path, monkeypatch, capsys):
    run, losses = tmp_path / "run", FastTrainer._losses

    def sometimes_nan(self, *batch):
        report = losses(self, *batch)
        bad = self.steps_done == 3
        return report if not bad else replace(report, loss=report.loss * torch.nan)

    monkeypatch.setattr(FastTrainer, "_losses", sometimes_nan)
    assert fit(capture, run, steps=8).steps == 8
    assert "step 4: loss or gradient is not finite" in capsys.readouterr().err
    assert all(torch.isfinite(x).all() for name, x in state(run).items() if name.startswith("model."))


@pytest.mark.fault(69)
def test_a_fit_that_stays_non_finite_ends_diverged(capture, tmp_path, monkeypatch, capsys):
    """Ten skips, back to the checkpoint at half the rate, ten more, then exit code 76."""
    losses, tried = FastTrainer._losses, []

    def nan_from_step_12(self, *batch):
        report = losses(self, *batch)
        tried.append(self.steps_done)
        return replace(report, loss=report.loss * (torch.nan if self.steps_done >= 11 else 1))

    monkeypatch.setattr(FastTrainer, "_losses", nan_from_step_12)
    with pytest.raises(Diverged):
        fit(capture, tmp_path / "run", steps=40)
    assert "back to step 10 at half the learning rate" in capsys.readouterr().err
    assert len(tried) == 11 + 2 * (SKIPS_BEFORE_ROLLBACK + 1) + 1
    assert load_newest(RunFolder(tmp_path / "run").checkpoints, print) is not None


def test_the_time_limit_ends_a_fit_with_a_checkpoint(capture, tmp_path):
    summary = fit(capture, tmp_path / "run", time_limit=1e-3)
    assert summary.steps == 0
    assert load_newest(RunFolder(tmp_path / "run").checkpoints, print) is not None


@pytest.mark.fault(51, 52)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(capture, tmp_path, capsys):
    run = tmp_path / "run"
    fit(capture, run, steps=20)
    newest = max((run / "checkpoints").glob("*.tidr"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    assert load_run(run).step == 10
    assert fit(capture, run, steps=20).steps == 20
    assert newest.name in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.fault(67)
def test_sigint_stops_the_command_within_five_seconds(capture, tmp_path):
    command = [sys.executable, "-m", "taichi_idr", "fit", str(capture), "--out", str(tmp_path / "run"), "--arch", "cpu"]
    command += [part for setting in SMALL for part in ("--set", setting)] + ["--steps", "100000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    deadline = time.monotonic() + 120
    while not curve(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - asked < 5
    assert process.returncode == ExitCode.STOPPED_BY_SIGINT
    assert "tidr: error: stopped by SIGINT, checkpoint written" in errors
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert load_run(tmp_path / "run").step >= last["step"]


def test_a_signal_before_the_first_step_leaves_no_checkpoint(capture, tmp_path, monkeypatch):
    monkeypatch.setattr(Interrupts, "pending", signal.SIGINT, raising=False)
    monkeypatch.setattr(Interrupts, "__init__", lambda self: setattr(self, "_former", {}))
    with pytest.raises(Stopped, match="before the first step") as stopped:
        fit(capture, tmp_path / "run")
    assert stopped.value.exit_code == ExitCode.STOPPED_BY_SIGINT
    assert not list((tmp_path / "run" / "checkpoints").glob("*.tidr"))

"""Trained cameras from the command's options to the files of a run, on a tiny capture with disturbed poses."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import captures
import numpy as np
import pytest
import torch
from pose_histories import disturbed
from tiny_fits import GENTLE, SMALL, assert_same_run, curve, state, stopped_after

from taichi_idr import runtime
from taichi_idr.cameras.alignment import camera_accuracy
from taichi_idr.cameras.pinhole import projections, shrunk
from taichi_idr.capture.formats.idr import CAMERA_FILES, ROUGH_CAMERAS
from taichi_idr.capture.formats.matrices import write_idr_cameras
from taichi_idr.capture.reading import read_capture
from taichi_idr.capture.synthetic import make_capture
from taichi_idr.commands.fit import fit_capture
from taichi_idr.errors import BadInput, InputMissing, Stopped, WriteFailed
from taichi_idr.files.npz import read_npz
from taichi_idr.fitting import camera_log
from taichi_idr.measures.camera_curves import camera_curves
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast import pose_steps
from taichi_idr.methods.fast.pose_steps import PoseSteps
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.poses.corners import find_corners
from taichi_idr.poses.history import read_history
from taichi_idr.poses.sightings import AdjustedPoses
from taichi_idr.report.contents import write_report
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import load_run
from taichi_idr.runs.views import heldout_views, training_views

TURN, SHIFT = 2.0, 0.03  # degrees, normalised units
SCALE = 1.25  # of the rough file's frame over the usual one's
STEPS = 20
FIRST_ADJUSTMENT = 1  # a share of 0.04 of the steps
IDR = [
    "geometry.width=32", "geometry.hidden_layers=2", "geometry.skip_layer=0", "geometry.features=4",
    "radiance.width=16", "radiance.hidden_layers=1", "tracer.samples=20", "schedule.rays=128",
    "loss.eikonal_points=32", "log.metrics_interval=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its rough poses are in a larger frame, and their file has wrong intrinsics."""
    folder = tmp_path_factory.mktemp("captures") / "ewer"
    make_capture(folder, views=6, heldout=1, size=(64, 64), samples=1, mesh_resolution=32)
    read = read_capture(folder)
    larger = np.diag([SCALE, SCALE, SCALE, 1.0])
    poses = disturbed(read.cameras, TURN, SHIFT)
    in_larger = replace(poses, centres=poses.centres / SCALE, intrinsics=2 * poses.intrinsics)
    write_idr_cameras(folder / ROUGH_CAMERAS, in_larger, read.T_world_normalised @ larger)
    return folder


def fit(capture: Path, run: Path, *more: str, steps: int = STEPS, preset: str = "fast", **options: Any):
    options = {"cameras": "train", **options}
    small = [*SMALL, "schedule.hull_steps=40"] if preset == "fast" else IDR
    return fit_capture(capture, out=run, preset=preset, steps=steps, assignments=[*small, *more], threads=1, **options)


@pytest.fixture(scope="module")
def straight(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "straight"
    fit(capture, run)
    return run


def same_projection(P: np.ndarray, Q: np.ndarray) -> bool:
    """Up to scale."""
    P, Q = (matrix / np.linalg.norm(matrix[2, :3]) for matrix in (P, Q))
    return np.allclose(P, Q, rtol=1e-9, atol=1e-9 * abs(Q).max())


def pose_error(run: Path, capture: Path) -> float:
    return camera_accuracy(load_run(run).cameras, read_capture(capture).cameras).rotation_mean_deg


def test_trained_cameras_start_from_the_rough_file_with_the_usual_intrinsics(straight, capture):
    """CAM-6, and the frame of the rough file."""
    loaded, usual = load_run(straight), read_capture(capture)
    assert loaded.reading.cameras_file == ROUGH_CAMERAS
    assert torch.allclose(loaded.cameras.intrinsics, usual.cameras.intrinsics)
    assert loaded.T_world_normalised[0, 0] == pytest.approx(SCALE * usual.T_world_normalised[0, 0])
    history = read_history(straight / "cameras" / "history.npz")
    assert history is not None
    start = camera_accuracy(history.at(0), usual.cameras)
    assert start.rotation_mean_deg == pytest.approx(TURN, rel=1e-6)
    expected = camera_accuracy(disturbed(usual.cameras, TURN, SHIFT), usual.cameras)
    assert start.centre_mean == pytest.approx(expected.centre_mean, rel=1e-6)


def test_the_true_poses_are_not_read(straight, capture, tmp_path):
    """cameras.npz with other poses, the same intrinsics and another frame: the same fit."""
    other = tmp_path / "ewer"
    shutil.copytree(capture, other)
    read = read_capture(capture)
    generator = torch.Generator().manual_seed(0)
    wrong = replace(
        read.cameras,
        quaternions=torch.randn(6, 4, generator=generator, dtype=torch.float64),
        centres=torch.randn(6, 3, generator=generator, dtype=torch.float64),
    )
    write_idr_cameras(other / "cameras.npz", wrong, 3 * np.eye(4) + np.diag([0, 0, 0, -2.0]))
    fit(other, tmp_path / "run")
    losses = [loss for _, loss in curve(tmp_path / "run")]
    assert losses == pytest.approx([loss for _, loss in curve(straight)], rel=INTRINSICS_ROUNDING)


INTRINSICS_ROUNDING = 1e-3
"""Of the losses of 20 steps: K that was decomposed from another matrix differs in its last digits."""


def test_files_read_back_as_the_cameras_of_the_run(straight):
    loaded, files = load_run(straight), straight / "cameras"
    arrays = read_npz(files / "cameras.npz")
    expected = projections(loaded.cameras).numpy()
    for view, P in enumerate(expected):
        found = (arrays[f"world_mat_{view}"] @ arrays[f"scale_mat_{view}"])[:3]
        assert same_projection(found, P)
    frames = json.loads((files / "transforms.json").read_text())["frames"]
    assert [frame["file_path"] for frame in frames] == [f"image/{view:03d}.png" for view in range(6)]
    lines = (files / "sparse" / "0" / "images.txt").read_text().splitlines()[1::2]
    assert [line.split()[-1] for line in lines] == [f"{view:03d}.png" for view in range(6)]


def test_files_of_a_shrunken_fit_are_for_whole_photos(capture, tmp_path):
    fit(capture, tmp_path / "run", steps=2, downscale=3)
    arrays, loaded = read_npz(tmp_path / "run" / "cameras" / "cameras.npz"), load_run(tmp_path / "run")
    whole = shrunk(loaded.cameras, 1 / 3)
    assert torch.allclose(whole.intrinsics, read_capture(capture).cameras.intrinsics, rtol=1e-12)
    P = (arrays["world_mat_0"] @ arrays["scale_mat_0"])[:3]
    assert same_projection(P, projections(whole)[0].numpy())
    frames = json.loads((tmp_path / "run" / "cameras" / "transforms.json").read_text())["frames"]
    assert (frames[0]["w"], frames[0]["h"]) == (64, 64)


def test_history_and_log_say_how_far_the_cameras_moved(straight, capture):
    history, records = read_history(straight / "cameras" / "history.npz"), RunFolder(straight).read_metrics()
    assert history is not None
    assert history.steps.tolist() == [0, *range(2, STEPS + 1, 2)]
    loaded = load_run(straight)
    assert torch.equal(history.quaternions[-1], loaded.cameras.quaternions)
    assert torch.equal(history.centres[-1], loaded.cameras.centres)
    moved = camera_curves(history, history.at(0))
    turned = [record["camera_turned_deg"] for record in records]
    assert turned == pytest.approx(moved.rotation_deg[1:].tolist(), rel=1e-4)
    lengths = [record["camera_moved"] for record in records]
    assert lengths == pytest.approx((loaded.T_world_normalised[0, 0] * moved.centre[1:]).tolist(), rel=1e-4)
    assert turned[-1] > 0


def test_stopped_and_resumed_equals_straight(straight, capture, tmp_path):
    """Poses, moments and history too; the files are written when stopped."""
    run = tmp_path / "run"
    with stopped_after(FastTrainer, 7):
        fit(capture, run)
    stopped = read_history(run / "cameras" / "history.npz")
    assert stopped is not None
    assert stopped.steps.tolist() == [0, 2, 4, 6]
    fit(capture, run)
    assert_same_run(run, straight)
    assert (run / "cameras" / "history.npz").read_bytes() == (straight / "cameras" / "history.npz").read_bytes()


def test_a_signal_before_an_adjustment_s_end_leaves_it_to_the_next_call(straight, capture, tmp_path, monkeypatch):
    def signal_first(photos, between):
        signal.raise_signal(signal.SIGTERM)
        return find_corners(photos, between)

    run = tmp_path / "run"
    monkeypatch.setattr(pose_steps, "find_corners", signal_first)
    with pytest.raises(Stopped):
        fit(capture, run)
    assert load_run(run).step == FIRST_ADJUSTMENT
    monkeypatch.setattr(pose_steps, "find_corners", find_corners)
    fit(capture, run)
    ours, theirs = state(run), state(straight)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_adjustment_sees_the_levels_of_its_step_in_every_session(capture, monkeypatch):
    """A new trainer, as after a restart, has all levels of the hash grid."""
    seen = []

    def noted(model, *_):
        seen.append(model.geometry.active_levels)

    monkeypatch.setattr(pose_steps, "adjusted_poses", noted)
    config = make_config("fast", [*SMALL, "cameras.train=true", f"schedule.steps={STEPS}"])
    trainer = FastTrainer(config, read_capture(capture), runtime.current().device)  # pyright: ignore[reportArgumentType]
    trainer.steps_done = FIRST_ADJUSTMENT
    trainer.prepare(lambda: None)
    assert seen == [4] and len(trainer.model.geometry.layout) == 6


def test_rays_move_poses_less_the_more_sightings_they_have(capture, monkeypatch):
    """By the square of what is trusted over what there is; a pose that has not been adjusted as before."""
    config = make_config("fast", [*SMALL, "cameras.train=true", "cameras.trusted_sightings=40", "cameras.settled=0.02"])
    trainer = FastTrainer(config, read_capture(capture), runtime.current().device)  # pyright: ignore[reportArgumentType]
    worth = torch.full((len(trainer.poses.cameras()),), 80.0)
    worth[:2] = torch.tensor([20.0, 4000.0])
    moved = torch.arange(len(worth)) != len(worth) - 1
    found = AdjustedPoses(trainer.poses.cameras(), worth, moved)
    monkeypatch.setattr(pose_steps, "adjusted_poses", lambda *_: found)
    trainer.pose_steps.adjust(trainer.model, trainer.pixels, 0.5, lambda: None)
    newton = trainer.pose_steps.newton
    assert newton is not None
    trust = newton.trust.tolist()
    assert trust[:2] == pytest.approx([1, 0.02]) and trust[-1] == 1
    assert trust[2:-1] == pytest.approx([0.25] * (len(worth) - 3)) and len(worth) > 3


def test_another_camera_file_is_another_run(straight, capture):
    with pytest.raises(BadInput, match=r"another cameras_linear_init\.npz, reading\.cameras_file"):
        fit(capture, straight, init_cameras=Path("cameras.npz"))
    with pytest.raises(BadInput, match=r"another cameras\.train, .*reading\.cameras_file"):
        fit(capture, straight, cameras="fixed")


def test_fixed_cameras_may_start_elsewhere_and_stay_there(capture, tmp_path, capsys):
    """A file outside the capture; no files of cameras."""
    shutil.copy(capture / ROUGH_CAMERAS, tmp_path / "mine.npz")
    summary = fit(capture, tmp_path / "run", steps=2, cameras="fixed", init_cameras=tmp_path / "mine.npz")
    loaded = load_run(tmp_path / "run")
    assert pose_error(tmp_path / "run", capture) == pytest.approx(TURN, rel=1e-6)
    assert loaded.reading.cameras_file == str(tmp_path / "mine.npz")
    assert not (tmp_path / "run" / "cameras").exists()
    assert summary.camera_lines == []
    assert f"cameras   fixed at those of {tmp_path / 'mine.npz'}\n" in capsys.readouterr().out


def test_without_options_cameras_are_the_captures_own(capture, tmp_path, capsys):
    fit(capture, tmp_path / "run", steps=2, cameras=None)
    assert pose_error(tmp_path / "run", capture) == pytest.approx(0, abs=1e-5)
    assert "cameras" not in capsys.readouterr().out


def test_rough_cameras_do_without_the_usual_file(capture, tmp_path):
    shutil.copytree(capture, tmp_path / "rough")
    for name in CAMERA_FILES:
        (tmp_path / "rough" / name).unlink(missing_ok=True)
    fit(tmp_path / "rough", tmp_path / "run", steps=1)
    assert load_run(tmp_path / "run").step == 1


def test_a_missing_camera_file_is_said_before_anything_is_written(capture, tmp_path):
    with pytest.raises(InputMissing, match=r"no camera file \(mine\.npz\)"):
        fit(capture, tmp_path / "run", init_cameras=Path("mine.npz"))
    assert not (tmp_path / "run").exists()


def test_a_summary_names_the_camera_that_moved_most(straight, capture):
    summary = fit(capture, straight)
    assert summary.movement is not None
    turned, moved = summary.camera_lines
    worst = summary.names[int(summary.movement.degrees.argmax())]
    assert turned.startswith("cameras   turned by ") and turned.endswith(f"(view {worst})")
    assert f"moved by {summary.movement.distance.mean():.3g} world units" in moved


def test_views_of_a_run_come_from_its_own_camera_file(straight, capture):
    """Held-out photos never use it."""
    loaded = load_run(straight)
    views = training_views(loaded)
    assert torch.equal(views.cameras.quaternions, loaded.cameras.quaternions)
    assert np.allclose(views.capture.T_world_normalised, loaded.T_world_normalised)
    unseen = heldout_views(loaded)
    assert unseen is not None
    own = read_capture(capture / "heldout", fewest_views=1, T_world_normalised=np.eye(4))
    found = loaded.T_world_normalised[:3, :3] @ unseen.cameras.centres[0].numpy() + loaded.T_world_normalised[:3, 3]
    assert np.allclose(found, own.cameras.centres[0].numpy())


def test_a_full_disk_costs_the_files_not_the_fit(capture, tmp_path, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise WriteFailed("write failed", where="history.npz", why="no space left on device")

    monkeypatch.setattr(camera_log, "write_history", full)
    assert fit(capture, tmp_path / "run", steps=2).steps == 2
    assert "the fit goes on without these files" in capsys.readouterr().err


def test_rollback_takes_poses_and_history_back(capture, tmp_path, monkeypatch):
    losses, tried = FastTrainer._losses, []

    def nan_once(self, *batch):
        report = losses(self, *batch)
        tried.append(self.steps_done)
        bad = 12 <= len(tried) <= 22
        return replace(report, loss=report.loss * (torch.nan if bad else 1))

    monkeypatch.setattr(FastTrainer, "_losses", nan_once)
    fit(capture, tmp_path / "run", steps=24)
    history = read_history(tmp_path / "run" / "cameras" / "history.npz")
    assert history is not None
    assert history.steps.tolist() == list(range(0, 25, 2))
    assert [step for step, _ in curve(tmp_path / "run")] == history.steps[1:].tolist()
    assert len(tried) == 11 + 11 + 14


@pytest.mark.parametrize("optimiser", ["gauss_newton", "adam"])
def test_a_pose_s_gradient_that_is_not_finite_moves_nothing(capture, tmp_path, monkeypatch, capsys, optimiser):
    """Nor does it stay for the steps that follow."""
    rays_of = PoseSteps.rays

    asked = []

    def once_nan(self, batch):
        rays = rays_of(self, batch)
        asked.append(batch)
        if len(asked) == 4:
            rays.origins.register_hook(lambda gradient: gradient * torch.nan)
        return rays

    monkeypatch.setattr(PoseSteps, "rays", once_nan)
    fit(capture, tmp_path / "run", f"cameras.optimiser={optimiser}", steps=6)
    assert capsys.readouterr().err.count("not finite") == 1
    assert all(torch.isfinite(x).all() for x in state(tmp_path / "run").values() if x.is_floating_point())


def test_a_long_history_is_thinned_evenly(capture, tmp_path, monkeypatch):
    """The start and the newest poses stay, whatever the spacing."""
    monkeypatch.setattr(camera_log, "MOST_ROWS", 8)
    read = read_capture(capture)
    log = camera_log.CameraLog(tmp_path, read, 1)
    for step in range(2, 45, 2):
        log.note(step, replace(read.cameras, centres=read.cameras.centres * (1 + step / 100)))
    history = log.history()
    assert history.steps.tolist() == [0, 8, 16, 24, 32, 40, 44]
    assert torch.allclose(history.centres[-1], 1.44 * read.cameras.centres)
    assert torch.equal(history.centres[0], read.cameras.centres)


def test_preset_idr_trains_its_cameras_too(capture, tmp_path):
    """CAM-5: one view moves in a step, the others stay."""
    fit(capture, tmp_path / "run", "log.metrics_interval=1", steps=3, preset="idr")
    history = read_history(tmp_path / "run" / "cameras" / "history.npz")
    assert history is not None
    changed = (history.centres[1:] != history.centres[:-1]).any(dim=2).sum(dim=1)
    assert changed.tolist() == [1, 1, 1]


def test_the_option_wins_over_a_setting(capture):
    assert make_config("fast", ["cameras.train=true"], cameras={"train": False}).cameras.train is False


def test_a_report_shows_how_the_cameras_moved(straight):
    page = write_report(straight, film_frames=0).read_text()
    section = page.split("<h2>Trained cameras</h2>")[1].split("<h2>")[0]
    moved = RunFolder(straight).read_metrics()[-1]
    assert section.count("<svg") == 2
    assert f">{moved['camera_turned_deg']:.3g} °<" in section
    assert f">{moved['camera_moved']:.3g} units<" in section


def test_silhouettes_pull_disturbed_cameras_back(tmp_path):
    """Two balls, twelve photos: a hull of rough poses, and steps before colours have a say."""
    folder = captures.make_capture(tmp_path / "balls", views=12, size=(64, 56))
    true = read_capture(folder)
    rough = disturbed(true.cameras, TURN, SHIFT)
    write_idr_cameras(folder / ROUGH_CAMERAS, rough, true.T_world_normalised)
    more = ("schedule.hull_steps=200", "schedule.rays=512", "cameras.step_size=0.03", "cameras.released=1")
    fit(folder, tmp_path / "run", *more, *GENTLE)
    history = read_history(tmp_path / "run" / "cameras" / "history.npz")
    assert history is not None
    found = camera_curves(history, true.cameras).rotation_deg
    assert found[0] == pytest.approx(TURN, rel=1e-3)
    assert found[-1] < 0.85 * TURN  # measured 1.1 to 1.5 degrees, by the random numbers


def test_pixels_are_doubted_only_where_poses_are_fixed(capture):
    """A pixel on the wrong side of the silhouette may be its pose's fault."""
    listed, photos = {}, read_capture(capture)
    for train in (True, False):
        settings = [*SMALL, "schedule.hull_steps=40", f"cameras.train={train}"]
        trainer = FastTrainer(make_config("fast", settings), photos, runtime.current().device)
        trainer.start(photos, lambda: None)
        trainer.step()
        listed[train] = len(trainer.pixels.doubtful)
    assert listed[True] == 0 < listed[False]

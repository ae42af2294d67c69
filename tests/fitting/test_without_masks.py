"""Captures without masks, from the fit to the report: nothing is said of silhouettes that nobody has."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from captures import edit_cameras, make_capture

from taichi_idr.cli.main import run
from taichi_idr.errors import ExitCode
from taichi_idr.fitting.session import FitSummary
from taichi_idr.meshes.reading import read_mesh
from taichi_idr.report.contents import write_report
from taichi_idr.runs.folder import RunFolder

VIEWS = 6
TINY = (
    "geometry.width=32", "geometry.hidden_layers=2", "geometry.skip_layer=0", "geometry.features=4",
    "geometry.position_frequencies=2", "radiance.width=16", "radiance.hidden_layers=1", "surface.samples=32",
    "interval.samples=12", "interval.before=4", "schedule.rays=64", "log.metrics_interval=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With masks and a frame of its own."""
    folder = make_capture(tmp_path_factory.mktemp("captures") / "balls", views=VIEWS)
    make_capture(folder / "heldout", views=2)
    return folder


@pytest.fixture(scope="module")
def bare(capture: Path) -> Path:
    """Photos and poses alone."""
    folder = capture.parent / "bare"
    shutil.copytree(capture, folder)
    for place, views in ((folder, VIEWS), (folder / "heldout", 2)):
        shutil.rmtree(place / "mask")
        edit_cameras(place, **{f"scale_mat_{view}": None for view in range(views)})
    return folder


def tidr(*arguments: str | Path) -> None:
    assert run([str(argument) for argument in arguments]) == ExitCode.DONE


def fit(capture: Path, out: Path, *more: str) -> None:
    settings = [part for assignment in TINY for part in ("--set", assignment)]
    tidr("fit", capture, "--preset", "unisurf", "--steps", "12", "--out", out, "--arch", "cpu", *settings, *more)


def test_fit_mesh_render_eval_and_report(bare, tmp_path, capsys):
    out = tmp_path / "run"
    fit(bare, out)
    shown = capsys.readouterr()
    assert "no masks: the object is what lies within" in shown.err and "tidr check" not in shown.err
    (last,) = [line for line in shown.out.splitlines() if line.startswith("last step")]
    assert last.startswith("last step PSNR") and last.endswith("dB")
    (verdict,) = [line for line in shown.out.splitlines() if line.startswith("verdict")]
    assert "PSNR" in verdict and "mask" not in verdict
    assert "mask_iou" not in RunFolder(out).read_metrics()[-1]

    tidr("mesh", out, "--res", "32")
    frame = np.ptp(read_mesh(out / "mesh" / "mesh.ply").vertices, axis=0)
    assert (frame > 40).all() and (frame < 200).all()  # millimetres: a ball of 0.6 units to begin with
    tidr("render", out, "--views", "heldout", "--size", "40")
    assert len(list((out / "renders" / "heldout").glob("*.png"))) == 6  # colour, normals, depth

    capsys.readouterr()
    tidr("eval", out)
    numbers = json.loads((out / "report" / "eval.json").read_text())
    assert {"psnr_db", "psnr_hit_db", "ssim", "heldout_psnr_db"} <= set(numbers)
    assert not {"mask_iou", "missed_fraction"} & {*numbers, *numbers["views"][0]}
    assert "mask" not in capsys.readouterr().out
    page = write_report(out, film_frames=0).read_text(encoding="utf-8")
    assert "Held-out PSNR" in page and "Missed object pixels" not in page and "Mask IoU" not in page


def test_masks_that_the_method_has_not_seen_are_measured_and_not_judged(capture, tmp_path, capsys):
    fit(capture, tmp_path / "run")
    tidr("eval", tmp_path / "run")
    shown = capsys.readouterr().out.splitlines()
    numbers = json.loads((tmp_path / "run" / "report" / "eval.json").read_text())
    assert 0 < numbers["mask_iou"] < 1
    assert all("mask" not in line for line in shown if line.startswith("verdict"))
    assert not [fault for fault in numbers["faults"] if "mask" in fault]


def test_presets_that_need_masks_name_what_does_not(bare, tmp_path, capsys):
    assert run(["fit", str(bare), "--out", str(tmp_path / "run")]) == ExitCode.INPUT_MISSING
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"tidr mask {bare}" in error and "--preset maskless" in error
    assert not (tmp_path / "run").exists()


def test_the_last_step_says_what_was_measured():
    summary = FitSummary(Path("run"), 5, 1.0, 22.414, 0.9791, [], None)
    assert summary.last_step == "PSNR 22.41 dB where hit, mask IoU 0.979"
    assert replace(summary, mask_iou=math.nan).last_step == "PSNR 22.41 dB"

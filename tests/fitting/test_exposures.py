"""Fits of photos of unlike exposure: told by themselves, kept in checkpoints, used where photos are compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import make_capture
from exposures import expose_files
from tiny_fits import GENTLE, assert_same_run, fit, state, stopped_after

from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.known_exposures import write_exposures
from taichi_idr.commands.evaluate import evaluate_run
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.runs.loading import load_run

VIEWS = 12
TRUE = np.random.default_rng(1).uniform(-1, 1, VIEWS)
STEPS = 60
FOUND = 0.35  # EV, standard deviation in a fit of seconds of photos of 48 pixels; measured: 0.24


@pytest.fixture(scope="module")
def unlike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_capture(tmp_path_factory.mktemp("captures") / "unlike", views=VIEWS)
    expose_files(folder / "image", TRUE)
    return folder


@pytest.fixture(scope="module")
def run(unlike: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    fit(unlike, folder, steps=STEPS, more=GENTLE)
    return folder


def test_unlike_exposures_are_fitted_without_being_asked(run):
    stops = load_run(run).stops
    assert stops is not None
    assert (stops.mean(axis=1) - TRUE).std() < FOUND < TRUE.std() / 1.5


def test_photos_are_compared_as_they_were_exposed(run, unlike, tmp_path, capsys):
    """And the judgement does not blame what is fitted."""
    fit(unlike, tmp_path / "off", steps=STEPS, more=(*GENTLE, "exposure.mode=off"))
    plain, found = evaluate_run(tmp_path / "off"), evaluate_run(run)
    assert found["psnr_db"] > plain["psnr_db"] + 1
    assert found["exposure_spread_ev"] == pytest.approx(TRUE.std(), abs=0.15)
    assert "exposure_spread_ev" not in plain
    capsys.readouterr()
    evaluate_run(run)
    views = json.loads((run / "report" / "eval.json").read_text())["views"]
    stops = load_run(run).stops
    assert stops is not None
    assert [view["exposure_ev"] for view in views] == pytest.approx(stops.mean(axis=1).tolist())
    assert "exposure differs" not in capsys.readouterr().err


def test_like_exposures_are_left_alone(tmp_path):
    """Nothing of the fit changes."""
    capture = make_capture(tmp_path / "balls", views=VIEWS)
    fit(capture, tmp_path / "auto", steps=20)
    fit(capture, tmp_path / "off", steps=20, more=("exposure.mode=off",))
    assert_same_run(tmp_path / "auto", tmp_path / "off")
    assert not any("exposure" in name for name in state(tmp_path / "auto"))
    assert load_run(tmp_path / "auto").stops is None


def test_a_stopped_fit_goes_on_bit_by_bit(unlike, tmp_path):
    with stopped_after(FastTrainer, 14):
        fit(unlike, tmp_path / "stopped", steps=30)
    summary = fit(unlike, tmp_path / "stopped", steps=30)
    fit(unlike, tmp_path / "straight", steps=30)
    assert_same_run(tmp_path / "stopped", tmp_path / "straight")
    assert torch.equal(state(tmp_path / "stopped")["exposures"], state(tmp_path / "stopped")["exposure.stops"])
    assert len(summary.exposure_lines) == 1


def test_rough_poses_are_no_sign_of_unlike_exposures(unlike, tmp_path):
    """Nor do they forbid what is asked for."""
    fit(unlike, tmp_path / "auto", steps=2, more=("cameras.train=true",))
    assert load_run(tmp_path / "auto").stops is None
    fit(unlike, tmp_path / "on", steps=2, more=("cameras.train=true", "exposure.mode=on"))
    assert load_run(tmp_path / "on").stops is not None


def test_exposures_can_be_asked_for(tmp_path):
    """Of like photos they stay small."""
    fit(make_capture(tmp_path / "balls", views=VIEWS), tmp_path / "run", steps=STEPS, more=("exposure.mode=on",))
    stops = load_run(tmp_path / "run").stops
    assert stops is not None and stops.mean(axis=1).std() < FOUND


def test_known_exposures_are_taken_as_they_are(unlike, tmp_path):
    capture = tmp_path / "known"
    shutil.copytree(unlike, capture)
    stops = np.repeat((TRUE - np.median(TRUE))[:, None], 3, axis=1)
    write_exposures(capture, find_capture(capture).images, stops)
    with stopped_after(FastTrainer, 14):
        fit(capture, tmp_path / "run", steps=30)
    fit(capture, tmp_path / "run", steps=30)
    found = load_run(tmp_path / "run").stops
    np.testing.assert_allclose(found, stops, atol=1e-3)
    fit(capture, tmp_path / "off", steps=4, exposure="none")
    assert load_run(tmp_path / "off").stops is None
    fit(capture, tmp_path / "on", steps=20, exposure="on")
    assert np.abs(load_run(tmp_path / "on").stops - stops).max() > 1e-3


def test_exposures_of_shared_points_can_be_kept(unlike, tmp_path):
    fit(unlike, tmp_path / "run", steps=4, exposure="fixed")
    before = load_run(tmp_path / "run").stops
    fit(unlike, tmp_path / "more", steps=30, exposure="fixed")
    np.testing.assert_array_equal(load_run(tmp_path / "more").stops, before)

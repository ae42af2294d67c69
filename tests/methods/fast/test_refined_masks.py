"""Masks that the program has cut, cut anew in a fit."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import make_capture
from PIL import Image
from tiny_fits import GENTLE, SMALL, assert_same_run, fit, stopped_after

from taichi_idr import runtime
from taichi_idr.capture.cut_masks import write_cut
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.evaluate import evaluate_run
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.runs.loading import load_run
from taichi_idr.runs.views import training_views
from taichi_idr.types import Capture

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
STEPS = 8
WRONG = 3  # view


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "balls", views=8)


def cut_capture(folder: Path) -> tuple[Capture, Capture]:
    """One mask lacks a part; all but the first have been cut. And the truth."""
    truth = read_capture(folder)
    masks = [mask.copy() for mask in truth.masks]
    rows = np.flatnonzero(masks[WRONG].any(axis=1))
    masks[WRONG][: rows[0] + len(rows) // 4] = False
    return replace(truth, masks=masks, cut=(False, *(True for _ in masks[1:]))), truth


def trainer_of(capture: Capture) -> FastTrainer:
    config = make_config("fast", [*SMALL, *GENTLE, f"schedule.steps={STEPS}", "schedule.masks_refined=1"])
    assert isinstance(config, FastConfig)
    trainer = FastTrainer(config, capture, runtime.current().device)
    with trainer.threads():
        trainer.start(capture, lambda: None)
    return trainer


@needs_opencv
def test_a_part_that_one_mask_lacks_begins_to_come_back(folder):
    capture, truth = cut_capture(folder)
    trainer = trainer_of(capture)
    lacking = truth.masks[WRONG] & ~capture.masks[WRONG]
    for _ in range(STEPS):
        trainer.prepare(lambda: None)
        trainer.step()
    _, found = trainer.pixels.photo(WRONG)
    assert found[lacking].mean() > 0.2  # none of it before; the shape has had four steps
    assert (trainer.pixels.photo(0)[1] == truth.masks[0]).all()  # as it was given
    for view in range(1, len(truth)):
        mask = trainer.pixels.photo(view)[1]
        assert (mask & truth.masks[view]).sum() / (mask | truth.masks[view]).sum() > 0.85


@needs_opencv
def test_a_stopped_fit_goes_on_with_refined_masks(folder, tmp_path):
    write_cut(folder, find_capture(folder).masks or [])
    more = ("schedule.masks_refined=2", *GENTLE)
    fit(folder, tmp_path / "whole", STEPS, more)
    with stopped_after(FastTrainer, 5):
        fit(folder, tmp_path / "parts", STEPS, more)
    fit(folder, tmp_path / "parts", STEPS, more)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@needs_opencv
def test_they_are_left_in_the_run_and_measured_against(folder, tmp_path, capsys):
    write_cut(folder, find_capture(folder).masks or [])
    run, more = tmp_path / "run", ("schedule.masks_refined=1", *GENTLE)
    fit(folder, run, STEPS, more)
    whole = training_views(load_run(run))
    assert whole.refined
    for name, mask in zip(whole.capture.names, whole.capture.masks, strict=True):
        assert (np.asarray(Image.open(run / "masks" / f"{name}.png")) == np.where(mask, 255, 0)).all()
    half = training_views(load_run(run), downscale=2)
    assert [mask.shape for mask in half.capture.masks] == [image.shape[:2] for image in half.capture.images]
    evaluate_run(run, max_views=2)
    assert "refined" in capsys.readouterr().out
    assert json.loads((run / "report" / "eval.json").read_text())["refined_masks"]
    fit(folder, run, STEPS, (*more, "schedule.masks_refined=0"), fresh=True)
    assert not training_views(load_run(run)).refined


def test_masks_that_were_given_stay(folder):
    truth = read_capture(folder)
    trainer = trainer_of(truth)
    trainer.steps_done = STEPS // 2
    before = trainer.pixels
    trainer.prepare(lambda: None)
    assert trainer.pixels is before and "cut_anew" not in trainer.state()


def test_without_opencv_they_stay_and_it_is_said(folder, no_opencv, capsys):
    capture, _ = cut_capture(folder)
    trainer = trainer_of(capture)
    trainer.step()
    no_opencv()
    trainer.steps_done = STEPS // 2
    trainer.prepare(lambda: None)
    assert torch.equal(trainer.pixels.objects, trainer_of(capture).pixels.objects)
    assert "OpenCV is not installed" in capsys.readouterr().err

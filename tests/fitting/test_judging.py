"""A finished fit says whether it is any good, and names the view that was damaged."""

from __future__ import annotations

import importlib.util
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from captures import make_capture
from PIL import Image
from tiny_fits import GENTLE, fit

from taichi_idr.capture.cut_masks import write_cut
from taichi_idr.commands.evaluate import evaluate_run
from taichi_idr.fitting import judging
from taichi_idr.fitting.judging import spread
from taichi_idr.fitting.session import NOT_JUDGED
from taichi_idr.measures.judgement import Cause
from taichi_idr.measures.small_views import thumbnails
from taichi_idr.report.contents import write_report

JUDGED = ("log.judge_seconds=60",)
VIEWS, STEPS = 20, 60  # one wrong mask among twelve spoils the fit as a whole


def without_top(file: Path) -> None:
    """A mask that lacks the upper 40 % of the object."""
    mask = np.array(Image.open(file))
    rows = np.flatnonzero(mask.any(axis=1))
    mask[: rows[0] + len(rows) * 4 // 10] = 0
    Image.fromarray(mask).save(file)


def test_a_mask_that_lacks_a_part_is_named_by_fit_evaluation_and_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("taichi_idr.capture.placing.outvoted", lambda *_: [])  # as where it cannot tell
    capture, run = make_capture(tmp_path / "balls", views=VIEWS), tmp_path / "run"
    without_top(capture / "mask" / "003.png")
    summary = fit(capture, run, steps=STEPS, more=JUDGED)
    assert summary.judgement is not None
    assert [(view.name, view.cause) for view in summary.judgement.flagged] == [("003", Cause.LACKS)]
    assert summary.verdict.startswith("good but for some views: mask IoU 0.9")
    assert "tidr: warning: the mask lacks a part of the object in view 003 (" in capsys.readouterr().err
    evaluate_run(run)
    printed = capsys.readouterr()
    assert "\nverdict good but for some views: " in printed.out
    assert "the mask lacks a part of the object in view 003 (" in printed.err
    saved = json.loads((run / "report" / "eval.json").read_text())
    assert saved["verdict"].startswith("good but") and saved["faults"] == []
    assert [view["name"] for view in saved["views"] if view["verdict"]] == ["003"]
    assert {"mask_iou", "psnr_db", "psnr_hit_db", "missed_fraction", "ssim"} <= set(saved["views"][0])
    page = write_report(run, film_frames=0).read_text(encoding="utf-8")
    assert "<td>View 003</td>" in page.split("<h2>Verdict</h2>")[1].split("<details>")[0]
    assert "Every view" in page


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
def test_a_mask_that_the_fit_has_cut_anew_is_not_blamed(tmp_path, monkeypatch):
    monkeypatch.setattr("taichi_idr.capture.placing.outvoted", lambda *_: [])
    capture = make_capture(tmp_path / "balls", views=VIEWS)
    without_top(capture / "mask" / "003.png")
    write_cut(capture, sorted((capture / "mask").iterdir()))
    summary = fit(capture, tmp_path / "run", steps=STEPS, more=JUDGED)
    assert summary.judgement is not None
    assert [view.name for view in summary.judgement.flagged if view.cause is Cause.LACKS] == []


def test_a_clean_capture_is_not_blamed(tmp_path, capsys):
    summary = fit(make_capture(tmp_path / "balls"), tmp_path / "run", more=(*JUDGED, *GENTLE))
    assert summary.verdict.startswith("good: ")
    assert "tidr: warning" not in capsys.readouterr().err


def test_no_time_no_judgement(tmp_path):
    summary = fit(make_capture(tmp_path / "balls"), tmp_path / "run", steps=2, more=("log.judge_seconds=1e-9",))
    assert summary.judgement is None and summary.verdict == NOT_JUDGED


def test_some_views_are_judged_where_there_is_no_time_for_all(tmp_path, monkeypatch):
    now = iter(np.arange(0.0, 1000.0))
    monkeypatch.setattr(judging.time, "monotonic", lambda: next(now))
    summary = fit(make_capture(tmp_path / "balls"), tmp_path / "run", steps=2, more=("log.judge_seconds=6",))
    assert summary.judgement is not None
    assert summary.verdict.endswith("from 6 of 8 views")


def test_a_signal_ends_the_judgement_of_a_fit_that_is_done(tmp_path, monkeypatch):
    def interrupted(*arguments):
        signal.raise_signal(signal.SIGTERM)
        return thumbnails(*arguments)

    monkeypatch.setattr(judging, "thumbnails", interrupted)
    summary = fit(make_capture(tmp_path / "balls"), tmp_path / "run", steps=2, more=JUDGED)
    assert summary.judgement is None and summary.steps == 2


@pytest.mark.parametrize("count", [1, 5, 24, 300])
def test_every_beginning_of_the_order_is_spread(count):
    order = spread(count)
    assert sorted(order) == list(range(count))
    first = sorted(order[: max(count // 4, 1)])
    assert max(np.diff([-1, *first, count])) <= 12

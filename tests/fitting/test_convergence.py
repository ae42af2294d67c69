"""Fits that go on until more steps help little, and the error that says so."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from captures import make_capture
from tiny_fits import GENTLE, assert_same_run, fit, stopped_after

from taichi_idr.fitting import convergence, session
from taichi_idr.fitting.convergence import CARRIED_OVER, LEAST_GAIN_DB, MOST, PARTS, STRETCH, Convergence, ErrorCurve
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.runs.checkpoint import load_newest
from taichi_idr.runs.contents import Course
from taichi_idr.runs.folder import RunFolder

FIRST = 100


def error_of(psnr_db: float) -> torch.Tensor:
    return torch.tensor(10 ** (-psnr_db / 10))


def went_on(psnr_db_at) -> tuple[int, str]:
    """Where a fit ends whose batches have the PSNR psnr_db_at(step, the last step of then), and what it says."""
    curve = ErrorCurve()
    ending, total, done = Convergence(FIRST, curve), FIRST, 0
    while done < total:
        done += 1
        curve.note(done / total, error_of(psnr_db_at(done, total)))
        total = ending.after_step(done) or total
    return done, ending.line


def test_a_fit_goes_on_while_that_gains():
    """Half a dB by each stretch of the first three, then half of what is asked for."""
    ends = [FIRST]
    while len(ends) < 5:
        ends.append(math.ceil(STRETCH * ends[-1]))
    psnr = dict(zip(ends, (20.0, 20.5, 21.0, 21.5, 21.5 + LEAST_GAIN_DB / 2), strict=True))
    done, line = went_on(lambda step, total: psnr[total])
    assert done == ends[-1] and line.startswith(f"the last {ends[-1] - ends[-2]} steps gained 0.10 dB")


def test_a_fit_that_gains_nothing_goes_on_once():
    assert went_on(lambda step, total: 20.0)[0] == math.ceil(STRETCH * FIRST)


def test_a_fit_that_always_gains_ends_all_the_same():
    done, line = went_on(lambda step, total: step / 10)
    assert MOST * FIRST / STRETCH <= done <= MOST * FIRST and "enough all the same" in line


def test_only_the_end_of_a_schedule_counts():
    """While rates are high again the error is too."""
    assert (
        went_on(lambda step, total: 20.0 + (step > 0.8 * total) + 2 * LEAST_GAIN_DB * (total > FIRST))[0]
        > STRETCH * FIRST + 1
    )
    assert went_on(lambda step, total: 20.0 + total * (step < 0.8 * total))[0] == math.ceil(STRETCH * FIRST)


def test_the_curve_is_the_mean_of_errors_part_by_part():
    curve = ErrorCurve()
    for progress, psnr in ((0.001, 10.0), (0.01, 20.0), (0.5, 30.0), (1.0, 40.0)):
        curve.note(progress, error_of(psnr))
    curve.note(0.5, torch.tensor(torch.nan))
    curve.note(0.5, None)
    assert curve.psnr_db(0, 1) == pytest.approx(-10 * math.log10((0.1 + 0.01) / 2))
    assert curve.psnr_db(1, PARTS) == pytest.approx(-10 * math.log10((1e-3 + 1e-4) / 2))
    assert math.isnan(curve.psnr_db(1, 49))
    curve.forget_from(2 / 3)
    assert curve.psnr_db(1, PARTS) == pytest.approx(30.0)


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_what_a_doubling_gained_is_expected_again(slope):
    curve = ErrorCurve()
    for step in range(1, 1001):
        curve.note(step / 1000, error_of(20 + slope * math.log2(step)))
    assert curve.expected_gain_db() == pytest.approx(CARRIED_OVER * slope, rel=0.05)
    assert math.isnan(ErrorCurve().expected_gain_db())


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_capture(tmp_path_factory.mktemp("captures") / "balls")


@pytest.fixture
def greedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any gain is enough, and three stretches are the most."""
    monkeypatch.setattr(convergence, "LEAST_GAIN_DB", -math.inf)
    monkeypatch.setattr(convergence, "MOST", STRETCH**3)


def test_a_fit_that_goes_on_stops_and_resumes_bit_by_bit(capture, tmp_path, greedy):
    last = math.ceil(STRETCH * math.ceil(STRETCH * 10))
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert fit(capture, straight, steps=10, more=GENTLE, until="converged").steps >= last
    with stopped_after(FastTrainer, 13):
        fit(capture, stopped, steps=10, more=GENTLE, until="converged")
    summary = fit(capture, stopped, steps=10, more=GENTLE, until="converged")
    assert "enough all the same" in summary.steps_line
    assert_same_run(straight, stopped)


@pytest.mark.parametrize(("worth", "told"), [(-math.inf, True), (math.inf, False)])
def test_a_fit_that_learns_quickly_says_how_to_go_on(capture, tmp_path, monkeypatch, worth, told):
    monkeypatch.setattr(session, "WORTH_DB", worth)
    summary = fit(capture, tmp_path / "run", steps=50, more=GENTLE)
    assert ("--until converged goes on" in summary.steps_line) == told


def test_a_finished_fit_goes_on(capture, tmp_path):
    run = tmp_path / "run"
    assert fit(capture, run, steps=20, more=GENTLE).steps == 20
    summary = fit(capture, run, steps=20, more=GENTLE, until="converged")
    assert summary.steps >= STRETCH * 20 and "dB" in summary.steps_line
    checkpoint = load_newest(RunFolder(run).checkpoints, print)
    assert checkpoint is not None and Course.of_record(checkpoint.metadata).planned_steps == summary.steps
    assert fit(capture, run, steps=20, more=GENTLE, until="converged").steps == summary.steps

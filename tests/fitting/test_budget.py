"""A fit of so many minutes: its schedule ends when they do."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import make_capture
from tiny_fits import fit, stopped_after

from taichi_idr.errors import UsageError
from taichi_idr.fitting.budget import PROBED, Budget
from taichi_idr.methods.fast.settings import FAST
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.methods.losses import alpha_at
from taichi_idr.runs.checkpoint import load_newest
from taichi_idr.runs.contents import Course
from taichi_idr.runs.folder import RunFolder

SHORT = 0.1  # minutes; where that is over before the plan, the fit still ends as planned


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ended(budget: Budget, clock: Clock, pace) -> int:
    """The step at which a fit ends whose step `n` takes pace(n) seconds."""
    total, done = 10**6, 0
    while done < total:
        clock.now += pace(done)
        done += 1
        total = budget.after_step(done) or total
    return done


@pytest.fixture
def budget() -> tuple[Budget, Clock]:
    """Of two minutes, 20 seconds of which the start has taken."""
    clock = Clock()
    clock.now = 20.0
    return Budget(2, clock), clock


def test_steady_steps_end_when_the_time_does(budget):
    assert ended(*budget, lambda n: 0.1) == pytest.approx(1000, abs=1)
    assert budget[1].now == pytest.approx(120, abs=0.2)


def test_first_steps_that_compile_do_not_count(budget):
    assert ended(*budget, lambda n: 3.0 if n == 0 else 0.1) == pytest.approx(971, abs=1)


def test_steps_that_get_slower_are_cut(budget):
    """Twice as slow from step 300 on."""
    assert ended(*budget, lambda n: 0.1 if n < 300 else 0.2) == pytest.approx(650, abs=30)
    assert budget[1].now < 120 * 1.05


def test_steps_that_get_quicker_end_early_and_never_go_back(budget):
    planned = budget[0]
    assert ended(*budget, lambda n: 0.1 if n < 300 else 0.05) == planned.planned
    assert budget[1].now < 120


def test_no_time_left_is_one_more_step(budget):
    assert ended(*budget, lambda n: 30.0) == PROBED + 1


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_capture(tmp_path_factory.mktemp("captures") / "balls")


def planned_of(run: Path) -> int | None:
    checkpoint = load_newest(RunFolder(run).checkpoints, print)
    assert checkpoint is not None
    return Course.of_record(checkpoint.metadata).planned_steps


def test_a_fit_of_some_minutes_goes_through_its_schedule_and_on_where_it_was_stopped(capture, tmp_path):
    run = tmp_path / "run"
    with stopped_after(FastTrainer, PROBED):
        fit(capture, run, steps=None, until=SHORT)
    planned = planned_of(run)
    summary = fit(capture, run, steps=None, until=SHORT)
    assert planned is not None and PROBED < summary.steps <= planned
    assert planned_of(run) == summary.steps
    sharpest = alpha_at(FAST.loss, FAST.loss.alpha_doublings)
    assert RunFolder(run).read_metrics()[-1]["alpha"] == sharpest
    assert fit(capture, run, steps=None, until=SHORT).steps == summary.steps
    assert fit(capture, run, steps=None, until=2 * SHORT).steps > summary.steps


def test_steps_and_minutes_are_two_ends(capture, tmp_path):
    with pytest.raises(UsageError, match="two ends"):
        fit(capture, tmp_path / "run", steps=5, until=1.0)
    assert not (tmp_path / "run").exists()

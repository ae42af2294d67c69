"""A capture's job on one worker: what is left of it, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Timer

import psutil
import pytest
from batch_jobs import PROGRAM, STAGES, make_job, steps

from taichi_idr.batch import children, jobs
from taichi_idr.batch.jobs import Notes, Stage, Unfinished, run_job, stages_left


def left(job: jobs.Job) -> list[str]:
    return [stage.name for stage in stages_left(job, Notes.read(job))]


def test_all_stages_are_done_once(tmp_path: Path) -> None:
    job = make_job(tmp_path, "vase")
    assert left(job) == ["fit", "mesh", "report"]
    end = run_job(job)
    assert (end.name, end.outcome, end.verdict, end.error) == ("vase", "done", "good: PSNR 30.0 dB", "")
    assert end.warnings == ("view 3 is dark",)
    assert end.starts == {"fit": 1, "mesh": 1, "report": 1}
    assert steps(job) == list(range(1, 11))
    assert (job.run / "steps.txt").read_text().splitlines()[0] == "1 1"  # its share of the cores
    assert left(job) == []
    again = run_job(replace(job, program=("no such program",)))
    assert replace(again, seconds=end.seconds) == end


def test_what_changed_since_is_done_again(tmp_path: Path) -> None:
    job = make_job(tmp_path, "vase")
    run_job(job)
    more = replace(job, stages=(*STAGES[:2], Stage("report", ("--frames", "0"))))
    assert left(more) == ["report"]
    (job.run / "mesh" / "mesh.ply").unlink()
    assert left(job) == ["mesh", "report"]
    (job.run / "checkpoints" / "00000020.tidr").touch()  # fitted further
    assert left(job) == ["fit", "mesh", "report"]
    assert left(replace(job, capture=tmp_path / "another")) == ["fit", "mesh", "report"]


@pytest.mark.parametrize("text", ["", "[]", '{"capture": 3}', '{"capture": "", "stages": {"fit": {"speed": 1}}}'])
def test_notes_that_are_none_leave_everything_to_do(tmp_path: Path, text: str) -> None:
    job = make_job(tmp_path, "vase")
    job.record.write_text(text)
    assert left(job) == ["fit", "mesh", "report"]


def test_a_failure_says_why_and_goes_no_further(tmp_path: Path) -> None:
    job = make_job(tmp_path, "cup", "broken")
    end = run_job(job)
    assert (end.outcome, end.stage, end.exit_code) == ("failed", "fit", 65)
    assert end.error == "unreadable image (003.png): cut short; replace it"
    (job.capture / "broken").unlink()
    assert run_job(job).outcome == "done"


def test_a_command_that_says_nothing(tmp_path: Path) -> None:
    quiet = replace(make_job(tmp_path, "cup"), program=(sys.executable, "-c", "raise SystemExit(3)"))
    assert run_job(quiet).error == "tidr fit ended with 3 and said nothing"
    missing = replace(quiet, program=("no such program",))
    assert "cannot be started" in run_job(missing).error


def test_a_signal_from_elsewhere_leaves_the_job_to_another_worker(tmp_path: Path) -> None:
    job = make_job(tmp_path, "vase", "killed")
    with pytest.raises(Unfinished):
        run_job(job)
    assert steps(job) == [1, 2, 3]
    end = run_job(job)
    assert (end.outcome, end.starts["fit"], steps(job)) == ("done", 2, list(range(1, 11)))


def test_a_run_in_use_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOOK_AGAIN", 0.01)
    job = make_job(tmp_path, "vase", "busy")
    assert run_job(job).outcome == "done"
    monkeypatch.setattr(jobs, "PATIENCE", -1.0)
    other = make_job(tmp_path, "cup", "busy")
    assert run_job(other).exit_code == 75


def test_a_stopped_batch_ends_its_commands_and_starts_no_more(tmp_path: Path) -> None:
    job = make_job(tmp_path, "vase", "slow", batch="stopped")
    Timer(0.8, children.stop_children, [job.batch]).start()
    end = run_job(job)
    assert (end.outcome, end.stage, end.exit_code) == ("stopped", "fit", 128 + signal.SIGINT)
    assert 0 < len(steps(job)) < 10
    assert run_job(make_job(tmp_path, "cup", batch="stopped")).starts == {}
    assert run_job(replace(job, batch="the next")).outcome == "done"
    assert steps(job) == list(range(1, 11))


WORKER = """
import sys
from pathlib import Path
from taichi_idr.batch.children import run_child
run_child("one", sys.argv[2:], folder=Path(sys.argv[1]), log=Path(sys.argv[1]) / "log", environment={})
"""


def test_a_command_ends_when_its_worker_is_killed(tmp_path: Path) -> None:
    job = make_job(tmp_path, "vase", "slow")
    command = [*PROGRAM, "fit", str(job.capture), "--out", str(job.run)]
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), *command])
    while not (job.run / "steps.txt").exists():
        time.sleep(0.02)
    (child,) = psutil.Process(worker.pid).children()
    worker.kill()
    worker.wait()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()
    assert "stopped, checkpoint written" in (tmp_path / "log").read_text()
    assert len(steps(job)) < 10


def test_the_command_of_a_worker_is_tidr(tmp_path: Path) -> None:
    """The true one, which starts in the user's folder and imports nothing from there."""
    (tmp_path / "taichi_idr.py").write_text("raise SystemExit(99)")
    job = replace(make_job(tmp_path, "nothing"), program=(), capture=tmp_path / "nowhere")
    end = run_job(job)
    assert (end.exit_code, end.outcome) == (66, "failed")
    assert "nowhere" in end.error

"""Jobs on workers of their own: some fail, some workers are killed, somebody stops all of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psutil
import pytest
from batch_jobs import make_job, steps

pytest.importorskip("distributed")

from taichi_idr.batch.clusters import local_cluster, share_of
from taichi_idr.batch.jobs import Job
from taichi_idr.batch.waiting import run_jobs


@pytest.fixture(scope="module")
def client() -> Iterator:
    with local_cluster(share_of(2, 2, None, (), 2, 1)) as client:
        yield client


def never() -> bool:
    return False


def worker_of(job: Job) -> psutil.Process:
    """The worker whose command that job is, once it has begun a step."""
    until = time.monotonic() + 60
    while not (job.run / "steps.txt").exists() and time.monotonic() < until:
        time.sleep(0.02)
    for worker in psutil.Process().children():
        if any(str(job.run) in child.cmdline() for child in worker.children()):
            return worker
    raise AssertionError(f"nobody works on {job.name}")


def test_one_that_fails_stops_no_other(client, tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, "a"), make_job(tmp_path, "b", "broken"), make_job(tmp_path, "c", "killed")]
    said: list[str] = []
    ends = run_jobs(client, jobs, never, lambda end: said.append(end.name))
    assert [(end.name, end.outcome) for end in ends] == [("a", "done"), ("b", "failed"), ("c", "done")]
    assert sorted(said) == ["a", "b", "c"]
    for job in (jobs[0], jobs[2]):
        assert steps(job) == list(range(1, 11))


def test_a_killed_worker_s_job_is_finished_by_another(client, tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, name, "slow") for name in "abc"]
    killed: list[int] = []

    def kill() -> None:
        worker = worker_of(jobs[0])
        killed.append(worker.pid)
        worker.kill()

    thread = Thread(target=kill)
    thread.start()
    ends = run_jobs(client, jobs, never, lambda end: None)
    thread.join()
    assert [end.outcome for end in ends] == ["done"] * 3
    assert len(killed) == 1
    assert ends[0].starts == {"fit": 2, "mesh": 1, "report": 1}
    for job in jobs:
        assert steps(job) == list(range(1, 11))  # none left out, none twice


def test_notes_that_cannot_be_written(client, tmp_path: Path) -> None:
    job = make_job(tmp_path, "a")
    job.record.mkdir()
    (end,) = run_jobs(client, [job], never, lambda end: None)
    assert (end.outcome, end.exit_code) == ("failed", 74)
    assert "write failed" in end.error


def test_all_stop_when_asked_to(client, tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, name, "slow", batch="stopped") for name in "abcd"]
    ends = run_jobs(client, jobs, (jobs[0].run / "steps.txt").exists, lambda end: None)
    assert [end.outcome for end in ends] == ["stopped"] * 4
    assert len(steps(jobs[0])) < 10
    assert not [job for job in jobs[2:] if job.run.exists()]

"""`tidr batch`: jobs of many captures, what is left of them, the whole with workers that are killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import captures
import psutil
import pytest
from batch_jobs import PROGRAM, STAGES
from tiny_fits import SMALL

from taichi_idr.batch import jobs as batch_jobs
from taichi_idr.batch.clusters import SlurmOptions
from taichi_idr.batch.jobs import Job, JobEnd, run_job
from taichi_idr.commands import batch as command
from taichi_idr.commands.batch import Where, batch_captures, write_slurm_script
from taichi_idr.errors import CannotCreate, Locked, SomeFailed, UsageError
from taichi_idr.runs.lock import hold

pytest.importorskip("distributed")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs run in this process, by the program of tests; the names of those that did."""
    ran: list[str] = []

    @contextmanager
    def cluster(where: Where, jobs: int, *_: object) -> Iterator[tuple[None, dict[str, str], str]]:
        yield None, {"TIDR_CORES": "3"}, f"{jobs} in this process"

    def done(_: object, jobs: list[Job], *__: object) -> dict[str, JobEnd]:
        ran.extend(job.name for job in jobs)
        return {job.name: run_job(job) for job in jobs}

    monkeypatch.setattr(command, "_cluster", cluster)
    monkeypatch.setattr(command, "_done", done)
    monkeypatch.setattr(batch_jobs, "_CHILD", PROGRAM[1])
    return ran


def make_captures(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).mkdir()
    return [folder / name for name in names]


def test_the_same_command_again_does_what_is_left(
    here: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = make_captures(tmp_path, "vase", "cup", "jug")
    (found[1] / "broken").touch()
    with pytest.raises(SomeFailed, match=r"1 of 3 captures failed \(.*batch.json\): cup; mend") as failed:
        batch_captures(found, tmp_path / "runs", STAGES)
    assert failed.value.exit_code == 77
    output = capsys.readouterr().out
    assert "captures  3, 3 of them to do\nworkers   3 in this process" in output
    assert all(word in output for word in ("vase", "good: PSNR 30.0 dB", "unreadable image", "failed"))
    (found[1] / "broken").unlink()
    batch = batch_captures(found, tmp_path / "runs", STAGES)
    assert here == ["vase", "cup", "jug", "cup"]
    assert batch.count("done") == 3
    again = batch_captures(found, tmp_path / "runs", STAGES)
    assert here == ["vase", "cup", "jug", "cup"]
    assert [entry.end.starts for entry in again.entries] == [entry.end.starts for entry in batch.entries]
    assert json.loads((tmp_path / "runs" / "batch.json").read_text())["done"] == 3
    assert (tmp_path / "runs" / "vase" / "steps.txt").read_text().splitlines()[0] == "1 3"


def test_what_is_refused_before_anything_is_made(here: list[str], tmp_path: Path) -> None:
    found = make_captures(tmp_path, "vase", "batch")
    (tmp_path / "more" / "vase").mkdir(parents=True)
    for wrong in ([found[0], tmp_path / "more" / "vase"], found):
        with pytest.raises(UsageError, match="captures of one name"):
            batch_captures(wrong, tmp_path / "runs", STAGES)
    (tmp_path / "file").touch()
    with pytest.raises(CannotCreate):
        batch_captures(found[:1], tmp_path / "file", STAGES)
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs" / "batch").mkdir(parents=True)
    with hold(tmp_path / "runs" / "batch" / "batch.lock"), pytest.raises(Locked):
        batch_captures(found[:1], tmp_path / "runs", STAGES)


def test_the_script_of_slurm_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_slurm_script(SlurmOptions.parsed("cores=4 memory=8GB queue=gpu"), tmp_path)
    assert file == tmp_path / "batch" / "slurm.sh"
    assert "#SBATCH --cpus-per-task=4" in file.read_text()
    assert file.read_text() in capsys.readouterr().out


LINE = """
import sys
from taichi_idr.batch import jobs
jobs._CHILD = {child!r}
sys.argv = ["tidr", *{arguments!r}]
from taichi_idr.cli.main import main
if __name__ == "__main__":
    main()
"""


def start(folder: Path, arguments: list[Any], *, child: str | None = None) -> psutil.Popen:
    """`tidr batch` in a session of its own, as a terminal would have it."""
    if child is None:
        words = [sys.executable, "-m", "taichi_idr"]
        words += map(str, arguments)
    else:
        script = folder / "tidr.py"
        script.write_text(LINE.format(child=child, arguments=[str(word) for word in arguments]))
        words = [sys.executable, str(script)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return psutil.Popen(words, cwd=folder, start_new_session=True, **pipes)


def test_ctrl_c_leaves_nobody_behind(tmp_path: Path) -> None:
    """The terminal's SIGINT goes to the workers too."""
    found = make_captures(tmp_path, *"abcd")
    for capture in found:
        (capture / "slow").touch()
    line = ["batch", *found, "--out", "runs", "--do", "fit", "--workers", "2", "--threads", "1", "--arch", "cpu"]
    process = start(tmp_path, line, child=PROGRAM[1])
    while not (tmp_path / "runs" / "a" / "steps.txt").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    family = process.children(recursive=True)
    for member in [process, *(one for one in family if "batch_program.py" not in " ".join(one.cmdline()))]:
        member.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("tidr: error: stopped by SIGINT, checkpoint written (runs): run the same")
    assert "stopped" in out
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    record = json.loads((tmp_path / "runs" / "batch.json").read_text())
    assert record["stopped"] == 4
    assert record["captures"][0]["exit_code"] == 130


@pytest.mark.slow
def test_a_batch_with_a_corrupt_capture_and_a_worker_that_is_killed(tmp_path: Path) -> None:
    """True fits: what is left is finished by another worker from the last checkpoint, nothing is logged twice."""
    captures.make_capture(tmp_path / "one")
    names = ["one", "two", "three", "four"]
    for name in names[1:]:
        shutil.copytree(tmp_path / "one", tmp_path / name)
    picture = tmp_path / "three" / "image" / "003.png"
    picture.write_bytes(picture.read_bytes()[:300])
    fit = " ".join(["--steps 400", *(f"--set {setting}" for setting in SMALL)])
    line = ["batch", *names, "--out", "runs", "--do", "fit,mesh,report", "--fit", fit, "--mesh", "--res 32 --faces 2k"]
    line += ["--report", "--frames 0", "--workers", "2", "--threads", "1", "--arch", "cpu"]
    process = start(tmp_path, line)
    log = tmp_path / "runs" / "two" / "metrics.jsonl"
    while not (log.exists() and log.read_text().count("\n") > 20):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (worker,) = [
        one
        for one in process.children()
        if any("two" in c.cmdline() or str(tmp_path / "two") in c.cmdline() for c in one.children())
    ]
    worker.kill()
    _, err = process.communicate(timeout=500)
    assert process.returncode == 77, err
    assert "1 of 4 captures failed (runs/batch.json): three" in err
    record = {one["name"]: one for one in json.loads((tmp_path / "runs" / "batch.json").read_text())["captures"]}
    assert [record[name]["outcome"] for name in names] == ["done", "done", "failed", "done"]
    assert "003.png" in record["three"]["error"]
    assert record["two"]["starts"] == {"fit": 2, "mesh": 1, "report": 1}
    for name in ("one", "two", "four"):
        logged = [
            json.loads(text)["step"] for text in (tmp_path / "runs" / name / "metrics.jsonl").read_text().splitlines()
        ]
        assert logged == list(range(2, 401, 2))
    page = (tmp_path / "runs" / "index.html").read_text()
    assert page.count("data:image/webp;base64,") == 3

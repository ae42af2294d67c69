"""A fit of several processes: who is who, what is refused, and what is left when one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import captures
import pytest
from tiny_fits import SMALL, SMALL_IDR

from taichi_idr.commands.fit import fit_capture
from taichi_idr.errors import UsageError
from taichi_idr.fitting.place import Place
from taichi_idr.runs.folder import RunFolder

IDR = [
    *SMALL_IDR,
    "schedule.rays=200",
    "log.metrics_interval=2",
    "log.checkpoint_interval=10",
    "log.judge_seconds=0",
]


def launched(rank: int, world: int = 2, port: int = 29500) -> dict[str, str]:
    """What torchrun adds to the environment."""
    numbers = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world, "MASTER_PORT": port}
    return {**{name: str(number) for name, number in numbers.items()}, "MASTER_ADDR": "127.0.0.1"}


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Place.of({"RANK": "1"}) == Place()
    assert Place().threads is None
    place = Place.of(launched(1))
    assert (place.rank, place.world, place.leads) == (1, 2, False)
    monkeypatch.setenv("TIDR_CORES", "8")
    assert place.threads == 4
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    place.take_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    with pytest.raises(UsageError):
        Place.of({**launched(1), "RANK": "first"})


def test_photos_without_cameras_are_for_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captures.make_capture(tmp_path / "balls", views=3)
    (tmp_path / "balls" / "cameras.npz").unlink()
    for name, value in launched(0).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"photos without cameras .*: tidr prepare"):
        fit_capture(tmp_path / "balls" / "image", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def fits(capture: Path, run: Path, preset: str, settings: list[str], steps: int) -> list[subprocess.Popen[str]]:
    """Both processes of a fit, as torchrun starts them."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = [sys.executable, "-m", "taichi_idr", "fit", str(capture), "--out", str(run), "--preset", preset]
    words += ["--steps", str(steps), "--arch", "cpu", *(word for one in settings for word in ("--set", one))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(words, env={**os.environ, **launched(rank, port=port)}, **pipes) for rank in (0, 1)]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def wait_for_step(run: Path, step: int, leader: subprocess.Popen[str]) -> None:
    while not any(record["step"] >= step for record in RunFolder(run).read_metrics()):
        assert leader.poll() is None, ended(leader)
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_rank_leaves_a_checkpoint_and_one_process_goes_on(tmp_path: Path) -> None:
    capture, run = captures.make_capture(tmp_path / "balls"), tmp_path / "run"
    leader, other = fits(capture, run, "idr", IDR, 5000)
    wait_for_step(run, 12, leader)
    other.kill()
    code, _, err = ended(leader)
    other.communicate()
    assert code == 78, err
    assert "tidr: error: another process of this fit is gone (rank 0): " in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("run the same command again to go on")
    newest = max(int(path.stem) for path in RunFolder(run).checkpoints.glob("*.tidr"))
    assert newest >= 12
    summary = fit_capture(capture, out=run, preset="idr", steps=newest + 3, assignments=IDR, threads=1)
    assert summary.steps == newest + 3
    logged = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert logged == sorted(set(logged))


@pytest.mark.slow
def test_rank_0_alone_writes_and_speaks_and_a_signal_ends_both(tmp_path: Path) -> None:
    capture, run = captures.make_capture(tmp_path / "balls"), tmp_path / "run"
    leader, other = fits(capture, run, "idr", IDR, 20)
    assert (ended(leader)[0], ended(other)[:2]) == (0, (0, ""))
    leader, other = fits(capture, run, "idr", IDR, 5000)
    wait_for_step(run, 24, leader)
    for process in (other, leader):  # as Ctrl-C does
        process.send_signal(signal.SIGINT)
    code, _, err = ended(leader)
    assert (code, ended(other)) == (130, (0, "", "")), err
    assert "stopped by SIGINT, checkpoint written" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["balls", "run"]


@pytest.mark.slow
def test_a_preset_of_one_process_says_so(tmp_path: Path) -> None:
    capture, run = captures.make_capture(tmp_path / "balls"), tmp_path / "run"
    for process in fits(capture, run, "fast", SMALL, 10):
        code, _, err = ended(process)
        assert code == 2
        assert "a fit of one process (torchrun): preset fast is fitted by one process: only idr and nerf" in err
    assert not run.exists()

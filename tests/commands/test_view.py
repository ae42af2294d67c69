"""`tidr view`: what is refused, and the page that it writes."""

from __future__ import annotations

import builtins
import socket
from pathlib import Path
from typing import Any

import pytest
from ball_run import BallRun
from ball_scene import STEP, make_ball_scene, save

from taichi_idr.cli.main import run as tidr
from taichi_idr.commands import view
from taichi_idr.errors import Diverged, ExitCode
from taichi_idr.runs.folder import RunFolder
from taichi_idr.viewer import ports
from taichi_idr.viewer.looking import Eye
from taichi_idr.viewer.scene import Scene, read_scene


@pytest.fixture
def ball(tmp_path: Path) -> BallRun:
    return make_ball_scene(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code, and the one line that says why."""
    code = tidr(["view", *map(str, arguments)])
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return code, lines[0]


def test_a_page_is_written(ball: BallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert tidr(["view", str(ball.folder), "--static", str(tmp_path / "page")]) == ExitCode.DONE
    assert "written" in capsys.readouterr().out
    assert (tmp_path / "page" / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert refused(capsys, tmp_path / "nowhere")[0] == ExitCode.INPUT_MISSING
    assert refused(capsys, tmp_path)[0] == ExitCode.BAD_INPUT


def test_a_folder_that_cannot_be_written_is_refused(ball: BallRun, capsys: pytest.CaptureFixture[str]):
    code, line = refused(capsys, ball.folder, "--static", RunFolder(ball.folder).config_file)
    assert code == ExitCode.CANNOT_CREATE
    assert "a file is in the way" in line


def test_a_page_cannot_follow_a_fit(ball: BallRun, capsys: pytest.CaptureFixture[str]):
    assert refused(capsys, ball.folder, "--static", "page", "--while-fitting")[0] == ExitCode.USAGE


def test_without_viser_its_command_is_said(
    ball: BallRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "viser":
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    code, line = refused(capsys, ball.folder)
    assert code == ExitCode.UNAVAILABLE
    assert "pip install 'taichi-idr[view]'" in line


def test_taken_ports_are_refused(ball: BallRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("viser")
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        monkeypatch.setattr(ports.free_port, "__defaults__", (ports.FIRST, 1))
        code, line = refused(capsys, ball.folder, "--port", str(taken.getsockname()[1]))
    assert code == ExitCode.UNAVAILABLE
    assert "no free port" in line


def test_a_run_without_a_surface_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = make_ball_scene(tmp_path, with_mesh=False)
    monkeypatch.setattr(Eye, "mesh", no_surface)
    code, line = refused(capsys, run.folder, "--static", tmp_path / "page")
    assert code == ExitCode.DIVERGED
    assert "no surface" in line


def test_a_fit_is_followed(ball: BallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Newer checkpoints are shown, without a mesh while there is no surface; one that is damaged is a warning."""
    monkeypatch.setattr(view, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(Eye, "mesh", no_surface)
    shown = ShownScenes(read_scene(ball.folder))
    follower = view._Follower(ball.folder, Eye(ball.folder), shown)
    follower()
    save(ball, STEP + 1)
    follower()
    follower()
    assert [(scene.step, scene.mesh) for scene in shown.scenes] == [(STEP + 1, None)]
    for file in RunFolder(ball.folder).checkpoints.iterdir():
        file.write_bytes(b"damaged")
    (RunFolder(ball.folder).checkpoints / "00000099.tidr").write_bytes(b"damaged")
    follower()
    assert len(shown.scenes) == 1
    assert "is not shown" in capsys.readouterr().err


def test_the_first_checkpoint_is_waited_for(
    ball: BallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for file in RunFolder(ball.folder).checkpoints.iterdir():
        file.unlink()
    monkeypatch.setattr(view.time, "sleep", lambda seconds: save(ball, STEP))
    assert view._first_scene(ball.folder).step == STEP
    assert "waits" in capsys.readouterr().out


def no_surface(eye: Eye, resolution: int = 0) -> None:
    raise Diverged("no surface", where="the field")


class ShownScenes:
    """Keeps what it is told to show."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.scenes: list[Scene] = []

    def show(self, scene: Scene) -> None:
        self.scenes.append(scene)

"""The server: on this machine alone, and it outlives what fails."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ball_run import RADIUS, SCALE, SHIFT
from ball_scene import make_ball_scene, write_start

from taichi_idr.errors import Unavailable
from taichi_idr.meshes.scale import parsed_distance
from taichi_idr.meshes.wanted import parsed_cut
from taichi_idr.viewer.ports import HOST, free_port
from taichi_idr.viewer.scene import Scene, read_scene

pytest.importorskip("viser")
import torch

from taichi_idr.viewer.origins import foreign_pages_refused, is_own
from taichi_idr.viewer.server import Asked, Viewer


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    run = make_ball_scene(tmp_path)
    write_start(run, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), nudge=0.1)
    return read_scene(run.folder)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def viewer(scene: Scene, said: list[str]) -> Iterator[Viewer]:
    viewer = Viewer(scene, free_port(18_080), Asked(picture, said.append))
    yield viewer
    viewer.stop()


def picture(quaternion: np.ndarray, centre: np.ndarray, fov: float, aspect: float) -> np.ndarray:
    return np.zeros((8, 16, 3), np.uint8)


def served(viewer: Viewer) -> None:
    """What waits is done, until nothing has for a while."""
    idle = 0

    def count() -> None:
        nonlocal idle
        idle = idle + 1 if viewer._jobs.empty() else 0
        if idle > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        viewer.serve(count)


@pytest.mark.fault(73)
def test_its_page_comes_from_this_machine_alone(viewer: Viewer):
    assert viewer.url.startswith(f"http://{HOST}:")
    with urllib.request.urlopen(viewer.url) as page:
        assert b"<html" in page.read()
    port = int(viewer.url.rpartition(":")[2])
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))


@pytest.mark.parametrize(
    ("host", "origin", "own"),
    [
        ("127.0.0.1:8080", None, True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("localhost:9000", "http://localhost:9000", True),
        ("LocalHost:9000", "http://LocalHost:9000", True),
        ("127.0.0.1:8080", "http://evil.example", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8080.evil.example", False),
        ("127.0.0.1:8080", "http://127.0.0.1:3000", False),
        ("127.0.0.1:8080", "null", False),
        ("127.0.0.1:8080", "", False),
        ("evil.example:8080", "http://evil.example:8080", False),
        ("evil.example:8080", None, False),
        ("127.0.0.1@evil.example", None, False),
        ("[::1", None, False),
        (None, None, False),
    ],
)
def test_a_page_of_another_origin_is_told_apart(host: str | None, origin: str | None, own: bool):
    assert is_own(host, origin) is own


def test_pages_of_other_origins_are_refused(viewer: Viewer):
    """The page, and the websocket by which it would talk."""
    address = viewer.url.removeprefix("http://")
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    upgrade += "dGhlIHNhbXBsZSBub25jZQ==\r\n"
    assert answer(viewer, f"Host: {address}\r\n") == 200
    assert answer(viewer, f"Host: {address}\r\nOrigin: http://{address}\r\n{upgrade}") == 101
    assert answer(viewer, f"Host: {address}\r\n{upgrade}") == 101
    assert answer(viewer, f"Host: {address}\r\nOrigin: http://evil.example\r\n{upgrade}") == 403
    assert answer(viewer, f"Host: {address}\r\nOrigin: null\r\n{upgrade}") == 403
    assert answer(viewer, f"Host: evil.example\r\nOrigin: http://evil.example\r\n{upgrade}") == 403
    assert answer(viewer, "Host: evil.example\r\n") == 403


def answer(viewer: Viewer, headers: str) -> int:
    """Status of what is answered to a request with these headers."""
    with socket.create_connection((HOST, int(viewer.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\n{headers}\r\n".encode())
        return int(connection.recv(64).split()[1])


def test_a_server_that_cannot_be_guarded_is_said(capsys):
    with foreign_pages_refused():
        pass
    assert "answers pages of other origins" in capsys.readouterr().err


@pytest.mark.fault(73, 74)
def test_nobody_gets_an_address_in_the_internet(viewer: Viewer):
    assert viewer._server.request_share_url() is None


def test_photos_come_to_their_cameras(viewer: Viewer):
    served(viewer)
    assert all(handle.image is not None for handle in viewer._frusta.values())


def test_the_box_is_an_option_of_the_mesh_in_world_units(viewer: Viewer):
    box = parsed_cut(viewer.box_option.removeprefix("--box="), ()).box
    assert box is not None
    middle, half = (np.array(box[:3]) + box[3:]) / 2, (np.array(box[3:]) - box[:3]) / 2
    np.testing.assert_allclose(middle, SHIFT, atol=0.1)
    np.testing.assert_allclose(half, 1.1 * SCALE * RADIUS, atol=0.1)


def test_two_clicks_are_a_distance(viewer: Viewer):
    viewer._measuring.value, viewer._known.value = True, "2.5m"
    for side in (-1.0, 1.0):
        event: Any = SimpleNamespace(ray_origin=(0.0, 2 * side, 0.0), ray_direction=(0.0, -side, 0.0))
        viewer._pick(event)
    known = parsed_distance(viewer.distance_option.removeprefix('--scale-points "').removesuffix('"'))
    assert np.linalg.norm(known.one - known.other) == pytest.approx(2 * RADIUS * SCALE, rel=1e-2)
    assert known.metres == 2.5


def test_it_goes_on_after_what_fails(viewer: Viewer, capsys: pytest.CaptureFixture[str]):
    served(viewer)

    def fail() -> None:
        raise ValueError("no such thing")

    done: list[int] = []
    viewer._jobs.put(fail)
    viewer._jobs.put(lambda: done.append(1))
    served(viewer)
    assert done == [1]
    assert "no such thing" in capsys.readouterr().err


def test_another_scene_takes_its_place(viewer: Viewer, scene: Scene):
    before = len(viewer._drawn)
    viewer.show(replace(scene, mesh=None, step=9))
    assert len(viewer._drawn) == before - 3
    assert "step 9" in viewer._title.content


def test_interrupted_while_it_opens_it_is_gone(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    def interrupt(viewer: Viewer, scene: Scene) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Viewer, "show", interrupt)
    port = free_port(18_300)
    with pytest.raises(KeyboardInterrupt):
        Viewer(scene, port, Asked(picture, print))
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect((HOST, port))


@pytest.mark.fault(73)
def test_the_next_port_is_taken_and_their_end_is_said():
    first = free_port(18_200)
    with socket.socket() as taken:
        taken.bind((HOST, first))
        taken.listen()
        assert free_port(first) > first
        with pytest.raises(Unavailable, match="no free port"):
            free_port(first, tried=1)

"""The one door for reading: regular files of a bounded size, whoever asks, and nobody goes round it."""

from __future__ import annotations

import ast
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from places import ROOT

from taichi_idr.capture.fingerprints import fingerprint
from taichi_idr.capture.formats.matrices import world_cameras
from taichi_idr.clouds.reading import read_cloud
from taichi_idr.errors import BadInput, ExitCode, InputMissing, TidrError
from taichi_idr.files.npz import read_npy
from taichi_idr.files.pth import read_pth
from taichi_idr.files.reading import head_of, opened, regular, text_of, whole
from taichi_idr.meshes.reading import read_mesh, read_points, read_shown
from taichi_idr.runs.checkpoint import load_step
from taichi_idr.runs.folder import RunFolder

AROUND = {
    "taichi_idr/files/reading.py": "the door",
    "taichi_idr/files/writing.py": "flushes what it has written",
    "taichi_idr/files/pth.py": "the size of its own process",
    "taichi_idr/machine.py": "what the system says of itself",
    "taichi_idr/viewer/page.py": "its own template, previews of its own run",
    "taichi_idr/viewer/server.py": "previews of its own run",
    "taichi_idr/meshes/usd.py": "what usd-core has just packed",
    "taichi_idr/structure/worker.py": "the job that its parent wrote",
    "taichi_idr/structure/video.py": "checked, then opened by OpenCV",
    "taichi_idr/capture/images.py": "checked, then opened by Pillow",
    "taichi_idr/capture/formats/source.py": "checked, then opened by Pillow",
    "taichi_idr/clouds/las.py": "checked, then opened by laspy",
    "taichi_idr/clouds/text.py": "checked before",
    "taichi_idr/clouds/ply.py": "checked before",
    "taichi_idr/runs/folder.py": "its own log, to add to it",
    "taichi_idr/batch/jobs.py": "its own log",
    "taichi_idr/batch/results.py": "pictures of its own runs",
    "taichi_idr/runtime.py": "where output goes that nobody wants",
    "taichi_idr/bench/results.py": "its own results",
    "taichi_idr/commands/prepare.py": "its own record",
    "taichi_idr/commands/silhouettes.py": "its own record",
    "taichi_idr/capture/synthetic.py": "its own stamp",
    "taichi_idr/report/inlining.py": "pictures of its own page",
}
"""Files that open others without the door, and why."""
OPENING = re.compile(r"\.(read_bytes|read_text|open|fromfile|loadtxt|VideoCapture)$|^open$")


@contextmanager
def not_for_ever() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise KeyboardInterrupt("it waits for a pipe")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "mesh": ("a.ply", read_mesh),
    "mesh with colours": ("a.glb", read_shown),
    "points": ("a.ply", read_points),
    "cloud": ("a.xyz", read_cloud),
    "cameras": ("a.npz", world_cameras),
    "array": ("a.npy", read_npy),
    "released checkpoint": ("a.pth", lambda file: read_pth(file, "model")),
    "fingerprint": ("a.png", fingerprint),
    "settings": ("config.toml", lambda file: RunFolder(file.parent).read_config()),
    "log": ("metrics.jsonl", lambda file: RunFolder(file.parent).read_metrics()),
    "checkpoint": ("00000010.tidr", lambda file: load_step(file.parent, 10)),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.fault(75)
def test_no_reader_waits_for_a_pipe(tmp_path: Path, reader: str) -> None:
    name, read = READERS[reader]
    os.mkfifo(tmp_path / name)
    with not_for_ever(), pytest.raises(TidrError) as caught:
        read(tmp_path / name)
    assert caught.value.exit_code in (ExitCode.BAD_INPUT, ExitCode.INPUT_MISSING)


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "/"])
def test_devices_and_folders_are_no_files(place: str) -> None:
    if not Path(place).exists():
        pytest.skip(f"no {place} here")
    with pytest.raises(BadInput, match=r"no regular file|[Ii]s a directory"):
        whole(Path(place))
    assert head_of(Path(place), 10) == b""


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    assert whole(tmp_path / "a", 4) == b"1234"
    assert text_of(tmp_path / "a", 4) == "1234"
    assert head_of(tmp_path / "a", 2) == b"12"
    assert regular(tmp_path / "a", 4) == tmp_path / "a"
    with pytest.raises(BadInput, match="file too large"):
        whole(tmp_path / "a", 3)


def test_what_the_block_raises_is_not_taken_for_the_file_s_fault(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="mine"), opened(tmp_path / "a"):
        raise ValueError("mine")
    with pytest.raises(BadInput, match="it is no text"):
        text_of(tmp_path / "a", 4)
    for name in ("none", "a\0b", "x" * 300):
        with pytest.raises((InputMissing, BadInput)):
            whole(tmp_path / name)


@pytest.mark.fault(75)
def test_a_file_of_a_terabyte_costs_nothing(tmp_path: Path) -> None:
    with (tmp_path / "a.ply").open("wb") as file:
        file.write(b"ply\n")
        try:
            file.truncate(1 << 40)
        except OSError:
            pytest.skip("no sparse files of that size here")
    started = time.monotonic()
    with pytest.raises(BadInput, match="file too large"):
        read_mesh(tmp_path / "a.ply")
    assert time.monotonic() - started < 1


@pytest.mark.fault(75)
def test_nobody_goes_round_the_door() -> None:
    """Whoever opens a file in another way stands in a list, with the reason."""
    found = set()
    for path in (ROOT / "taichi_idr").rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
        if path.is_relative_to(ROOT / "taichi_idr" / "cli") or path.is_relative_to(ROOT / "taichi_idr" / "kernels"):
            continue
        names = {ast.unparse(call.func) for call in calls} - {"archive.open", "webbrowser.open"}
        if any(OPENING.search(name) for name in names):
            found.add(str(path.relative_to(ROOT)))
    assert found == set(AROUND)

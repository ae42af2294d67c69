"""The old file or the new one, never a part of either."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from temporaries import own_name, temporary_name

from taichi_idr.errors import CannotCreate, WriteFailed
from taichi_idr.files import writing as files


@contextmanager
def small_disk(size: int = 4096) -> Iterator[None]:
    """Files of this process may not grow beyond so many bytes: writing fails half way, as on a full disk.

    No fixture: a runner whose output goes to a file reports before it ends them, and would fail too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.atomic_write(path, "old")
    files.atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.fault(72)
def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    files.atomic_write(path, "x")
    assert path.read_text() == "x"


@pytest.mark.fault(62)
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    files.atomic_write(path, b"old")
    expected = r"^write failed \(.*a\.bin\): File too large, older files are intact; "
    with pytest.raises(WriteFailed, match=expected), small_disk(4096):
        files.atomic_write(path, bytes(8192))
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EIO], ids=lambda fault: errno.errorcode[fault])
@pytest.mark.parametrize("call", ["fsync", "open"])
@pytest.mark.fault(63)
def test_a_failing_system_call_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, fault: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(fault, os.strerror(fault))

    path = tmp_path / "a.bin"
    files.atomic_write(path, b"old")
    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(WriteFailed) as caught:
        files.atomic_write(path, b"new")
    monkeypatch.undo()
    assert os.strerror(fault) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_an_error_of_the_writer_passes_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    files.atomic_write(path, b"old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.fault(61)
def test_only_dead_processes_lose_their_temporary_files(tmp_path: Path, dead_pid: int) -> None:
    names = {
        "dead": "sub/" + temporary_name(dead_pid, ".png"),
        "its number is another's now": temporary_name(os.getppid(), started=12345),
        "its number is ours now": temporary_name(os.getpid(), started=12345),
        "alive": own_name(),
        "another one alive": temporary_name(os.getppid(), started=psutil.Process(os.getppid()).create_time()),
        "on another host": temporary_name(dead_pid, host="elsewhere"),
        "foreign": "notes.tmp",
        "nearly ours": f".tidr-{dead_pid}.tmp",
    }
    (tmp_path / "sub").mkdir()
    for name in names.values():
        (tmp_path / name).touch()
    files.remove_stale_temporaries(tmp_path)
    left = {which for which, name in names.items() if (tmp_path / name).exists()}
    assert left == {"alive", "another one alive", "on another host", "foreign", "nearly ours"}


KILLED = """
import os, pathlib, signal, sys
from taichi_idr.files import writing
path = pathlib.Path(sys.argv[1])
if sys.argv[2] == "folder":
    with writing.replacing_folder(path) as new:
        (new / "part").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "scratch":
    with writing.scratch_folder(path.parent) as new:
        (new / "part").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
with writing.replacing(path) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["file", "folder", "scratch"])
def test_what_a_killed_command_left_goes_with_the_next_write(tmp_path: Path, kind: str) -> None:
    """Whoever writes to that folder next, and whatever: `tidr mesh` and `tidr render` hold no lock."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "mesh.ply"), kind]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert any(path.name.startswith(".tidr-") for path in tmp_path.iterdir())
    files.atomic_write(tmp_path / "other.png", b"whole")
    assert not any(path.name.startswith(".tidr-") for path in tmp_path.iterdir())


def test_a_folder_for_oneself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_pid: int) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / temporary_name(dead_pid)).mkdir()
    with pytest.raises(KeyError), files.scratch_folder() as folder:
        assert [*tmp_path.iterdir()] == [folder]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "part").write_text("something")
        raise KeyError
    assert not any(tmp_path.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(CannotCreate, match=r"choose another place by TMPDIR$"), files.scratch_folder():
        pass


def test_an_old_file_that_may_not_be_removed_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "unlink", forbidden)
    files.remove(tmp_path / "old")
    files.atomic_write(tmp_path / "new", b"whole")
    assert capsys.readouterr().err == f"tidr: warning: {tmp_path / 'old'} stays: Permission denied\n"
    assert (tmp_path / "new").read_bytes() == b"whole"


@pytest.mark.fault(64)
def test_a_folder_in_whose_way_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(CannotCreate, match=r"a file is in the way; name a folder$"):
            files.create_folder(path)


@pytest.mark.fault(64)
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match=r"^cannot write to folder \(/proc/self/tidr\): .*; choose a folder"):
        files.create_folder(Path("/proc/self/tidr"))
    with pytest.raises(CannotCreate):
        files.create_folder(tmp_path / ("x" * 300))
    with pytest.raises(CannotCreate):
        files.create_folder(tmp_path / "nul\0byte")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError), files.replacing_folder(out) as new:
        (new / "part").write_text("half")
        raise ValueError
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and not any(out.iterdir())
    with files.replacing_folder(out) as new:
        (new / "part").write_text("whole")
        assert not any(out.iterdir())
    assert (out / "part").read_text() == "whole"
    with pytest.raises(WriteFailed), files.replacing_folder(out) as new:  # not empty any more
        (new / "part").write_text("another")
    assert (out / "part").read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


def test_only_dead_processes_lose_their_temporary_folders(tmp_path: Path, dead_pid: int) -> None:
    for name in (temporary_name(dead_pid), own_name()):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_text("inside")
    files.remove_stale_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [own_name()]
    assert (tmp_path / own_name() / f"{own_name()}.png").read_text() == "inside"


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "a.txt").symlink_to("victim")
    files.atomic_write(tmp_path / "a.txt", "new")
    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "a.txt").read_text() == "new" and not (tmp_path / "a.txt").is_symlink()


def test_lines_are_added(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        files.append(tmp_path / "log", line)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_copy_by_hard_links_keeps_what_it_has(tmp_path: Path) -> None:
    files.append(tmp_path / "log", b"one\n")
    (tmp_path / "copy").hardlink_to(tmp_path / "log")
    files.append(tmp_path / "log", b"two\n")
    files.append(tmp_path / "log", b"three\n")
    assert (tmp_path / "copy").read_bytes() == b"one\n"
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("kind", ["link", "loose_link", "pipe", "folder"])
def test_what_is_written_in_place_is_a_file(tmp_path: Path, kind: str) -> None:
    victim, path = tmp_path / "victim", tmp_path / "log"
    if kind == "link":
        victim.write_text("mine")
    make = {"pipe": os.mkfifo, "folder": Path.mkdir}.get(kind, lambda at: at.symlink_to(victim))
    make(path)
    for flags in (os.O_WRONLY | os.O_APPEND, os.O_RDWR):
        with pytest.raises(OSError):
            files.open_in_place(path, flags)
    assert victim.exists() == (kind == "link") and (kind != "link" or victim.read_text() == "mine")

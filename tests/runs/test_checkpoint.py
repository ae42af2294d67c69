"""Checkpoints come back bit by bit, or the one before them does."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from taichi_idr.errors import BadInput, InputMissing, WriteFailed
from taichi_idr.runs.checkpoint import load_newest, load_step, save_checkpoint, saved_steps

KILLED_SAVES = """
import os, pathlib, signal, sys
import torch
from taichi_idr.files import writing as files
from taichi_idr.runs import checkpoint

folder = pathlib.Path(sys.argv[1])

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def write_half(path, data):
    with files.replacing(path) as temporary:
        temporary.write_bytes(data[: len(data) // 2])
        die()

points = {
    "writing": lambda: setattr(checkpoint, "atomic_write", write_half),
    "flushing": lambda: setattr(os, "fsync", die),
    "renaming": lambda: setattr(pathlib.Path, "replace", die),
    "pruning": lambda: setattr(checkpoint, "_prune", die),
}

for step, (name, arm) in enumerate(points.items(), start=2):
    child = os.fork()
    if child == 0:
        arm()
        checkpoint.save_checkpoint(folder, step, {"weight": torch.full((100,), float(step))}, {})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    newest = checkpoint.load_newest(folder, print)
    print(name, os.WTERMSIG(status), newest.step, newest.tensors["weight"][0].item(), flush=True)
"""


def save(folder: Path, step: int, *, best: bool = False) -> Path:
    return save_checkpoint(folder, step, {"weight": torch.full((3,), float(step))}, {"step": step}, best=best)


def sealed(head: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A file whose hash is right, whatever it holds."""
    rest = (len(head) if length is None else length).to_bytes(8, "little") + head + body
    return b"TIDRCKP1" + hashlib.sha256(rest).digest() + rest


def test_tensors_and_metadata_come_back(tmp_path: Path, generator: torch.Generator) -> None:
    tensors = {
        "table": torch.randn(7, 2, generator=generator).T,  # not contiguous
        "double": torch.randn((), generator=generator, dtype=torch.float64),
        "generator": generator.get_state(),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    metadata = {"capture": "skull é", "levels": [1, 2.5, None]}
    save_checkpoint(tmp_path / "new", 12, tensors, metadata)
    loaded = load_newest(tmp_path / "new", warn=pytest.fail)
    assert loaded is not None
    assert (loaded.step, loaded.metadata, loaded.path.name) == (12, metadata, "00000012.tidr")
    assert set(loaded.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(loaded.tensors[name], tensor), name
        assert loaded.tensors[name].dtype == tensor.dtype, name


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        save(tmp_path, step, best=step in (1, 2))
    assert saved_steps(tmp_path) == [5, 4, 2]
    assert load_step(tmp_path, 2).tensors["weight"].tolist() == [2.0, 2.0, 2.0]


def test_no_files_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert load_newest(tmp_path, warn=pytest.fail) is None
    assert load_newest(tmp_path / "absent", warn=pytest.fail) is None
    with pytest.raises(InputMissing, match=r"^no such file \(.*00000003\.tidr\)"):
        load_step(tmp_path, 3)


@pytest.mark.fault(51, 52)
def test_any_flipped_bit_and_any_missing_end_falls_back(tmp_path: Path) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    whole = newest.read_bytes()
    damaged = [whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :] for i in range(len(whole))]
    damaged += [whole[:i] for i in range(len(whole))]
    for data in damaged:
        newest.write_bytes(data)
        warnings: list[str] = []
        loaded = load_newest(tmp_path, warnings.append)
        assert loaded is not None
        assert loaded.step == 1
        assert len(warnings) == 1
    newest.write_bytes(whole)
    loaded = load_newest(tmp_path, warn=pytest.fail)
    assert loaded is not None
    assert loaded.step == 2


def test_the_warning_names_the_file(tmp_path: Path) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    newest.write_bytes(b"")
    warnings: list[str] = []
    load_newest(tmp_path, warnings.append)
    assert warnings == [
        f"damaged checkpoint ({newest}): expected the mark TIDRCKP1, got 0 bytes without it; "
        "an older one is used where there is one"
    ]


@pytest.mark.fault(51)
def test_none_is_whole(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step).write_bytes(b"TIDRCKP1")
    with pytest.raises(BadInput, match=r"^no usable checkpoint \(.*\): none of 2 is whole; start again with --fresh$"):
        load_newest(tmp_path, warn=lambda _: None)


HEAD = b'{"step": 9, "best": false, "metadata": {}}'
NO_TENSORS = (2).to_bytes(8, "little") + b"{}"
CRAFTED = {
    "no_tensors": sealed(HEAD),
    "length_of_2^62": sealed(HEAD, length=2**62),
    "deep_json": sealed(b"[" * 100_000),
    "head_is_a_list": sealed(b"[1]"),
    "head_without_step": sealed(b"{}"),
    "not_utf8": sealed(b"\xff\xfe"),
    "tensor_header_of_2^62": sealed(HEAD, (2**62).to_bytes(8, "little") + b"{}"),
    "tensor_beyond_the_end": sealed(
        HEAD, (62).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(62)
    ),
    "step_is_a_text": sealed(b'{"step": "x", "best": false, "metadata": {}}', NO_TENSORS),
    "step_of_2^70": sealed(b'{"step": %d, "best": false, "metadata": {}}' % 2**70, NO_TENSORS),
    "another_step": sealed(b'{"step": 8, "best": false, "metadata": {}}', NO_TENSORS),
    "step_is_a_flag": sealed(b'{"step": true, "best": false, "metadata": {}}', NO_TENSORS),
    "metadata_are_a_list": sealed(b'{"step": 9, "best": false, "metadata": []}', NO_TENSORS),
    "pickle": b"\x80\x04\x95\x00.",
}


@pytest.mark.parametrize("data", CRAFTED.values(), ids=CRAFTED)
@pytest.mark.fault(53)
def test_crafted_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "00000009.tidr").write_bytes(data)
    save(tmp_path, 1)
    loaded = load_newest(tmp_path, warn=lambda _: None)
    assert loaded is not None
    assert loaded.step == 1


@pytest.mark.parametrize("kind", ["pipe", "folder", "loose_link"])
def test_what_is_no_file_is_passed_over(tmp_path: Path, kind: str) -> None:
    newest = tmp_path / "00000009.tidr"
    {"pipe": os.mkfifo, "folder": Path.mkdir}.get(kind, lambda path: path.symlink_to("nowhere"))(newest)
    save(tmp_path, 1)
    loaded = load_newest(tmp_path, warn=lambda _: None)
    assert loaded is not None and loaded.step == 1


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    """Of the crafted files' kind: they are refused for what they say."""
    (tmp_path / "00000009.tidr").write_bytes(sealed(HEAD, NO_TENSORS))
    assert load_step(tmp_path, 9).step == 9


@pytest.mark.fault(62)
def test_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, os.strerror(28))

    save(tmp_path, 1)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteFailed, match="No space left on device, older files are intact"):
        save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["00000001.tidr"]
    loaded = load_newest(tmp_path, warn=pytest.fail)
    assert loaded is not None
    assert loaded.step == 1


@pytest.mark.fault(61)
def test_a_kill_at_any_point_of_a_save(tmp_path: Path) -> None:
    """SIGKILL within the write, before the flush, before the rename: the old one remains; after it: the new one."""
    save_checkpoint(tmp_path, 1, {"weight": torch.ones(100)}, {})
    command = [sys.executable, "-c", KILLED_SAVES, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.splitlines() == [
        "writing 9 1 1.0",
        "flushing 9 1 1.0",
        "renaming 9 1 1.0",
        "pruning 9 5 5.0",
    ], result.stderr
    assert saved_steps(tmp_path) == [5, 1]

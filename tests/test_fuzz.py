"""A short part of `make fuzz`: the first damaged inputs of every reader, which are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from fuzzing import reading
from fuzzing.mutations import mutated
from fuzzing.readers import CORPUS, READERS, SLOW, Reader

from taichi_idr.capture.formats.catalogue import FORMATS
from taichi_idr.clouds.reading import SUFFIXES
from taichi_idr.errors import BadInput
from taichi_idr.meshes.files import READABLE

INPUTS, FEW = 100, 12
"""Of most readers; of those that need a tenth of a second for each."""
SLOWER = {"capture", "run", "shapes", "painting", "video", "network"}
QUICK = [reader for reader in READERS if reader.name not in SLOW or reader.name in SLOWER]


@pytest.mark.parametrize("reader", QUICK, ids=lambda reader: reader.name)
@pytest.mark.fault(5, 28, 31, 33, 42, 45, 47, 48, 50, 51, 57, 59)
def test_damaged_files_are_read_or_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in {"laz": "laspy", "las": "laspy", "network": "onnxruntime", "video": "cv2"}.items():
        if reader.name.endswith(package[0]):
            pytest.importorskip(package[1])
    monkeypatch.setattr(reading, "WHOLE_SHARE", INPUTS)
    count = FEW if reader.name in SLOWER else INPUTS
    assert list(reading.failures(reader, iter(range(1, count)), seed=1)) == []


def test_whole_files_are_read() -> None:
    """Else damage to them says nothing."""
    for reader in QUICK:
        if reader.name not in SLOWER:
            reader.read(reader.corpus)


def test_the_whole_video_is_read() -> None:
    pytest.importorskip("cv2")
    (reader,) = (reader for reader in READERS if reader.name == "video")
    with reading.copied(reader) as whole:
        reader.read(whole)
        assert len(list((whole / "frames").iterdir())) >= 8


def test_every_reader_is_among_them() -> None:
    """A new format of captures, meshes or clouds has to come with its corpus."""
    names = {reader.name for reader in READERS}
    captures = {one.__name__.rpartition(".")[2] for one in FORMATS} - {"colmap"}
    assert captures | {"colmap_text", "colmap_binary"} <= names
    assert {f"mesh_{kind}" for kind in READABLE} <= names
    others = {".txt", ".pts", ".asc"}  # read as .xyz is
    assert {f"cloud_{suffix[1:]}" for suffix in {*SUFFIXES} - others} <= names


def test_the_corpus_is_small_and_complete() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    assert {reader.name for reader in READERS} == {path.name for path in CORPUS.iterdir()}
    assert all(reader.files() for reader in READERS)


def test_the_same_number_is_the_same_damage() -> None:
    data = (CORPUS / "idr" / "cameras.npz").read_bytes()
    found = {mutated("cameras.npz", data, Random(seed)) for seed in range(50)}
    assert len(found) > 40
    assert mutated("cameras.npz", data, Random(7)) == mutated("cameras.npz", data, Random(7))


def raising(error: BaseException) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        raise error

    return read


def hiding_memory(folder: Path) -> None:
    try:
        raise MemoryError
    except MemoryError as error:
        raise BadInput("bad") from error


@pytest.mark.parametrize(
    ("read", "kind"),
    [(raising(ValueError("x")), "ValueError"), (raising(RuntimeWarning("x")), "RuntimeWarning"),
     (raising(SystemExit(1)), "SystemExit"), (hiding_memory, "out of memory"), (raising(BadInput("bad")), None)],
    ids=["bug", "warning", "exit", "memory", "clean"],
)  # fmt: skip
def test_what_is_no_clean_error_is_found(read: Callable[[Path], object], kind: str | None) -> None:
    reader = Reader("llff", ("poses_bounds.npy",), read)
    assert [failure.kind for failure in reading.failures(reader, iter(range(2)), seed=0)] == [kind] * 2 * bool(kind)


def test_a_reader_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(folder: Path) -> None:
        while True:
            pass

    monkeypatch.setattr(reading, "SECONDS", 0.1)
    (failure,) = reading.failures(Reader("llff", ("poses_bounds.npy",), endless), iter([0]), seed=0)
    assert failure.kind == "TooSlow"

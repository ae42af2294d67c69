"""A fit goes on with the capture it began with, byte for byte; one that is refused leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from captures import SIZE, edit_cameras, make_capture, viewpoints
from PIL import Image
from tiny_fits import fit

from taichi_idr.capture.fingerprints import fingerprints
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.errors import BadInput
from taichi_idr.runs.contents import Origin
from taichi_idr.types import CaptureReading

STEPS = 2


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capture and run, side by side."""
    place = tmp_path_factory.mktemp("begun")
    fit(make_capture(place / "balls"), place / "run", STEPS)
    return place


def repainted(folder: Path) -> None:
    path = folder / "image" / "003.png"
    Image.fromarray(255 - np.array(Image.open(path))).save(path)


def retouched(folder: Path) -> None:
    path = folder / "mask" / "005.png"
    pixels = np.array(Image.open(path))
    pixels[SIZE[1] // 2, SIZE[0] // 2] ^= 255
    Image.fromarray(pixels).save(path)


def moved(folder: Path) -> None:
    matrix = viewpoints()[2].world_mat
    matrix[0, 3] += 0.1
    edit_cameras(folder, world_mat_2=matrix)


def ignored(folder: Path) -> None:
    (folder / "ignore").mkdir()
    Image.new("L", SIZE).save(folder / "ignore" / "001.png")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (repainted, "image/003.png"),
        (retouched, "mask/005.png"),
        (moved, "cameras.npz"),
        (ignored, "ignore/001.png"),
    ],
)
@pytest.mark.fault(56)
def test_another_content_under_the_same_names_is_named(
    begun: Path, tmp_path: Path, change: Callable[[Path], None], named: str
) -> None:
    place = shutil.copytree(begun, tmp_path / "place")
    shutil.move(begun / "balls", begun / "away")  # runs know their capture by its path
    shutil.move(place / "balls", begun / "balls")
    try:
        assert fit(begun / "balls", place / "run", STEPS + 1).steps == STEPS + 1
        change(begun / "balls")
        with pytest.raises(BadInput, match=rf"^cannot go on with this run .*another {named};"):
            fit(begun / "balls", place / "run", STEPS + 2)
    finally:
        shutil.rmtree(begun / "balls")
        shutil.move(begun / "away", begun / "balls")


def test_records_of_older_versions_know_no_contents(tmp_path: Path) -> None:
    folder = make_capture(tmp_path / "balls")
    files = fingerprints(folder, find_capture(folder))
    assert sorted(files)[:2] == ["cameras.npz", "image/000.png"] and len(files) == 17
    now = Origin(folder, CaptureReading(), ("000",), ((40, 48),), files)
    record = json.loads(json.dumps(now.record()))
    assert Origin.of_record(record).changed(now) == []
    record["files"]["mask/001.png"] = "0"
    assert Origin.of_record(record).changed(now) == ["mask/001.png"]
    del record["files"]
    assert Origin.of_record(record).changed(now) == []


def test_a_refused_capture_leaves_no_folder(tmp_path: Path) -> None:
    folder = make_capture(tmp_path / "balls")
    (folder / "image" / "002.png").write_bytes(b"damaged")
    with pytest.raises(BadInput):
        fit(folder, tmp_path / "runs" / "balls", STEPS)
    assert not (tmp_path / "runs").exists()


def test_a_refused_capture_leaves_what_was_there(begun: Path, tmp_path: Path) -> None:
    folder = make_capture(tmp_path / "balls")
    run = shutil.copytree(begun / "run", tmp_path / "run")
    before = sorted(path.name for path in run.rglob("*"))
    (folder / "image" / "002.png").write_bytes(b"damaged")
    with pytest.raises(BadInput):
        fit(folder, run, STEPS)
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadInput):
        fit(folder, tmp_path / "mine", STEPS)
    assert sorted(path.name for path in run.rglob("*")) == before
    assert list((tmp_path / "mine").iterdir()) == []

"""All formats side by side: told apart by their files, found without torch, and the same capture in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import written_formats
from captures import View, photograph, write_cameras
from PIL import Image
from tiny_fits import fit
from written_formats import CENTRED, SIZE, in_world, shots, write_photos

from taichi_idr.capture.formats import catalogue
from taichi_idr.capture.formats.catalogue import FORMATS, find_capture
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.evaluate import evaluate_run
from taichi_idr.errors import TidrError
from taichi_idr.types import CaptureReading

NAMES = (
    "dvr", "krt", "openmvg", "alicevision", "metashape", "bundler", "blendedmvs", "middlebury", "strecha", "llff",
)  # fmt: skip
WITH_NUMPY = {"dvr", "krt", "llff"}


def idr(folder: Path, views: list[View]) -> None:
    write_cameras(folder / "cameras.npz", [view.world_mat for view in views])


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a capture in each of the formats, and in the IDR format."""
    place, views = tmp_path_factory.mktemp("formats"), shots(CENTRED)
    writers: dict[str, Callable[..., None]] = {name: getattr(written_formats, name) for name in NAMES} | {"idr": idr}
    for name, write in writers.items():
        write_photos(place / name, views)
        write(place / name, views)
    return place


def test_every_format_is_written_here_or_in_test_formats() -> None:
    modules = {one.__name__.rpartition(".")[2] for one in FORMATS}
    assert modules == {*NAMES, "idr", "transforms", "colmap"}
    assert len({one.FORMAT for one in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_ends_in_the_same_capture(captures: Path, name: str) -> None:
    """Cameras, photos, silhouettes and the object's frame are those of the IDR format, so that a fit is the same."""
    expected = read_capture(captures / "idr", CaptureReading(normalize=True))
    capture = read_capture(captures / name)
    np.testing.assert_allclose(capture.T_world_normalised, expected.T_world_normalised, rtol=1e-9, atol=1e-9)
    for ours, theirs in ((in_world(capture), in_world(expected)), (capture.cameras, expected.cameras)):
        np.testing.assert_allclose(ours.centres, theirs.centres, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(ours.intrinsics, theirs.intrinsics, rtol=1e-9, atol=1e-9)
        turns = abs((ours.quaternions * theirs.quaternions).sum(dim=1))
        np.testing.assert_allclose(turns, 1, rtol=0, atol=1e-9)
    for part in ("images", "masks"):
        pairs = zip(getattr(capture, part), getattr(expected, part), strict=True)
        assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_captures_are_found_without_what_is_slow_to_import(captures: Path) -> None:
    """numpy where cameras are arrays; torch never."""
    script = """
import sys
from pathlib import Path
from taichi_idr.capture.formats.catalogue import find_capture
for name in sys.argv[2:]:
    assert find_capture(Path(sys.argv[1], name)).format, name
    assert not {"torch", "scipy", "taichi"} & set(sys.modules), name
    print(name, "numpy" in sys.modules)
"""
    light = [name for name in NAMES if name not in WITH_NUMPY]
    command = [sys.executable, "-c", script, str(captures), *light, *sorted(WITH_NUMPY)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [word for name in light for word in (name, "False")] + [
        word for name in sorted(WITH_NUMPY) for word in (name, "True")
    ]


FILES = {
    "openmvg": "sfm_data.json", "alicevision": "cameras.sfm", "metashape": "cameras.xml", "bundler": "bundle.out",
    "blendedmvs": "cams/00000000_cam.txt", "middlebury": "balls_par.txt", "strecha": "images/r_0.png.camera",
    "llff": "poses_bounds.npy", "dvr": "cameras.npz", "krt": "cameras.npz",
}  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    views = shots(CENTRED)
    write_photos(tmp_path, views)
    getattr(written_formats, name)(tmp_path, views)
    (tmp_path / FILES[name]).unlink()
    os.mkfifo(tmp_path / FILES[name])
    with pytest.raises(TidrError):
        read_capture(tmp_path)


def test_the_first_of_several_formats_is_taken(captures: Path, tmp_path: Path) -> None:
    write_photos(tmp_path, shots(CENTRED))
    told = []
    for name in reversed([one.__name__.rpartition(".")[2] for one in FORMATS]):
        if name in NAMES and name not in ("krt", "dvr"):
            getattr(written_formats, name)(tmp_path, shots(CENTRED))
            told.append(find_capture(tmp_path).format)
    assert told == [one.FORMAT for one in reversed(FORMATS) if one.FORMAT in told]
    assert len(told) == len(NAMES) - 2
    idr(tmp_path, shots(CENTRED))
    assert find_capture(tmp_path).format == "IDR"
    assert catalogue.FORMATS[2].FORMAT == "IDR"


def test_a_run_without_masks_is_fitted_by_brightness_and_measured(tmp_path: Path) -> None:
    """Middlebury's: whoever reads the run's photos again tells the object in the same way."""
    views, folder = shots(CENTRED), tmp_path / "temple"
    folder.mkdir()
    written_formats.middlebury(folder, views)
    for index, view in enumerate(views):
        colour, mask = photograph(view, SIZE)
        Image.fromarray(np.where(mask[..., None], np.maximum(colour, 60), 0).astype(np.uint8)).save(
            folder / f"r_{index}.png"
        )
    assert fit(folder, tmp_path / "run", steps=10).steps == 10
    assert evaluate_run(tmp_path / "run", max_views=2)["mask_iou"] > 0.5

"""A capture that went through another format is the same capture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from captures import make_capture
from PIL import Image

from taichi_idr.cameras.pinhole import transform_cameras
from taichi_idr.capture.reading import read_capture
from taichi_idr.capture.support import read_support, write_support
from taichi_idr.commands.convert import convert_capture
from taichi_idr.errors import BadInput, CannotCreate
from taichi_idr.types import CaptureReading, Plane


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "balls")


@pytest.mark.parametrize("to", ["idr", "colmap", "transforms"])
def test_a_capture_survives_each_format(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: Literal["idr", "colmap", "transforms"]
) -> None:
    before = read_capture(capture)
    after = read_capture(convert_capture(capture, tmp_path / "out", to=to))
    for old, new in zip((*before.images, *before.masks), (*after.images, *after.masks), strict=True):
        assert np.array_equal(old, new)
    old, new = (transform_cameras(one.T_world_normalised, one.cameras) for one in (before, after))
    np.testing.assert_allclose(new.centres, old.centres, rtol=0, atol=1e-7)
    np.testing.assert_allclose((old.quaternions * new.quaternions).sum(1).abs(), 1, rtol=0, atol=1e-9)
    flat = old.intrinsics.clone()
    said = capsys.readouterr().err
    if to == "idr":
        np.testing.assert_allclose(after.T_world_normalised, before.T_world_normalised)
        assert "skew" not in said
    else:
        flat[:, 0, 1] = 0
        assert "hold no skew: pixels are off by up to 0.1" in said
    np.testing.assert_allclose(new.intrinsics, flat, rtol=0, atol=1e-8)


@pytest.mark.parametrize("to", ["idr", "colmap", "transforms"])
def test_what_the_object_stands_on_comes_along(
    capture: Path, tmp_path: Path, to: Literal["idr", "colmap", "transforms"]
) -> None:
    plane = Plane(np.array([0.0, 0.6, -0.8]), -75.0)
    write_support(capture, plane)
    found = read_support(convert_capture(capture, tmp_path / "out", to=to))
    assert found is not None and found.offset == pytest.approx(plane.offset)
    np.testing.assert_allclose(found.normal, plane.normal)


def test_formats_lead_into_each_other(capture: Path, tmp_path: Path) -> None:
    here = convert_capture(capture, tmp_path / "0", to="colmap")
    first = read_capture(here)
    for number, to in enumerate(("transforms", "idr", "colmap"), start=1):
        here = convert_capture(here, tmp_path / str(number), to=to)
    last = read_capture(here)
    np.testing.assert_allclose(last.T_world_normalised, first.T_world_normalised, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(last.cameras.centres, first.cameras.centres, rtol=0, atol=1e-8)


def test_what_is_to_be_ignored_stays_so(capture: Path, tmp_path: Path) -> None:
    (capture / "ignore").mkdir()
    with Image.open(capture / "mask" / "002.png") as mask:
        expected = np.array(mask.convert("L")) > 0
    expected[: len(expected) // 2] = False
    Image.fromarray(expected).save(capture / "ignore" / "002.png")
    after = read_capture(convert_capture(capture, tmp_path / "out", to="colmap"))
    assert [part is None for part in after.ignored] == [view != 2 for view in range(len(after))]
    assert np.array_equal(after.ignored[2], expected)


def test_a_refused_capture_leaves_no_folder(capture: Path, tmp_path: Path) -> None:
    (capture / "image" / "002.png").write_bytes(b"damaged")
    with pytest.raises(BadInput):
        convert_capture(capture, tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()


def test_options_of_reading_hold(capture: Path, tmp_path: Path) -> None:
    """Masks are written as they are meant."""
    twice = convert_capture(capture, tmp_path / "inverted", reading=CaptureReading(normalize=True))
    assert not np.allclose(read_capture(twice).T_world_normalised, read_capture(capture).T_world_normalised)


def test_what_is_there_is_not_mixed_with(capture: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(CannotCreate, match="the folder is not empty"):
        convert_capture(capture, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]

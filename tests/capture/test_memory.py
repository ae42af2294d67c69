"""What photos need is known, and said, before they are decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from captures import make_capture
from tiny_fits import fit

from taichi_idr.capture import memory
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.formats.source import Layout
from taichi_idr.capture.memory import BASE, check_memory
from taichi_idr.capture.pixels import Photos
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import OutOfMemory
from taichi_idr.machine import free_memory

PHOTO = 4000 * 4000


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Layout:
    """Eight photos that claim to have 16 MP."""
    monkeypatch.setattr(memory, "size_of", lambda _: (4000, 4000))
    return find_capture(make_capture(tmp_path / "balls"))


def test_colour_and_mask_of_every_pixel_are_held_once(large: Layout) -> None:
    assert check_memory(large, 1).needed == BASE + 8 * 4 * PHOTO
    assert check_memory(large, 2).needed == BASE + 8 * PHOTO
    assert check_memory(large, 1, more=2).needed == BASE + 8 * 6 * PHOTO


@pytest.mark.fault(68)
def test_what_is_not_free_is_refused_with_the_downscale_that_fits(
    large: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 0.9e9)
    expected = "^not enough memory .8 photos.: about 1.2 GB needed, 0.9 GB free; use --downscale 2, which needs 0.8 GB$"
    with pytest.raises(OutOfMemory, match=expected):
        check_memory(large, 1)
    monkeypatch.setattr(memory, "free_memory", lambda: 0.5e9)
    with pytest.raises(OutOfMemory, match=r"free some memory$"):
        check_memory(large, 1)


def test_a_fit_says_what_it_needs_and_refuses_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_capture(tmp_path / "balls")
    monkeypatch.setattr(memory, "free_memory", lambda: 0.5e9)
    with pytest.raises(OutOfMemory):
        fit(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    fit(folder, tmp_path / "run", 1)
    assert capsys.readouterr().out.startswith("memory    about 0.7 GB needed, ")


def test_the_system_tells_what_is_free() -> None:
    assert 0 < (free_memory() or 0) < 1 << 50


@pytest.mark.parametrize("downscale", [1, 2])
def test_photos_are_not_copied(tmp_path: Path, downscale: int) -> None:
    capture = read_capture(make_capture(tmp_path / "balls"), downscale=downscale)
    photos = Photos(capture, torch.device("cpu"))
    capture.images[3][5, 7] = [1, 2, 3]
    capture.masks[3][5, 7] = not capture.masks[3][5, 7]
    photo, mask = photos.photo(3)
    assert np.array_equal(np.rint(255 * photo), capture.images[3]) and np.array_equal(mask, capture.masks[3])

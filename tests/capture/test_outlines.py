"""Masks whose outlines lie beside the photos' edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from captures import edit_images, make_capture
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from taichi_idr.capture.masks import object_box
from taichi_idr.capture.outlines import moved_to_edges
from taichi_idr.capture.reading import read_capture

SIZE = (150, 200)


def shape(grown: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """A flower with five leaves (H, W) bool, so many pixels larger all around."""
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    y, x = row - 72.3, column - 98.6
    return np.hypot(x, y) < 48 + 7 * np.sin(5 * np.arctan2(y, x) + turn) + grown


def photo(generator: np.random.Generator, turn: float = 0.0, contrast: float = 1.0) -> np.ndarray:
    """Of the flower, with texture and noise, before a grey ground (H, W, 3) uint8."""
    texture = gaussian_filter(generator.normal(0, 1, (*SIZE, 3)), (3, 3, 0)) * 150
    inside = gaussian_filter(shape(turn=turn).astype(float), 0.6)[..., None]
    colour = 110 + contrast * inside * (60 + texture) + generator.normal(0, 3, (*SIZE, 3))
    return colour.clip(0, 255).astype(np.uint8)


def photos(contrast: float = 1.0) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [photo(generator, turn, contrast) for turn in range(6)]


def masks(*grown: float) -> list[np.ndarray]:
    return [shape(more, turn) for turn, more in enumerate(grown)]


@pytest.mark.parametrize("off", [-3, -2, -1.2, 1.2, 2, 3])
def test_masks_that_are_all_too_wide_or_narrow(off: float) -> None:
    moved = moved_to_edges(photos(), masks(*[off] * 6))
    assert moved.offsets == pytest.approx([-off] * 6, abs=0.4)
    for mended, right, given in zip(moved.masks, masks(*[0] * 6), masks(*[off] * 6), strict=True):
        assert (mended ^ right).sum() < 0.35 * (given ^ right).sum()
    (line,) = moved.lines
    where, done = ("outside", "narrowed") if off > 0 else ("inside", "widened")
    assert f"pixels {where} the object's edges in 6 of 6 photos: they are {done}" in line


@pytest.mark.parametrize(
    "grown",
    [
        pytest.param([0.0] * 6, id="right"),
        pytest.param([2.0, -2.0, 0.0, 2.0, -2.0, 0.0], id="to both sides"),
        pytest.param([0.0, 3.0, 0.0, 0.0, 3.0, 0.0], id="a few"),
        pytest.param([8.0] * 6, id="another line"),
    ],
)
def test_masks_that_stay(grown: list[float]) -> None:
    given = masks(*grown)
    moved = moved_to_edges(photos(), given)
    assert moved.masks is given
    assert moved.offsets == [0.0] * 6 and not moved.lines


def test_one_that_is_unlike_the_others_stays() -> None:
    given = masks(2, 2, 2, 2, 2, 0)
    given[4] = ~given[4]
    moved = moved_to_edges(photos(), given)
    assert [offset != 0 for offset in moved.offsets] == [True] * 4 + [False] * 2
    assert moved.masks[4] is given[4] and moved.masks[5] is given[5]


def test_photos_that_do_not_tell() -> None:
    """No contrast, or nothing but texture inside."""
    generator = np.random.default_rng(1)
    for given in (photos(contrast=0.0), [generator.integers(0, 255, (*SIZE, 3), np.uint8) for _ in range(6)]):
        assert not moved_to_edges(given, masks(*[2] * 6)).lines


def test_a_line_in_the_object_does_not_count() -> None:
    """A rim along the whole outline, as bright as the outline is: it is beside it that there is as much change."""
    painted = photos()
    for turn, picture in enumerate(painted):
        picture[shape(-4, turn) & ~shape(-7, turn)] = 250
    assert not moved_to_edges(painted, masks(*[0] * 6)).lines


def test_what_is_ignored_or_cut_by_the_border_does_not_count() -> None:
    pictures, given = photos(), masks(*[2] * 6)
    everything = [np.ones(SIZE, bool)] * 6
    assert not moved_to_edges(pictures, given, everything).lines
    some = [None, *everything[:1], None, None, None, None]
    assert [offset != 0 for offset in moved_to_edges(pictures, given, some).offsets] == [True, False, *[True] * 4]
    full, empty = np.ones(SIZE, bool), np.zeros(SIZE, bool)
    assert moved_to_edges(pictures, [full, empty, *given[2:]]).offsets[:2] == [0.0, 0.0]


def test_a_border_that_cuts_the_object_stays_one() -> None:
    """What is narrowed is the outline, not what lies along the photo's border."""
    pictures, given = ([part[:, 90:] for part in parts] for parts in (photos(), masks(*[2] * 6)))
    moved = moved_to_edges(pictures, given)
    assert moved.offsets == pytest.approx([-2] * 6, abs=0.4)
    assert all(mask[60:85, 0].all() for mask in moved.masks)


@pytest.mark.parametrize(("change", "word"), [(binary_dilation, "narrowed"), (binary_erosion, "widened")])
def test_a_capture_is_read_with_its_masks_mended(tmp_path: Path, change, word: str) -> None:
    folder = make_capture(tmp_path / "balls", size=(192, 160))
    right = read_capture(folder)
    assert not any("edges" in text for text in right.warnings)
    edit_images(folder / "mask", lambda mask: change(mask > 0, iterations=2).astype(np.uint8) * 255)
    given = [change(mask, iterations=2) for mask in right.masks]
    read = read_capture(folder)
    assert any(f"8 of 8 photos: they are {word}" in text for text in read.warnings)
    for mended, true, wrong in zip(read.masks, right.masks, given, strict=True):
        assert (mended ^ true).sum() < 0.35 * (wrong ^ true).sum()


@pytest.mark.parametrize(
    ("rows", "columns"), [(slice(3, 7), slice(2, 3)), (slice(0, 9), slice(0, 12)), (slice(0, 0), slice(0, 0))]
)
def test_the_object_s_box_holds_its_pixels_and_no_more(rows: slice, columns: slice) -> None:
    mask = np.zeros((9, 12), bool)
    mask[rows.start : rows.stop : 2, columns] = True
    mask[rows.stop - 1 : rows.stop, columns] = rows.stop > 0
    assert object_box(mask) == (rows, columns)

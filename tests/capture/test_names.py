"""Which file is whose: photos, masks and matrices find each other by name, or say why they cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from captures import VIEWS, edit_cameras, make_capture

from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput
from taichi_idr.types import Capture, CaptureReading

Naming = Callable[[int], str]
PHOTOS: dict[str, Naming] = {
    "unpadded": lambda i: f"{i}.png",
    "mixed_padding": lambda i: f"{i:0{1 + i % 3}d}.png",
    "phone": lambda i: f"IMG_20260101_{120000 + 7 * i}.png",
    "words": lambda i: f"view {i} of the pot.png",
}
MASKS: dict[str, Callable[[str], str]] = {
    "same": lambda stem: f"{stem}.png",
    "behind": lambda stem: f"{stem}_mask.png",
    "before": lambda stem: f"mask-{stem}.png",
    "colmap": lambda stem: f"{stem}.png.png",
    "segmentation": lambda stem: f"{stem}.SEG.png",
}
MANY = 12  # so that 10 comes before 2 as text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "balls", views=MANY)


def rename(folder: Path, photo: Naming, mask: Callable[[str], str]) -> None:
    for index in range(MANY):
        path = folder / "image" / f"{index:03d}.png"
        path = path.rename(folder / "image" / f"_{photo(index)}")
        (folder / "mask" / f"{index:03d}.png").rename(folder / "mask" / f"_{mask(Path(photo(index)).stem)}")
    for part in ("image", "mask"):
        for path in sorted((folder / part).iterdir()):
            path.rename(path.with_name(path.name[1:]))


def same(found: Capture, expected: Capture) -> bool:
    pairs = zip((*found.images, *found.masks), (*expected.images, *expected.masks), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs) and np.allclose(found.cameras.centres, expected.cameras.centres)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("photo", PHOTOS)
def test_names_of_any_tool_give_the_same_capture(folder: Path, photo: str, mask: str) -> None:
    expected = read_capture(folder)
    rename(folder, PHOTOS[photo], MASKS[mask])
    assert same(read_capture(folder), expected)


def test_masks_pair_by_number_where_that_tells_all_apart(folder: Path) -> None:
    """As DTU has it: 000007.png and 007.png; but not IMG_1 with 0.png because it is the first of as many."""
    expected = read_capture(folder)
    rename(folder, lambda i: f"{i:06d}.png", lambda stem: f"{int(stem)}.png")
    assert same(read_capture(folder), expected)
    for index in range(MANY):  # one number on
        (folder / "image" / f"{index:06d}.png").rename(folder / "image" / f"IMG_{index + 1}.jpe")
    with pytest.raises(BadInput, match=r"masks and images do not pair .* none for IMG_12\.jpe"):
        read_capture(folder)


@pytest.mark.fault(23)
def test_a_missing_mask_beside_a_stale_one_is_named(folder: Path) -> None:
    (folder / "mask" / "004.png").rename(folder / "mask" / "of something else.png")
    with pytest.raises(BadInput, match=r"12 masks for 12 images, none for 004\.png; name each mask as its photo"):
        read_capture(folder)


def test_a_photo_with_two_masks_is_named(folder: Path) -> None:
    for path in sorted((folder / "mask").iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    shutil.copy(folder / "mask" / "005_mask.png", folder / "mask" / "mask_005.png")
    with pytest.raises(BadInput, match=r"005\.png has 005_mask\.png and mask_005\.png"):
        read_capture(folder)


def test_a_mask_of_a_photo_that_is_gone_does_no_harm(folder: Path) -> None:
    shutil.copy(folder / "mask" / "003.png", folder / "mask" / "099.png")
    assert len(read_capture(folder)) == MANY


def test_a_deleted_photo_is_not_made_good_by_deleting_a_matrix(folder: Path) -> None:
    """Which matrix is its own nobody knows: no advice that would give a wrong object."""
    (folder / "image" / "004.png").unlink()
    with pytest.raises(BadInput, match="put the missing image back") as caught:
        read_capture(folder)
    assert "remove the matrix" not in str(caught.value)


def test_views_taken_out_everywhere_keep_their_matrices(folder: Path) -> None:
    """Numbers tell photos and matrices apart, so that gaps do no harm."""
    expected = read_capture(folder)
    for part in ("image", "mask"):
        (folder / part / "004.png").unlink()
    edit_cameras(folder, world_mat_4=None, scale_mat_4=None)
    found, rest = read_capture(folder), [i for i in range(MANY) if i != 4]
    assert found.names == [f"{i:03d}" for i in rest]
    np.testing.assert_allclose(found.cameras.centres, expected.cameras.centres[rest])


@pytest.mark.parametrize(("photos", "masks"), [("images", "masks"), ("rgb", "mask"), ("image", "masks")])
def test_folders_of_other_names_are_found(folder: Path, photos: str, masks: str) -> None:
    (folder / "image").rename(folder / photos)
    (folder / "mask").rename(folder / masks)
    assert len(read_capture(folder)) == MANY


def test_two_folders_for_the_photos_are_refused(folder: Path) -> None:
    shutil.copytree(folder / "image", folder / "images")
    with pytest.raises(BadInput, match="two folders for the same"):
        read_capture(folder)


def test_a_raw_file_beside_its_jpeg_is_passed_over_and_one_alone_is_not(folder: Path) -> None:
    (folder / "image" / "003.CR2").write_bytes(b"raw")
    (folder / "image" / "Thumbs.db").write_bytes(b"")
    (folder / "image" / ".DS_Store").write_bytes(b"")
    assert len(read_capture(folder)) == MANY
    (folder / "image" / "003.png").unlink()
    with pytest.raises(BadInput, match=r"unsupported image .*003\.CR2"):
        read_capture(folder)


@pytest.mark.parametrize("part", ["image", "mask"])
@pytest.mark.parametrize("whole", [False, True], ids=["file", "folder"])
@pytest.mark.fault(43)
def test_a_link_out_of_the_capture_is_refused_unless_allowed(
    folder: Path, tmp_path: Path, part: str, whole: bool
) -> None:
    linked = folder / part if whole else folder / part / "002.png"
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="it leaves the capture's folder; copy it there, or fit with --allow-outside"):
        read_capture(folder)
    assert len(read_capture(folder, CaptureReading(allow_outside=True))) == MANY


def test_a_link_inside_the_capture_is_no_matter(folder: Path) -> None:
    (folder / "kept").mkdir()
    (folder / "image" / "002.png").rename(folder / "kept" / "002.png")
    (folder / "image" / "002.png").symlink_to(folder / "kept" / "002.png")
    assert len(read_capture(folder)) == MANY


def test_fewer_views_than_the_fixture_has_are_fine(tmp_path: Path) -> None:
    assert len(read_capture(make_capture(tmp_path / "few"))) == VIEWS

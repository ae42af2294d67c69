"""Captures as benchmarks and data sets come: the same views, to the last digit, and damage that is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captures import View, edit_cameras, photograph, write_cameras
from PIL import Image
from scipy.ndimage import binary_erosion
from written_formats import (
    CENTRED,
    SIZE,
    SKEWED,
    VIEWS,
    assert_pixels,
    assert_views,
    blendedmvs,
    bundler,
    dvr,
    krt,
    llff,
    middlebury,
    shots,
    strecha,
    write_photos,
)

from taichi_idr.capture.distortion import distorted
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput, InputMissing, TidrError

BENCHMARKS: dict[str, tuple[Callable[..., None], np.ndarray, str, str]] = {
    "bundler": (bundler, CENTRED, "Bundler", "bundle.out"),
    "blendedmvs": (blendedmvs, SKEWED, "BlendedMVS", "cams/00000002_cam.txt"),
    "middlebury": (middlebury, SKEWED, "Middlebury", "balls_par.txt"),
    "strecha": (strecha, SKEWED, "Strecha", "images/r_2.png.camera"),
    "llff": (llff, CENTRED, "LLFF", "poses_bounds.npy"),
    "dvr": (dvr, SKEWED, "DVR", "cameras.npz"),
    "krt": (krt, SKEWED, "K, R, T", "cameras.npz"),
}
"""Writer, what intrinsics it can tell, the format's name, and one of its files."""


def written(folder: Path, name: str, count: int = VIEWS) -> list[View]:
    write, intrinsics, _, _ = BENCHMARKS[name]
    views = shots(intrinsics)[:count]
    write_photos(folder, views)
    write(folder, views)
    return views


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_tells_the_same_views(tmp_path: Path, name: str) -> None:
    views = written(tmp_path, name)
    assert find_capture(tmp_path).format == BENCHMARKS[name][2]
    capture = read_capture(tmp_path)
    assert capture.names == [f"r_{index}" for index in range(VIEWS)]
    assert_views(capture, views)
    assert_pixels(capture, views)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    written(tmp_path, name)
    file = tmp_path / BENCHMARKS[name][3]
    whole = file.read_bytes()
    # What lies behind the cameras of a bundle, and the depths behind those of BlendedMVS, is not read; a
    # number that lacks some of its digits is a number.
    ends = {
        "bundler": whole.find(b"0 0 0\n0 0 0\n0"),
        "blendedmvs": whole.find(b"200.0") - 12,
        "middlebury": whole.rstrip().rfind(b" "),
    }
    end = ends.get(name, len(whole) - 4)
    for length in range(0, end, 1 + end // 40):
        file.write_bytes(whole[:length])
        with pytest.raises(BadInput, match=file.name):  # of an archive when its matrices are read
            (read_capture if file.suffix == ".npz" else find_capture)(tmp_path)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_damaged_file_is_never_a_bug_of_ours(tmp_path: Path, name: str) -> None:
    written(tmp_path, name)
    file = tmp_path / BENCHMARKS[name][3]
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(bytes(damaged))
        try:
            find_capture(tmp_path)
        except TidrError:
            continue


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_photo_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    written(tmp_path, name)
    (tmp_path / "images" / "r_3.png").unlink()
    paired = {
        "llff": "6 rows for 5 photos",
        "dvr": "6 for 5 photos, and their numbers",
        "krt": "6 for 5 photos, and their numbers",
    }
    told = {"blendedmvs": r"00000003_cam\.txt", **paired}.get(name, r"1 of 6: r_3\.png")
    with pytest.raises(BadInput if name in paired else InputMissing, match=told):
        find_capture(tmp_path)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_too_few_views_are_counted(tmp_path: Path, name: str) -> None:
    written(tmp_path, name, 2)
    with pytest.raises(BadInput, match="2 photos have poses, at least 3 needed"):
        find_capture(tmp_path)


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old.encode() in data
        return data.replace(old.encode(), new.encode(), 1)

    return change


WRONG: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "bundle_version": ("bundler", replaced("v0.3", "v9.0"), "expected `# Bundle file v0.3`"),
    "bundle_count": ("bundler", replaced("\n7 1", "\n999999999 1"), "it promises 999999999 cameras"),
    "bundle_more": ("bundler", replaced("\n7 1", "\n6 1"), "6 cameras for 7 names"),
    "bundle_nan": ("bundler", replaced("60.0 0 0", "nan 0 0"), r"camera 0\): expected 15 finite numbers"),
    "bundle_focal": ("bundler", replaced("60.0 0 0", "-60.0 0 0"), r"camera 0: f\): -60, expected a positive"),
    "mvs_word": ("blendedmvs", replaced("extrinsic", "extrinsics"), "expected `extrinsic` with 16 numbers"),
    "mvs_nan": ("blendedmvs", replaced("65.0", "nan"), "intrinsic\\): expected 9 finite numbers"),
    "mvs_row": ("blendedmvs", replaced("0.0 0.0 0.0 1.0", "0.0 0.0 0.0 2.0"), "bad matrix"),
    "mvs_lower": ("blendedmvs", replaced("0.0 63.0", "3.0 63.0"), "K is not upper triangular"),
    "mvs_focal": ("blendedmvs", replaced("0.0 63.0", "0.0 -63.0"), "K is not upper triangular"),
    "par_count": ("middlebury", replaced("6\n", "7\n"), "its first line is '7', 6 lines follow"),
    "par_words": ("middlebury", replaced("r_0.png", "r_0.png 1.0"), r"line 2\): 23 words"),
    "par_nan": ("middlebury", replaced("65.0", "inf"), r"line 2\): expected 21 finite numbers"),
    "par_climbs": ("middlebury", replaced("r_0.png", "../r_0.png"), "leaves the capture's folder"),
    "par_twice": ("middlebury", replaced("r_0.png", "r_1.png"), "two views of one photo"),
    "strecha_lens": ("strecha", replaced("0.0 0.0 0.0\n", "0.1 0.0 0.0\n"), "unknown camera model"),
    "strecha_more": ("strecha", replaced("48 40", "48 40 3"), "expected 26 finite numbers"),
    "strecha_size": ("strecha", replaced("48 40", "48 -40"), "-40, expected a positive number"),
    "llff_pickle": ("llff", lambda _: b"\x80\x04N.", "pickled data can run code"),
    "llff_objects": ("llff", replaced("'<f8'", "'|O' "), "pickled data can run code"),
    "llff_shape": ("llff", replaced("(6, 17)", "(17, 6)"), "expected 17 numbers for each photo"),
    "llff_long": ("llff", replaced("(6, 17), }", "(10**9,)}"), "its header cannot be read"),
    "llff_promise": ("llff", replaced("(6, 17), }  ", "(999, 17), }"), "the file holds 816 bytes"),
    "llff_text": ("llff", lambda _: b"poses", "its header cannot be read"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, fault: str) -> None:
    name, change, message = WRONG[fault]
    written(tmp_path, name)
    file = tmp_path / BENCHMARKS[name][3]
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(BadInput, match=message):
        find_capture(tmp_path)


def test_numbers_of_llff_are_finite_and_positive(tmp_path: Path) -> None:
    written(tmp_path, "llff")
    rows = np.load(tmp_path / "poses_bounds.npy")
    for at, value, message in (
        ((2, 3), np.nan, r"row 2\): expected 15"),
        ((4, 14), -1.0, r"row 4\): -1, expected a pos"),
    ):
        damaged = rows.copy()
        damaged[at] = value
        np.save(tmp_path / "poses_bounds.npy", damaged)
        with pytest.raises(BadInput, match=message):
            find_capture(tmp_path)


def test_bundler_s_lens_and_lost_photos(tmp_path: Path) -> None:
    """r(p) = 1 + k1 |p|^2 + k2 |p|^4 of the straight p; a focal length of 0 is a photo without a pose."""
    views = shots(CENTRED)
    write_photos(tmp_path, views)
    bundler(tmp_path, views, k1=-0.1, k2=0.02)
    lens = find_capture(tmp_path).views[0].lens
    x, y = distorted(lens, np.array([0.3]), np.array([-0.2]))
    factor = 1 - 0.1 * 0.13 + 0.02 * 0.13**2
    np.testing.assert_allclose([x[0], y[0]], [0.3 * factor, -0.2 * factor], rtol=0, atol=1e-12)
    warnings = read_capture(tmp_path).warnings
    assert "1 of 7 photos have no pose in bundle.out and are left out" in warnings
    (tmp_path / "list.txt").unlink()
    with pytest.raises(InputMissing, match=r"no list of photos \(.*list.txt\)"):
        find_capture(tmp_path)


def test_llff_s_photos_are_in_the_order_of_text(tmp_path: Path) -> None:
    """11 photos without padding: 10 lies between 1 and 2. Shrunk ones serve where the others are not."""
    views = (shots(CENTRED) * 2)[:11]
    write_photos(tmp_path, views)
    order = sorted(range(11), key=str)
    llff(tmp_path, [views[index] for index in order])
    assert_views(read_capture(tmp_path), views)
    (tmp_path / "images_8").mkdir()
    (tmp_path / "images").rename(tmp_path / "images_2")
    for path in (tmp_path / "images_2").iterdir():
        Image.open(path).reduce(2).save(path)
    shutil.rmtree(tmp_path / "masks")
    capture = find_capture(tmp_path, need_masks=False)
    assert {path.parent.name for path in capture.images} == {"images_2"}


def test_blendedmvs_as_it_comes(tmp_path: Path) -> None:
    """Photos in a folder of their own, masked twins among them, and one without a camera."""
    views = shots()
    write_photos(tmp_path, views, image="blended_images", name="{:08d}.jpg")
    for path in list((tmp_path / "blended_images").iterdir()):
        shutil.copy(path, path.with_name(f"{path.stem}_masked.jpg"))
    blendedmvs(tmp_path, views)
    (tmp_path / "cams" / "00000004_cam.txt").unlink()
    capture = read_capture(tmp_path)
    assert capture.names == [f"{index:08d}" for index in (0, 1, 2, 3, 5)]
    assert "1 of 6 photos have no pose in cams and are left out" in capture.warnings
    assert_views(capture, [views[index] for index in (0, 1, 2, 3, 5)])
    shutil.copy(tmp_path / "cams" / "00000001_cam.txt", tmp_path / "cams" / "1_cam.txt")
    with pytest.raises(BadInput, match="two files of one number"):
        find_capture(tmp_path)


def test_middlebury_s_black_background_is_told_by_brightness(tmp_path: Path) -> None:
    """Photos beside the file, with noise in the black and specks in the object."""
    views, rng = shots(), np.random.default_rng(0)
    middlebury(tmp_path, views)
    for index, view in enumerate(views):
        colour, mask = photograph(view, SIZE)
        colour = np.where(mask[..., None], np.maximum(colour, 60), rng.integers(0, 20, colour.shape)).astype(np.uint8)
        row, column = np.argwhere(binary_erosion(mask))[0]
        colour[row, column] = 0
        colour[0, 0] = 255
        Image.fromarray(colour).save(tmp_path / f"r_{index}.png")
    capture = read_capture(tmp_path)
    assert_views(capture, views)
    assert all(np.array_equal(m, photograph(v, SIZE)[1]) for m, v in zip(capture.masks, views, strict=True))
    assert any("brighter than 24 of 255 is taken for the object" in warning for warning in capture.warnings)
    assert find_capture(tmp_path, need_masks=False).threshold is None


def test_strecha_s_cameras_in_a_folder_of_their_own(tmp_path: Path) -> None:
    views = written(tmp_path, "strecha")
    (tmp_path / "gt_dense_cameras").mkdir()
    for path in list((tmp_path / "images").glob("*.camera")):
        path.rename(tmp_path / "gt_dense_cameras" / path.name)
    assert_views(read_capture(tmp_path), views)


@pytest.mark.parametrize("signs", [(1, 1, -1), (-1, -1, 1), (1, -1, -1), (-1, -1, -1)])
def test_axes_that_dvr_s_intrinsics_turn(tmp_path: Path, signs: tuple[int, int, int]) -> None:
    views = shots(SKEWED)
    write_photos(tmp_path, views)
    dvr(tmp_path, views, signs, scale=2.5)
    assert_views(read_capture(tmp_path), views)


def test_neus_s_own_camera_mat_says_nothing(tmp_path: Path) -> None:
    """World to pixels in world_mat, and camera_mat beside it, as DTU's files have them: the IDR format, as ever."""
    views = shots(SKEWED)
    write_photos(tmp_path, views)
    dvr(tmp_path, views)
    with np.load(tmp_path / "cameras.npz") as archive:
        arrays = dict(archive)
    write_cameras(tmp_path / "cameras.npz", [view.world_mat for view in views])
    with np.load(tmp_path / "cameras.npz") as archive:
        np.savez(tmp_path / "cameras.npz", **{**arrays, **archive})
    assert find_capture(tmp_path).format == "IDR"
    assert_views(read_capture(tmp_path), views)


@pytest.mark.parametrize("one_K", [False, True])
def test_one_K_or_many_and_either_letter(tmp_path: Path, one_K: bool) -> None:
    views = shots(SKEWED)
    write_photos(tmp_path, views)
    krt(tmp_path, views, "t", one_K=one_K)
    assert_views(read_capture(tmp_path), views)


def test_matrices_keep_their_numbers_where_views_are_taken_out(tmp_path: Path) -> None:
    views = written(tmp_path, "krt")
    with np.load(tmp_path / "cameras.npz") as archive:
        np.savez(tmp_path / "cameras.npz", **{key: archive[key] for key in archive if not key.endswith("_2")})
    (tmp_path / "images" / "r_2.png").unlink()
    assert_views(read_capture(tmp_path), [view for index, view in enumerate(views) if index != 2])


ARRAYS: dict[str, tuple[str, dict[str, Any], str]] = {
    "dvr_shape": ("dvr", {"world_mat_2": np.eye(3)}, r"world_mat_2\): its shape is \(3, 3\), expected \(4, 4\)"),
    "dvr_nan": ("dvr", {"camera_mat_2": np.full((4, 4), np.nan)}, r"camera_mat_2\): expected 16 finite"),
    "dvr_row": ("dvr", {"camera_mat_2": np.ones((4, 4))}, r"camera_mat_2\): last row"),
    "dvr_other": ("dvr", {"world_mat_2": np.diag([1.0, 2, 1, 1])}, r"world_mat_2\): its left 3x3 block is no rotation"),
    "dvr_zero": ("dvr", {"camera_mat_2": np.diag([0.0, 1, 1, 1])}, "K is not upper triangular"),
    "dvr_missing": ("dvr", {"camera_mat_2": None}, r"camera_mat_2\): it is missing"),
    "krt_missing": ("krt", {"T_2": None}, r"T_2\): it is missing"),
    "krt_no_K": ("krt", {"K_2": None}, r"K_2\): it is missing"),
    "krt_text": ("krt", {"R_2": np.full((3, 3), "a")}, r"R_2\): expected 9 finite numbers"),
    "krt_complex": ("krt", {"R_2": np.eye(3) * 1j}, r"R_2\): expected 9 finite numbers"),
    "krt_K": ("krt", {"K_2": np.ones((3, 3))}, r"K_2\): K is not upper triangular"),
    "krt_surplus": ("krt", {"R_9": np.eye(3)}, "7 for 6 photos, and their numbers do not tell"),
}


@pytest.mark.parametrize("fault", ARRAYS)
def test_what_is_wrong_in_an_archive_is_named(tmp_path: Path, fault: str) -> None:
    name, changes, message = ARRAYS[fault]
    written(tmp_path, name)
    edit_cameras(tmp_path, **changes)
    with pytest.raises(BadInput, match=message):
        find_capture(tmp_path)

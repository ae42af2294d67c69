"""Reading whole captures: formats, sizes, pixel values, frames, rough poses (CAM-6)."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import (
    ORIGIN,
    SCALE,
    SIZE,
    VIEWS,
    edit_cameras,
    edit_images,
    make_capture,
    photograph,
    png_bytes,
    scale_mat,
    viewpoints,
    write_cameras,
)
from PIL import Image, features
from scipy import ndimage

from taichi_idr.cameras.pinhole import projections, transform_cameras
from taichi_idr.cameras.rotations import rotation_matrices
from taichi_idr.capture.formats.matrices import write_idr_cameras
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput, InputMissing
from taichi_idr.types import CaptureReading

EXACT = 1e-9
ROUNDING = 0.6
"""Averages are rounded in fixed point: measured at most 0.56 of a grey level."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "capture")


def test_photos_masks_and_cameras_come_as_written(folder):
    capture = read_capture(folder)
    assert (capture.name, len(capture), capture.warnings) == ("capture", VIEWS, ())
    assert capture.names == [f"{index:03d}" for index in range(VIEWS)]
    for index, view in enumerate(viewpoints()):
        colour, mask = photograph(view)
        assert np.array_equal(capture.images[index], colour) and capture.images[index].dtype == np.uint8
        assert np.array_equal(capture.masks[index], mask) and capture.masks[index].dtype == bool
        assert np.allclose(capture.cameras.intrinsics[index], view.K, atol=1e-6)
        R = rotation_matrices(capture.cameras.quaternions)[index]
        assert np.allclose(R, view.R_world_camera, atol=EXACT)
        assert np.allclose(capture.cameras.centres[index], (view.centre - ORIGIN) / SCALE, atol=EXACT)
    assert np.array_equal(capture.T_world_normalised, scale_mat())
    assert capture.cameras.centres.dtype == torch.float64


def test_arrays_may_be_given_to_torch(folder):
    capture = read_capture(folder)
    torch.from_numpy(capture.images[0]).add_(1)  # a read-only array would warn


def test_neus_names_and_keys_are_read(folder):
    expected = read_capture(folder)
    with np.load(folder / "cameras.npz") as archive:
        more = {f"scale_mat_inv_{index}": np.linalg.inv(scale_mat()) for index in range(VIEWS)}
        more |= {f"camera_mat_{index}": np.eye(4) for index in range(VIEWS)}
        np.savez_compressed(folder / "cameras_sphere.npz", **archive, **more)
    (folder / "cameras.npz").unlink()
    found = read_capture(folder)
    assert torch.equal(found.cameras.quaternions, expected.cameras.quaternions)


@pytest.mark.parametrize("scale", [-1.0, 250.0, -1e-3])
def test_projections_of_any_scale_give_the_same_cameras(folder, scale):
    expected = read_capture(folder).cameras
    for index, view in enumerate(viewpoints()):
        scaled = view.world_mat.copy()
        scaled[:3] *= scale
        edit_cameras(folder, **{f"world_mat_{index}": scaled})
    found = read_capture(folder).cameras
    assert torch.allclose(projections(found), projections(expected), atol=1e-6)


def test_three_by_four_matrices_are_read(folder):
    expected = read_capture(folder).cameras
    edit_cameras(folder, **{f"world_mat_{index}": view.world_mat[:3] for index, view in enumerate(viewpoints())})
    assert torch.equal(read_capture(folder).cameras.centres, expected.centres)


def test_rough_poses_keep_the_intrinsics_of_the_usual_file(folder):
    rough = [view.world_mat for view in viewpoints()]
    rough[2] = np.diag([1.1, 1.1, 1.0, 1.0]) @ rough[2]
    rough[2][:3, 3] += 1.0
    write_cameras(folder / "rough.npz", rough)
    exact, found = read_capture(folder).cameras, read_capture(folder, CaptureReading(cameras_file="rough.npz")).cameras
    assert torch.equal(found.intrinsics, exact.intrinsics)
    assert not torch.allclose(found.centres[2], exact.centres[2], atol=1e-4)


def test_one_frame_serves_all_views(folder):
    other = scale_mat()
    other[0, 3] += 5
    edit_cameras(folder, scale_mat_4=other)
    capture = read_capture(folder)
    assert np.allclose(capture.cameras.centres[4], (viewpoints()[4].centre - ORIGIN) / SCALE, atol=EXACT)
    assert len(capture.warnings) == 1 and "scale_mat_4" in capture.warnings[0]


@pytest.mark.parametrize("factor", [2, 3])
def test_downscaling_averages_photos_and_moves_the_principal_point(tmp_path, factor):
    size = (97, 83)
    view = viewpoints(size=size)[3]
    capture = read_capture(make_capture(tmp_path / "capture", size=size), downscale=factor)
    width, height = size[0] // factor, size[1] // factor
    colour, mask = photograph(view, size)
    blocks = [x[: height * factor, : width * factor].reshape(height, factor, width, factor, -1) for x in (colour, mask)]
    mean_colour, mean_mask = (block.astype(float).mean(axis=(1, 3)) for block in blocks)
    assert np.abs(capture.images[3] - mean_colour).max() <= ROUNDING
    clear = abs(mean_mask[..., 0] - 0.5) > 0.01
    assert np.array_equal(capture.masks[3][clear], (mean_mask[..., 0] > 0.5)[clear])
    K = view.K
    assert capture.cameras.intrinsics[3, 0, 2] == pytest.approx((K[0, 2] + 0.5) / factor - 0.5)
    assert capture.cameras.intrinsics[3, 1, 1] == pytest.approx(K[1, 1] / factor)


@pytest.mark.fault(14)
def test_photos_of_mixed_sizes(folder):
    for kind in ("image", "mask"):
        path = folder / kind / "002.png"
        with Image.open(path) as image:
            image.crop((0, 0, 37, 33)).save(path)
    capture = read_capture(folder)
    assert capture.images[2].shape == (33, 37, 3) and capture.masks[2].shape == (33, 37)
    assert capture.images[3].shape == (SIZE[1], SIZE[0], 3)


def test_other_files_beside_the_images_are_passed_over(folder):
    for name in ("notes.txt", ".DS_Store", "._000.png"):
        (folder / "image" / name).write_text("x")
    (folder / "image" / "small").mkdir()
    assert len(read_capture(folder)) == VIEWS


def test_jpeg_photos(folder):
    edit_images(folder / "image", lambda pixels: pixels)
    for path in sorted((folder / "image").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    capture = read_capture(folder)
    # Chroma subsampling smears the rims; the mean error is what quality 95 leaves.
    assert np.abs(capture.images[0].astype(int) - photograph(viewpoints()[0])[0]).mean() < 6


WHITE = np.array([255, 255, 255])
IMAGE_KINDS = {
    "16-bit grey": (
        lambda rgb: Image.fromarray(rgb[..., 0].astype(np.uint16) * 257),
        lambda rgb: rgb[..., :1].repeat(3, 2),
    ),
    "grey": (lambda rgb: Image.fromarray(rgb[..., 1]), lambda rgb: rgb[..., 1:2].repeat(3, 2)),
    "palette": (lambda rgb: Image.fromarray(rgb // 64 * 64).quantize(64), lambda rgb: rgb // 64 * 64),
    "alpha": (
        lambda rgb: Image.fromarray(np.dstack([rgb, np.full(rgb.shape[:2], 51, np.uint8)])),
        lambda rgb: 0.2 * rgb + 0.8 * WHITE,
    ),
}


@pytest.mark.parametrize("kind", IMAGE_KINDS)
@pytest.mark.fault(8, 9)
def test_kinds_of_images_become_eight_bit_rgb(folder, kind):
    convert, expected = IMAGE_KINDS[kind]
    edit_images(folder / "image", convert)
    capture = read_capture(folder)
    assert np.abs(capture.images[1] - expected(photograph(viewpoints()[1])[0])).max() <= 1
    assert len(capture.warnings) == (kind != "alpha")
    assert all(f"and {VIEWS - 1} more" in text for text in capture.warnings)


@pytest.mark.fault(8)
def test_sixteen_bit_colour_is_scaled(folder):
    rgb = photograph(viewpoints()[0])[0]
    write_sixteen_bit_png(folder / "image" / "000.png", rgb.astype(np.uint16) * 257)
    assert np.array_equal(read_capture(folder).images[0], rgb)


def write_sixteen_bit_png(path: Path, values: np.ndarray) -> None:
    """Pillow writes no 16-bit colour."""
    height, width, _ = values.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(png_bytes(width, height, 16, zlib.compress(lines)))


@pytest.mark.fault(10)
def test_cmyk_photos(folder):
    path = folder / "image" / "000.png"
    with Image.open(path) as image:
        image.convert("CMYK").save(path.with_suffix(".jpg"), quality=95)
    path.unlink()
    assert np.abs(read_capture(folder).images[0].astype(int) - photograph(viewpoints()[0])[0]).mean() < 6


@pytest.mark.fault(12)
def test_exif_never_turns_a_photo(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in sorted((folder / "image").iterdir()):
        with Image.open(path) as image:
            image.save(path, exif=exif)
    capture = read_capture(folder)
    assert np.array_equal(capture.images[0], photograph(viewpoints()[0])[0])
    assert len(capture.warnings) == 1 and "EXIF" in capture.warnings[0]


@pytest.mark.skipif(not features.check("webp"), reason="Pillow without WebP")
@pytest.mark.fault(16)
def test_only_the_first_page_is_read(folder):
    path = folder / "image" / "000.png"
    with Image.open(path) as image:
        image.save(path.with_suffix(".webp"), lossless=True, save_all=True, append_images=[image.rotate(180)])
    path.unlink()
    capture = read_capture(folder)
    assert np.array_equal(capture.images[0], photograph(viewpoints()[0])[0])
    assert len(capture.warnings) == 1 and "first page" in capture.warnings[0]


MASK_KINDS = {
    "zero and one": lambda mask: (mask > 127).astype(np.uint8),
    "one bit": lambda mask: Image.fromarray(mask).convert("1"),
    "three channels": lambda mask: np.dstack([mask] * 3),
    "four channels": lambda mask: np.dstack([mask] * 3 + [np.full_like(mask, 255)]),
    "sixteen bits": lambda mask: Image.fromarray(mask.astype(np.uint16) * 257),
    "eight in sixteen bits": lambda mask: Image.fromarray(mask.astype(np.uint16)),
    "palette": lambda mask: Image.fromarray(mask).convert("P"),
    "soft": lambda mask: _blurred(mask),
    "alpha alone": lambda mask: np.dstack([np.full_like(mask, 255)] * 3 + [mask]),
    "grey and alpha": lambda mask: np.dstack([np.full_like(mask, 80), mask]),
    "JPEG's noise": lambda mask: np.where(mask > 127, mask - NOISE, NOISE).astype(np.uint8),
}
SAID = {
    "grey": (lambda mask: np.where(mask > 127, 200, 90).astype(np.uint8), "90 and 200"),
    "labels": (lambda mask: np.where(mask > 127, 2, 0).astype(np.uint8), "0 and 2"),
    "per cent": (lambda mask: np.where(mask > 127, 100, 0).astype(np.uint8), "0 and 100"),
    "red on black": (lambda mask: np.dstack([mask, 0 * mask, 0 * mask]), "0 and 76"),
    "palette of reds": (lambda mask: _with_palette(mask, [0, 0, 0, 128, 0, 0]), "0 and 38"),
}
NAMED = {
    "three labels": (lambda mask: _with_area(np.where(mask > 127, 2, 0).astype(np.uint8), 1), "values 0, 1, 2"),
    "trimap": (lambda mask: _with_area(mask, 128), "values 0, 128, 255"),
    "void": (lambda mask: _with_area(np.where(mask > 127, 15, 0).astype(np.uint8), 255), "values 0, 15, 255"),
}
NOISE = np.random.default_rng(0).integers(0, 9, (SIZE[1], SIZE[0])).astype(np.uint8)


def _blurred(mask: np.ndarray) -> np.ndarray:
    """Of the same pixels above one half."""
    soft = ndimage.gaussian_filter(mask.astype(float), 1.0)
    return np.where(mask > 127, np.maximum(soft, 130), np.minimum(soft, 120)).astype(np.uint8)


def _with_palette(mask: np.ndarray, colours: list[int]) -> Image.Image:
    image = Image.fromarray((mask > 127).astype(np.uint8)).convert("P")
    image.putpalette(colours)
    return image


def _with_area(mask: np.ndarray, value: int) -> np.ndarray:
    changed = mask.copy()
    changed[2:9, 2:9] = value
    return changed


@pytest.mark.parametrize("kind", MASK_KINDS)
@pytest.mark.fault(25)
def test_masks_of_all_kinds_mean_the_same(folder, kind):
    edit_images(folder / "mask", MASK_KINDS[kind])
    capture = read_capture(folder)
    assert all(np.array_equal(m, photograph(v)[1]) for m, v in zip(capture.masks, viewpoints(), strict=True))
    assert capture.warnings == ()


@pytest.mark.parametrize("kind", SAID)
def test_of_two_values_the_brighter_is_the_object_and_it_is_said(folder, kind):
    change, values = SAID[kind]
    edit_images(folder / "mask", change)
    capture = read_capture(folder)
    assert all(np.array_equal(m, photograph(v)[1]) for m, v in zip(capture.masks, viewpoints(), strict=True))
    assert capture.warnings == (f"masks have the values {values}: the brighter one is taken for the object",)


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.fault(25)
def test_three_values_are_named(folder, kind):
    change, values = NAMED[kind]
    edit_images(folder / "mask", change)
    with pytest.raises(BadInput, match=rf"^mask of more than two values \(.*000.png\): areas of the {values};"):
        read_capture(folder)


def test_a_photo_without_alpha_among_others_is_named(folder):
    for path in (folder / "image").iterdir():
        with Image.open(path) as image, Image.open(folder / "mask" / path.name) as mask:
            if path.stem != "005":
                image.putalpha(mask.convert("L"))
            image.save(path)
    shutil.rmtree(folder / "mask")
    with pytest.raises(BadInput, match=r"^photo without alpha \(.*005.png\): 7 of 8 photos"):
        read_capture(folder)


@pytest.mark.parametrize("chosen", [None, "wires"])
def test_ignored_pixels_are_neither_object_nor_background(folder, chosen):
    (folder / (chosen or "ignore")).mkdir()
    pixels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    pixels[:, 20:24] = 255
    Image.fromarray(pixels).save(folder / (chosen or "ignore") / "003.png")
    whole = photograph(viewpoints()[3])[1]
    capture = read_capture(folder, CaptureReading(ignore=chosen))
    assert [part is None for part in capture.ignored] == [view != 3 for view in range(8)]
    assert np.array_equal(capture.ignored[3], pixels > 0)
    assert np.array_equal(capture.masks[3], whole & (pixels == 0)) and (whole & (pixels > 0)).any()
    half = read_capture(folder, CaptureReading(ignore=chosen), downscale=2)
    assert np.array_equal(half.ignored[3][0], np.repeat([False, True, False], [10, 2, 12]))


def test_what_is_to_be_ignored_belongs_to_photos(folder):
    with pytest.raises(InputMissing, match=r"^no such folder \(--ignore .*wires\)"):
        read_capture(folder, CaptureReading(ignore="wires"))
    (folder / "ignore").mkdir()
    Image.fromarray(np.full((SIZE[1], SIZE[0]), 255, np.uint8)).save(folder / "ignore" / "other.png")
    with pytest.raises(BadInput, match=r"^pictures to ignore do not pair \(.*ignore\): none is named as a photo"):
        read_capture(folder)
    (folder / "ignore" / "other.png").rename(folder / "ignore" / "003_ignore.png")
    with pytest.raises(BadInput, match=r"^nothing left of a photo \(.*003.png\)"):
        read_capture(folder)


@pytest.mark.fault(24)
def test_inverted_masks_are_turned_on_request(folder):
    edit_images(folder / "mask", lambda mask: 255 - mask)
    assert np.array_equal(
        read_capture(folder, CaptureReading(invert_masks=True)).masks[0], photograph(viewpoints()[0])[1]
    )


@pytest.mark.fault(22)
def test_masks_of_another_size_are_resized_on_request(folder):
    edit_images(folder / "mask", lambda mask: Image.fromarray(mask).resize((3 * SIZE[0], 3 * SIZE[1]), 0))
    masks = read_capture(folder, CaptureReading(resize_masks=True)).masks
    assert all(np.array_equal(m, photograph(v)[1]) for m, v in zip(masks, viewpoints(), strict=True))


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.fault(11)
def test_alpha_is_the_mask_where_there_is_no_mask_folder(folder, factor):
    expected = read_capture(folder, downscale=factor).masks
    for path in sorted((folder / "image").iterdir()):
        with Image.open(path) as image, Image.open(folder / "mask" / path.name) as mask:
            image.putalpha(mask)
            image.save(path)
        (folder / "mask" / path.name).unlink()
    (folder / "mask").rmdir()
    capture = read_capture(folder, downscale=factor)
    assert all(np.array_equal(a, b) for a, b in zip(capture.masks, expected, strict=True))


@pytest.mark.fault(21)
def test_one_full_mask_is_a_warning(folder):
    Image.new("L", SIZE, 255).save(folder / "mask" / "004.png")
    warnings = read_capture(folder).warnings
    assert len(warnings) == 1 and "004" in warnings[0]


def test_one_foreign_mask_is_a_warning_that_names_it(tmp_path):
    folder = make_capture(tmp_path / "capture", views=16)
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[2:12, 2:14] = 255
    Image.fromarray(mask).save(folder / "mask" / "009.png")
    warnings = read_capture(folder).warnings
    assert len(warnings) == 1 and "009" in warnings[0]


@pytest.mark.fault(41)
def test_an_object_that_just_leaves_the_sphere_is_a_warning(folder):
    smaller = scale_mat() @ np.diag([0.68, 0.68, 0.68, 1.0])
    edit_cameras(folder, **{f"scale_mat_{index}": smaller for index in range(VIEWS)})
    warnings = read_capture(folder).warnings
    assert len(warnings) == 1 and "unit sphere" in warnings[0] and "--normalize" in warnings[0]


def test_cameras_written_are_read_again(folder, tmp_path):
    capture = read_capture(folder)
    turned = scale_mat()
    turned[:3, :3] = turned[:3, :3] @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    in_turned = transform_cameras(np.linalg.inv(turned) @ capture.T_world_normalised, capture.cameras)
    write_idr_cameras(folder / "cameras.npz", in_turned, turned)
    again = read_capture(folder)
    assert np.allclose(again.T_world_normalised, turned)
    for field in ("quaternions", "centres", "intrinsics"):
        assert torch.allclose(getattr(again.cameras, field), getattr(in_turned, field), atol=1e-8)


def test_real_captures_are_read_without_complaint(capture_data):
    capture = read_capture(capture_data("nefertiti"))
    assert len(capture) == 48 and capture.images[0].shape == (448, 448, 3) and capture.warnings == ()
    heldout = read_capture(capture_data("nefertiti") / "heldout")
    assert len(heldout) == 8


def test_fewer_views_do_where_they_are_only_looked_at(tmp_path):
    folder = make_capture(tmp_path / "capture", views=2)
    with pytest.raises(BadInput, match="too few images"):
        read_capture(folder)
    assert len(read_capture(folder, fewest_views=1)) == 2

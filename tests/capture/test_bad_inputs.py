"""Every fault of a capture has one error, that names the place, says what to do, and comes quickly."""

from __future__ import annotations

import pickle
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from captures import (
    ORIGIN,
    SCALE,
    SIZE,
    VIEWS,
    edit_cameras,
    edit_images,
    make_capture,
    png_bytes,
    scale_mat,
    viewpoints,
)
from PIL import Image

from taichi_idr.capture import images
from taichi_idr.capture.images import MOST_TOGETHER, read_photos
from taichi_idr.capture.masks import check_masks
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput, ExitCode, InputMissing, TidrError, UsageError
from taichi_idr.types import CaptureReading

SECONDS = 10.0
"""Several times what the slowest takes on an idle core, the search for what is wrong with masks that disagree; a loop
over a bomb takes minutes."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "capture")


Fault = Callable[[Path], object]


def world(index: int) -> np.ndarray:
    return viewpoints()[index].world_mat


def with_world(index: int, matrix: np.ndarray | None) -> Fault:
    return lambda folder: edit_cameras(folder, **{f"world_mat_{index}": matrix})


def with_scale(matrix: np.ndarray) -> Fault:
    return lambda folder: edit_cameras(folder, scale_mat_0=matrix)


def with_all_scales(matrix: np.ndarray) -> Fault:
    return lambda folder: edit_cameras(folder, **{f"scale_mat_{index}": matrix for index in range(VIEWS)})


def changed(matrix: np.ndarray, **entries: float) -> np.ndarray:
    """`changed(M, r1c2=5)` sets M[1, 2]."""
    result = matrix.copy()
    for place, value in entries.items():
        result[int(place[1]), int(place[3])] = value
    return result


def cut(name: str, share: float) -> Fault:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return apply


def written(name: str, data: bytes) -> Fault:
    return lambda folder: (folder / name).write_bytes(data)


def removed(name: str) -> Fault:
    return lambda folder: (folder / name).unlink() if (folder / name).is_file() else shutil.rmtree(folder / name)


def cut_jpeg(folder: Path) -> None:
    data = BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(data, "JPEG")
    (folder / "image" / "000.png").unlink()
    (folder / "image" / "000.jpg").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])


def few_images(folder: Path) -> None:
    for kind in ("image", "mask"):
        for path in sorted((folder / kind).iterdir())[2:]:
            path.unlink()


def no_images(folder: Path) -> None:
    for path in (folder / "image").iterdir():
        path.unlink()


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def all_masks(change: Callable[[np.ndarray], np.ndarray | Image.Image]) -> Fault:
    return lambda folder: edit_images(folder / "mask", change)


def shuffled_masks(folder: Path) -> None:
    """Different objects in every photo."""
    random = np.random.default_rng(0)
    for path in sorted((folder / "mask").iterdir()):
        mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
        row, column = random.integers(1, 25), random.integers(1, 33)
        mask[row : row + 10, column : column + 10] = 255
        Image.fromarray(mask).save(path)


def one_place(folder: Path) -> None:
    matrices = {}
    for index, view in enumerate(viewpoints()):
        R = view.R_world_camera.T
        matrices[f"world_mat_{index}"] = view.K @ np.column_stack([R, -R @ viewpoints()[0].centre])
    edit_cameras(folder, **matrices)


def turned_away(folder: Path) -> None:
    """Half a turn about each camera's y axis."""
    flip, parts = np.diag([-1.0, 1.0, -1.0]), {}
    for index, view in enumerate(viewpoints()):
        R = flip @ view.R_world_camera.T
        parts[f"world_mat_{index}"] = view.K @ np.column_stack([R, -R @ view.centre])
    edit_cameras(folder, **parts)


def colliding_names(folder: Path) -> None:
    shutil.copy(folder / "image" / "003.png", folder / "image" / "003.PNG")


def fifo_camera_file(folder: Path) -> None:
    import os

    (folder / "cameras.npz").unlink()
    os.mkfifo(folder / "cameras.npz")


DOT = png_bytes(1, 1, 8, zlib.compress(b"\0abc"))
BOMB = png_bytes(60000, 60000, 8, zlib.compress(b"\0" * 1000))
HOLLOW = png_bytes(9000, 9000, 8, zlib.compress(b"\0" * 1000))
LINES = zlib.compress((b"\0" + b"abc" * 48) * 40)
BOASTING = png_bytes(48, 40, 8, LINES).replace(
    struct.pack(">I", len(LINES)) + b"IDAT", struct.pack(">I", 4286513195) + b"IDAT"
)
NAN, ZERO = changed(world(3), r1c2=np.nan), np.zeros((4, 4))
SINGULAR = np.vstack([world(3)[0], world(3)[1], world(3)[1], world(3)[3]])

CASES: dict[str, tuple[Fault, type[TidrError], str]] = {
    "missing folder": (removed("."), InputMissing, r"^no capture \(.*capture\): there is no such folder"),
    "file instead of folder": (a_file, InputMissing, r"^no capture \(.*capture\): it is a file"),
    "no image folder": (removed("image"), InputMissing, r"^no image folder \(.*image\)"),
    "no mask folder": (removed("mask"), InputMissing, r"^no mask folder \(.*mask\)"),
    "no cameras": (removed("cameras.npz"), InputMissing, r"^no camera file \(.*cameras.npz\)"),
    "camera file is a pipe": (fifo_camera_file, InputMissing, r"^no camera file \(.*cameras.npz\)"),
    "no images": (no_images, BadInput, r"^no images \(.*image\): 0 found, at least 3 needed"),
    "two images": (few_images, BadInput, r"^too few images \(.*image\): 2 found, at least 3 needed"),
    "names equal but for case": (colliding_names, BadInput, r"^two images of one name \(.*003\.(png|PNG)\)"),
    "cut PNG": (cut("image/002.png", 0.5), BadInput, r"^unreadable image \(.*002.png\): damaged or cut short"),
    "cut JPEG": (cut_jpeg, BadInput, r"^unreadable image \(.*000.jpg\): damaged or cut short"),
    "empty image": (written("image/002.png", b""), BadInput, r"^unreadable image \(.*002.png\): the file is empty"),
    "text as image": (written("image/002.png", b"hello\n" * 99), BadInput, r"image \(.*002.png\): not an image"),
    "bomb": (written("image/002.png", BOMB), BadInput, r"^image too large \(.*002.png\): 60000x60000 pixels"),
    "unsupported image": (written("image/009.heic", b"x"), BadInput, r"^unsupported image \(.*009.heic\)"),
    "pixels without bytes": (
        written("image/002.png", HOLLOW),
        BadInput,
        r"^unreadable image \(.*002.png\): damaged or cut short \(\d+ bytes for 9000x9000 pixels\)",
    ),
    "chunk without bytes": (
        written("image/002.png", BOASTING),
        BadInput,
        r"^unreadable image \(.*002.png\): damaged or cut short \(\d+ bytes, one chunk has 4286513195\)",
    ),
    "tiny image": (written("image/002.png", DOT), BadInput, r"^image too small \(.*002.png\): 1x1 pixels"),
    "mask missing": (removed("mask/004.png"), BadInput, r"^masks and images do not pair .*: 7 masks .*for 004.png"),
    "mask of another size": (
        lambda folder: Image.new("L", (30, 30)).save(folder / "mask" / "004.png"),
        BadInput,
        r"^mask of another size \(.*004.png\): 30x30 pixels, its photo has 48x40; .*--resize-masks",
    ),
    "cut mask": (cut("mask/002.png", 0.5), BadInput, r"^unreadable image \(.*mask/002.png\)"),
    "empty mask": (
        lambda folder: Image.new("L", SIZE).save(folder / "mask" / "004.png"),
        BadInput,
        r"^empty mask \(004\)",
    ),
    "full masks": (all_masks(lambda mask: np.full_like(mask, 255)), BadInput, r"^no silhouette \(masks\)"),
    "inverted masks": (all_masks(lambda mask: 255 - mask), BadInput, r"^masks look inverted \(8 of 8 .*--invert-masks"),
    "masks of other photos": (shuffled_masks, BadInput, r"^(masks disagree|object outside the unit sphere) \("),
    "cut cameras": (cut("cameras.npz", 0.7), BadInput, r"^damaged archive \(.*cameras.npz\)"),
    "empty cameras": (written("cameras.npz", b""), BadInput, r"^empty file \(.*cameras.npz\)"),
    "text as cameras": (written("cameras.npz", b"hello"), BadInput, r"^damaged archive \(.*cameras.npz\)"),
    "missing key": (with_world(5, None), BadInput, r"^missing matrix \(.*: world_mat_5\): images 0\.\.\.7 need one"),
    "key too many": (with_world(8, world(0)), BadInput, r"^matrix without image \(.*: world_mat_8\)"),
    "NaN": (with_world(3, NAN), BadInput, r"^bad matrix \(.*: world_mat_3\): NaN or infinity"),
    "infinity": (with_world(3, changed(world(3), r0c0=np.inf)), BadInput, r"world_mat_3\): NaN or infinity"),
    "vast matrix": (with_world(3, world(3) * [[1e300], [1], [1], [1]]), BadInput, r"world_mat_3\): numbers of 1e\+3"),
    "vast in the end": (
        with_world(3, world(3) * [[1], [1], [1], [1e-300]]),
        BadInput,
        r"world_mat_3\): numbers of .*e\+30",
    ),
    "minute scale_mat": (with_scale(np.diag([1e-200] * 3 + [1])), BadInput, r"scale_mat_0\): numbers of 1e-200"),
    "zero matrix": (with_world(3, ZERO), BadInput, r"^bad matrix \(.*: world_mat_3\): last row"),
    "zero 3x4 matrix": (with_world(3, ZERO[:3]), BadInput, r"world_mat_3\): its left 3x3 block is singular"),
    "singular matrix": (with_world(3, SINGULAR), BadInput, r"world_mat_3\): its left 3x3 block is singular"),
    "another shape": (with_world(3, np.eye(5)), BadInput, r"world_mat_3\): expected 4x4 numbers, got shape \(5, 5\)"),
    "text in a matrix": (with_world(3, np.full((4, 4), "1")), BadInput, r"world_mat_3\): expected 4x4 numbers"),
    "one scale_mat missing": (
        lambda folder: edit_cameras(folder, scale_mat_2=None),
        BadInput,
        r"^missing matrix \(.*: scale_mat_2\): .*--normalize",
    ),
    "zero scale_mat": (with_scale(np.diag([0.0, 0, 0, 1])), BadInput, r"scale_mat_0\): .*singular; .*--normalize"),
    "NaN scale_mat": (with_scale(np.full((4, 4), np.nan)), BadInput, r"scale_mat_0\): NaN .*--normalize"),
    "anisotropic scale_mat": (with_scale(np.diag([90, 80, 90, 1.0])), BadInput, r"scale_mat_0\): expected one scale"),
    "mirroring scale_mat": (with_scale(np.diag([-90, 90, 90, 1.0])), BadInput, r"scale_mat_0\): expected one scale"),
    "object too large": (
        with_all_scales(scale_mat() @ np.diag([0.3, 0.3, 0.3, 1])),
        BadInput,
        r"^object outside the unit sphere \(scale_mat_0\): [\d.]+ % of the object's pixels .*--normalize",
    ),
    "object half outside": (
        with_all_scales(changed(scale_mat(), r0c3=ORIGIN[0] - 1.1 * SCALE)),
        BadInput,
        r"^object outside the unit sphere \(scale_mat_0\)",
    ),
    "object elsewhere": (
        with_all_scales(changed(scale_mat(), r0c3=300.0)),
        BadInput,
        r"^object outside the unit sphere \(scale_mat_0\)",
    ),
    "all cameras in one place": (one_place, BadInput, r"^degenerate cameras \(8 views\)"),
    "cameras look away": (turned_away, BadInput, r"^cameras look away from the object"),
    "photos of another size": (
        lambda folder: edit_cameras(
            folder, **{f"world_mat_{i}": np.diag([8, 8, 1, 1]) @ v.world_mat for i, v in enumerate(viewpoints())}
        ),
        BadInput,
        r"^camera does not fit its photo \(view 000\)",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.fault(1, 2, 3, 4, 6, 15, 16, 18, 20, 21, 22, 23, 24, 26, 28, 35, 36, 37, 39, 40, 41)
def test_each_fault_has_its_error(folder, case):
    damage, kind, pattern = CASES[case]
    damage(folder)
    started = time.monotonic()
    with pytest.raises(kind, match=pattern) as caught:
        read_capture(folder)
    assert time.monotonic() - started < SECONDS
    assert type(caught.value) is kind and "\n" not in str(caught.value)
    assert caught.value.exit_code == (ExitCode.INPUT_MISSING if kind is InputMissing else ExitCode.BAD_INPUT)


@pytest.mark.fault(27)
def test_an_object_that_photos_cut_off_is_a_warning():
    mask = np.zeros((40, 48), bool)
    mask[10:30, :20] = True
    (warning,) = check_masks(list("abcdef"), [mask] * 6, inverted=False)
    assert warning.startswith("the object touches the border in 6 of 6 views")
    assert not check_masks(list("abcdef"), [np.roll(mask, 5, axis=1)] * 6, inverted=False)


@pytest.mark.fault(24)
def test_masks_that_are_inverted_by_mistake(folder):
    with pytest.raises(BadInput, match="omit --invert-masks"):
        read_capture(folder, CaptureReading(invert_masks=True))


@pytest.mark.fault(7)
def test_a_limit_on_pixels_may_be_chosen(folder):
    with pytest.raises(BadInput, match="48x40 pixels, at most 1000"):
        read_capture(folder, CaptureReading(max_pixels=1000))


@pytest.mark.fault(7)
def test_what_nobody_can_choose_is_not_advised(folder, monkeypatch):
    """`tidr prepare` has no --max-pixels."""
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    with (
        pytest.raises(BadInput, match=r"at most 1000; shrink the photos$"),
        images.opened(folder / "image" / "000.png"),
    ):
        pass


@pytest.mark.fault(7)
def test_photos_together_have_a_limit_before_any_is_decoded(tmp_path):
    """A file of 400 KB may hold 100 MP, and there may be hundreds: 8 of them took 7 GB."""
    rows = zlib.compress(b"\0" * (1 + 3 * 64) * 64)
    files = [tmp_path / f"{index}.png" for index in range(MOST_TOGETHER + 1)]
    for path in files:
        path.write_bytes(png_bytes(64, 64, 8, rows))
    most = 64 * 64
    assert len(read_photos(files[:-1], max_pixels=most)) == MOST_TOGETHER
    files[0].write_bytes(files[0].read_bytes()[:60])  # would be named, were it decoded first
    with pytest.raises(BadInput, match=r"^photos too large together \(13 photos\): .*--downscale 2, or .*--max-pixels"):
        read_photos(files, max_pixels=most)
    with pytest.raises(BadInput, match="unreadable image"):
        read_photos(files, max_pixels=most, downscale=2)


def test_downscaling_leaves_something(folder):
    with pytest.raises(BadInput, match="downscale 4 leaves less than 16"):
        read_capture(folder, downscale=4)
    with pytest.raises(UsageError, match="downscale"):
        read_capture(folder, downscale=0)


@pytest.mark.fault(26)
def test_normalising_refuses_silhouettes_without_a_common_object(folder):
    shuffled_masks(folder)
    with pytest.raises(BadInput, match=r"^(masks disagree|object not found) \(.*views?"):
        read_capture(folder, CaptureReading(normalize=True))


@pytest.mark.fault(1, 2, 5)
def test_photos_cut_anywhere_are_refused_or_whole(folder):
    path = folder / "image" / "002.png"
    data, whole = path.read_bytes(), read_capture(folder).images[2]
    for length in range(0, len(data), max(1, len(data) // 12)):
        path.write_bytes(data[:length])
        with pytest.raises(BadInput, match=r"002\.png"):
            read_capture(folder)
    path.write_bytes(data[:-12])  # without the end marker all pixels are there
    try:
        assert np.array_equal(read_capture(folder).images[2], whole)
    except BadInput as error:
        assert "002.png" in str(error)


@pytest.mark.filterwarnings("error")
def test_numbers_beside_the_matrices_that_are_used(folder):
    """Found by fuzzing: dates where another view's scale_mat should be, and numbers beyond single precision."""
    edit_cameras(folder, scale_mat_2=scale_mat().astype("datetime64[s]"))
    assert any("scale_mats differ" in text for text in read_capture(folder).warnings)
    edit_cameras(folder, **{f"scale_mat_{view}": None for view in range(VIEWS)})
    edit_cameras(folder, world_mat_1=viewpoints()[1].world_mat * 1e60)
    assert len(read_capture(folder)) == VIEWS


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.fault(29, 30)
def test_pickles_are_refused_and_not_run(folder, tmp_path):
    canary = tmp_path / "canary"
    hidden = np.empty((4, 4), dtype=object)
    hidden[:] = Canary(canary)
    edit_cameras(folder, world_mat_3=hidden)
    with pytest.raises(BadInput, match=r"^refused \(.*: world_mat_3\): pickled data can run code"):
        read_capture(folder)
    (folder / "cameras.npz").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(BadInput, match=r"^refused \(.*cameras.npz\): pickled data can run code"):
        read_capture(folder)
    assert not canary.exists()
    pickle.loads((folder / "cameras.npz").read_bytes())
    assert canary.exists()


@pytest.mark.fault(17)
def test_floating_point_images_are_refused(folder):
    (folder / "image" / "000.png").unlink()
    Image.fromarray(np.full((SIZE[1], SIZE[0]), np.nan, np.float32)).save(folder / "image" / "000.tiff")
    with pytest.raises(BadInput, match=r"^unsupported image \(.*000\.tiff\): pixels of mode F"):
        read_capture(folder)

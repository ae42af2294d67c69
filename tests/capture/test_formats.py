"""One capture in several formats: the same views, to the last digit, and damage that is named."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import captures
import numpy as np
import pytest
from captures import View, photograph, viewpoints
from PIL import Image
from tiny_fits import fit
from written_formats import (
    SIZE,
    VIEWS,
    K,
    assert_views,
    blender,
    colmap_binary,
    colmap_text,
    in_world,
    instant_ngp,
    nerfstudio,
    shots,
    write_photos,
)

from taichi_idr.capture.distortion import Straightening, distorted
from taichi_idr.capture.formats.catalogue import find_capture, find_heldout
from taichi_idr.capture.formats.colmap import colmap_texts
from taichi_idr.capture.formats.source import Lens, Pinhole
from taichi_idr.capture.formats.transforms import transforms
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.evaluate import evaluate_run
from taichi_idr.commands.render import render_run
from taichi_idr.errors import BadInput, InputMissing, TidrError
from taichi_idr.runs.loading import load_run
from taichi_idr.types import CaptureReading

SQUARE = np.array([[60.0, 0, 23.5], [0, 60.0, 19.5], [0, 0, 1]])
"""What Blender's one angle can say."""
LARGE, K_LARGE = (192, 160), np.array([[220.0, 0, 98.0], [0, 225.0, 77.5], [0, 0, 1]])
"""Photos in which a lens shows."""
LENS = (1.5, 0.1, 0.02, -0.02)
Writer = Callable[..., None]


FORMATS: dict[str, Writer] = {
    "colmap_binary": colmap_binary,
    "colmap_text": colmap_text,
    "nerfstudio": nerfstudio,
    "instant_ngp": instant_ngp,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_photos(tmp_path / "balls", shots())
    return tmp_path / "balls"


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_tells_the_same_views(folder: Path, name: str) -> None:
    FORMATS[name](folder, shots())
    capture = read_capture(folder)
    assert capture.names == [f"r_{index}" for index in range(VIEWS)]
    assert_views(capture, shots())
    for index, view in enumerate(shots()):
        colour, mask = photograph(view, SIZE)
        assert np.array_equal(capture.images[index], colour) and np.array_equal(capture.masks[index], mask)


def test_blender_s_scenes_bring_their_silhouettes(tmp_path: Path) -> None:
    views = shots(SQUARE)
    write_photos(tmp_path, views, alpha=True, image="train")
    blender(tmp_path, views)
    capture = read_capture(tmp_path)
    assert_views(capture, views)
    assert all(np.array_equal(mask, photograph(v, SIZE)[1]) for mask, v in zip(capture.masks, views, strict=True))


def test_the_test_views_of_blender_s_scenes_are_held_out(tmp_path: Path) -> None:
    """Of transforms_test.json or, where its photos are not there, of transforms_val.json; in the run's frame."""
    views, unseen = shots(SQUARE), [replace(view, K=SQUARE) for view in viewpoints(9, SIZE)[1::3]]
    scene, run = tmp_path / "scene", tmp_path / "run"
    write_photos(scene, views, alpha=True, image="train")
    blender(scene, views)
    assert find_heldout(scene, CaptureReading()) is None
    for part in ("test", "val"):
        blender(scene, unseen, part)
    write_photos(scene, unseen, alpha=True, image="val")
    layout = find_heldout(scene, CaptureReading())
    assert layout is not None and layout.cameras.name == "transforms_val.json"
    assert_views(read_capture(scene, layout=layout), unseen)
    assert fit(scene, run, steps=10).steps == 10
    assert evaluate_run(run, max_views=1)["heldout_psnr_db"] > 5
    assert len(render_run(run, views="heldout", size=24)) == 3 * len(unseen)
    (scene / "val" / "r_1.png").unlink()
    with pytest.raises(InputMissing, match=r"transforms_val.json\): 1 of 3 frames: val/r_1;"):
        find_heldout(scene, CaptureReading())
    (scene / "transforms_train.json").rename(scene / "transforms.json")
    assert find_heldout(scene, CaptureReading()) is None


def test_what_we_write_we_read(folder: Path) -> None:
    colmap_binary(folder, shots())
    cameras = in_world(read_capture(folder))
    sizes = [(SIZE[1], SIZE[0])] * VIEWS
    for path in (folder / "sparse" / "0").iterdir():
        path.unlink()
    for name, text in colmap_texts(cameras, [f"r_{index}.png" for index in range(VIEWS)], sizes).items():
        (folder / "sparse" / "0" / name).write_text(text)
    assert_views(read_capture(folder), shots())
    for path in (folder / "sparse" / "0").iterdir():
        path.unlink()
    (folder / "images").rename(folder / "image")
    tree = transforms(cameras, [f"r_{index}.png" for index in range(VIEWS)], sizes)
    (folder / "transforms.json").write_text(json.dumps(tree))
    assert_views(read_capture(folder), shots())


def bent_photo(view: View, lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """What a lens sees in a LARGE photo: the ray of each pixel, by fixed-point iteration, met in a finer photo."""
    column, row = np.meshgrid(np.arange(LARGE[0]), np.arange(LARGE[1]))
    target = (column - view.K[0, 2]) / view.K[0, 0], (row - view.K[1, 2]) / view.K[1, 1]
    x, y = target
    for _ in range(100):
        bent_x, bent_y = distorted(lens, x, y)
        x, y = x + 0.4 * (target[0] - bent_x), y + 0.4 * (target[1] - bent_y)
    fine, rim = 4, 200
    size = (fine * LARGE[0] + 2 * rim, fine * LARGE[1] + 2 * rim)
    K_fine = view.K * [[fine], [fine], [1]] + np.array([[0, 0, rim], [0, 0, rim], [0, 0, 0]])
    colour, mask = photograph(replace(view, K=K_fine), size)
    u, v = np.rint(K_fine[0, 0] * x + K_fine[0, 2]).astype(int), np.rint(K_fine[1, 1] * y + K_fine[1, 2]).astype(int)
    assert u.min() >= 0 and v.min() >= 0 and u.max() < size[0] and v.max() < size[1]
    return colour[v, u], mask[v, u]


@pytest.mark.parametrize("fisheye", [False, True], ids=["brown", "fisheye"])
def test_a_lens_is_straightened(folder: Path, fisheye: bool) -> None:
    """The photo that a pinhole of the new intrinsics would have taken, of which the bent one is far."""
    lens, views = Lens((-0.3, 0.05, -0.02, 0.0) if fisheye else LENS, fisheye), shots(K_LARGE, LARGE)
    bent = [bent_photo(view, lens) for view in views]
    for index, (colour, mask) in enumerate(bent):
        Image.fromarray(colour).save(folder / "images" / f"r_{index}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"r_{index}.png")
    names = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2")
    model = "OPENCV_FISHEYE" if fisheye else "OPENCV"
    nerfstudio(folder, views, LARGE, camera_model=model, **dict(zip(names, lens.coefficients, strict=True)))
    capture = read_capture(folder)
    assert any("lens distortion is removed from 6 of 6 photos" in warning for warning in capture.warnings)
    straight = in_world(capture).intrinsics.numpy()
    for index, view in enumerate(views):
        expected, mask = photograph(replace(view, K=straight[index]), LARGE)
        unstraightened, bent_mask = bent[index]
        unseen = capture.ignored[index] if capture.ignored else None
        if unseen is not None:
            assert 0 < unseen.mean() < 0.5
            mask = mask & ~unseen
        assert (mask != capture.masks[index]).mean() < max(0.002, 0.3 * (mask != bent_mask).mean())
        both = mask & capture.masks[index] & bent_mask
        error, without = (
            abs(photo.astype(float) - expected)[both].mean() for photo in (capture.images[index], unstraightened)
        )
        assert error < (0.3 if fisheye else 0.7) * without  # Brown's bends little near the axis, where the object is
    if not fisheye:
        (folder / "transforms.json").unlink()
        colmap_text(folder, views, LARGE, LENS)
        twin = read_capture(folder)
        assert all(np.array_equal(a, b) for a, b in zip(twin.images, capture.images, strict=True))


COLMAP_LENSES = {
    "SIMPLE_PINHOLE": ((200, 100, 80), (160.0, 40.0)),
    "PINHOLE": ((200, 210, 100, 80), (160.0, 38.0)),
    "SIMPLE_RADIAL": ((200, 100, 80, -0.1), (159.22, 40.519999999999996)),
    "RADIAL": ((200, 100, 80, -0.1, 0.02), (159.24027999999998, 40.506479999999996)),
    "OPENCV": ((200, 210, 100, 80, -0.1, 0.02, 0.003, -0.002), (159.04428, 38.714504)),
    "OPENCV_FISHEYE": ((200, 210, 100, 80, -0.1, 0.02, 0.003, -0.002), (156.9128984600334, 40.16097107797661)),
    "FULL_OPENCV": (
        (200, 210, 100, 80, -0.1, 0.02, 0.003, -0.002, 0.01, 0.05, -0.01, 0.002),
        (158.67264215768603, 38.974650489619755),
    ),
    "SIMPLE_RADIAL_FISHEYE": ((200, 100, 80, -0.1), (156.8961102631553, 42.069259824563126)),
    "RADIAL_FISHEYE": ((200, 100, 80, -0.1, 0.02), (156.91262549135496, 42.05824967243002)),
}
"""Parameters of 200 x 160 cameras, and where COLMAP 4.2.1 (`Camera.img_from_cam`) sees the ray (0.3, -0.2, 1)."""


@pytest.mark.parametrize("kind", COLMAP_LENSES)
def test_lenses_bend_as_colmap_s_do(folder: Path, kind: str) -> None:
    colmap_text(folder, shots())
    numbers, expected = COLMAP_LENSES[kind]
    (folder / "sparse" / "cameras.txt").write_text(f"3 {kind} 200 160 {' '.join(map(str, numbers))}\n")
    view = find_capture(folder).views[0]
    x, y = distorted(view.lens, np.array([0.3]), np.array([-0.2]))
    pixel = view.pinhole.fx * x[0] + view.pinhole.cx + 0.5, view.pinhole.fy * y[0] + view.pinhole.cy + 0.5
    np.testing.assert_allclose(pixel, expected, rtol=0, atol=1e-9)


def test_straight_photos_show_nothing_that_was_not_seen() -> None:
    for coefficients in ((0.2, 0.05), (-0.2, 0.02), LENS):
        bent = Pinhole(60.0, 60.0, 25.0, 18.0, *SIZE)
        white = Image.new("L", SIZE, 255)
        straightening = Straightening(Lens(coefficients), bent)
        column, row = straightening._sources(*np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])))
        beyond = np.maximum(abs(column - 23.5) - 24, abs(row - 19.5) - 20)
        assert np.array_equal(beyond > 0, straightening.unseen)
        assert np.asarray(straightening.image(white)).min() == 255
        assert straightening.straight.fx <= bent.fx and (straightening.straight.fx == bent.fx) == (coefficients[0] > 0)


@pytest.mark.fault(46)
def test_a_lens_that_bends_two_rays_into_one_is_refused(folder: Path) -> None:
    nerfstudio(folder, shots(), k1=-9.0)
    with pytest.raises(BadInput, match="bends two rays of a photo into one"):
        read_capture(folder)


@pytest.mark.fault(13)
def test_smaller_photos_than_the_cameras_were_found_for(folder: Path) -> None:
    colmap_binary(folder, shots())
    for part in ("images", "masks"):
        for path in (folder / part).iterdir():
            image = Image.open(path)
            image.reduce(2).save(path)
    capture = read_capture(folder)
    cameras = in_world(capture)
    np.testing.assert_allclose(cameras.intrinsics[0, 0, 0], K[0, 0] / 2)
    np.testing.assert_allclose(cameras.intrinsics[0, 0, 2], (K[0, 2] + 0.5) / 2 - 0.5)
    assert any("the intrinsics are scaled" in warning for warning in capture.warnings)
    Image.new("RGB", (24, 30)).save(folder / "images" / "r_2.png")
    with pytest.raises(BadInput, match=r"camera of another size .*r_2\.png"):
        read_capture(folder)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
@pytest.mark.fault(47)
def test_a_model_cut_off_anywhere_is_refused(folder: Path, name: str) -> None:
    colmap_binary(folder, shots())
    path = folder / "sparse" / "0" / name
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput, match="damaged COLMAP model"):
            read_capture(folder)


@pytest.mark.fault(47, 48)
def test_a_damaged_model_is_never_a_bug_of_ours(folder: Path) -> None:
    colmap_binary(folder, shots())
    rng = np.random.default_rng(0)
    for name in ("cameras.bin", "images.bin"):
        path = folder / "sparse" / "0" / name
        whole = path.read_bytes()
        for _ in range(40):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
            path.write_bytes(bytes(damaged))
            try:
                read_capture(folder)
            except TidrError:
                continue
        path.write_bytes(whole)


@pytest.mark.fault(48)
def test_promised_records_are_not_believed(folder: Path) -> None:
    colmap_binary(folder, shots())
    path = folder / "sparse" / "0" / "images.bin"
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])
    with pytest.raises(BadInput, match="it promises 1152921504606846976 records"):
        read_capture(folder)


def test_photos_without_a_pose_are_left_out_and_said(folder: Path) -> None:
    colmap_binary(folder, shots())
    for part in ("images", "masks"):
        (folder / part / "r_0.png").rename(folder / part / "x.png")
        Image.open(folder / part / "x.png").save(folder / part / "r_0.png")
    capture = read_capture(folder)
    assert len(capture) == VIEWS
    assert any("1 of 7 photos have no pose in sparse/0 and are left out" in warning for warning in capture.warnings)


def test_photos_of_several_folders_keep_their_names_apart(folder: Path) -> None:
    """A rig of two cameras: left/0.png and right/0.png, and masks below the same folders."""
    colmap_text(folder, shots())
    path = folder / "sparse" / "images.txt"
    text = path.read_text()
    for index in range(VIEWS):
        name = f"{'left' if index % 2 else 'right'}/{index // 2}.png"
        text = text.replace(f"r_{index}.png", name)
        for part in ("images", "masks"):
            (folder / part / name).parent.mkdir(exist_ok=True)
            (folder / part / f"r_{index}.png").rename(folder / part / name)
    path.write_text(text)
    capture = read_capture(folder)
    assert capture.names == ["left_0", "left_1", "left_2", "right_0", "right_1", "right_2"]
    assert_views(capture, [shots()[index] for index in (1, 3, 5, 0, 2, 4)])
    assert all(
        np.array_equal(capture.masks[i], photograph(shots()[j], SIZE)[1]) for i, j in enumerate((1, 3, 5, 0, 2, 4))
    )


def test_the_largest_of_several_models_is_taken(folder: Path) -> None:
    colmap_binary(folder, shots())
    (folder / "sparse" / "0").rename(folder / "sparse" / "1")
    small = folder / "small"
    colmap_binary(small, shots()[:3])
    (small / "sparse" / "0").rename(folder / "sparse" / "0")
    capture = read_capture(folder)
    assert len(capture) == VIEWS
    expected = "2 models: sparse/1 has 6 photos; not sparse/0 (3)"
    assert any(expected in warning for warning in capture.warnings)


@pytest.mark.fault(44)
def test_a_photo_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "images" / "r_3.png").unlink()
    colmap_text(folder, shots())
    with pytest.raises(InputMissing, match=r"no such photo .*1 of 6: r_3\.png; put them into images/"):
        read_capture(folder)
    nerfstudio(folder, shots())
    with pytest.raises(InputMissing, match=r"no such photo .*1 of 6 frames: images/r_3\.png"):
        read_capture(folder)


def change(tree: dict[str, Any], key: str, value: Any) -> None:
    tree["frames"][2][key] = value


WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no_frames": (lambda tree: tree.pop("frames"), "expected a list of frames"),
    "no_photo": (lambda tree: tree["frames"][2].pop("file_path"), r"bad file name \(.*frames\[2\]\.file_path"),
    "outside": (lambda tree: change(tree, "file_path", "../secret.png"), "it leaves the capture's folder"),
    "address": (lambda tree: change(tree, "file_path", "https://x/y.png"), "bad file name"),
    "short_matrix": (lambda tree: change(tree, "transform_matrix", [[1, 0, 0]]), "expected 4x4 numbers"),
    "text_in_matrix": (lambda tree: change(tree, "transform_matrix", [["a"] * 4] * 4), "expected 4x4 numbers"),
    "stretched": (lambda tree: change(tree, "transform_matrix", np.diag([1.0, 2, 1, 1]).tolist()), "no rotation"),
    "mirrored": (lambda tree: change(tree, "transform_matrix", np.diag([-1.0, 1, 1, 1]).tolist()), "right-handed"),
    "no_focal": (lambda tree: (tree.pop("fl_x"), tree.pop("fl_y")), "neither fl_x nor camera_angle_x is there"),
    "bad_focal": (lambda tree: change(tree, "fl_x", -3), "focal length -3"),
    "text": (lambda tree: change(tree, "cx", "wide"), r"bad number \(.*frames\[2\]\.cx"),
    "model": (lambda tree: change(tree, "camera_model", "EQUIRECTANGULAR"), "unknown camera model"),
    "few": (lambda tree: tree["frames"].__delitem__(slice(2, None)), "2 frames, at least 3 needed"),
    "some_masks": (lambda tree: change(tree, "mask_path", "masks/r_2.png"), "none for r_0.png"),
}


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.fault(42, 43, 45, 46)
def test_what_is_wrong_in_transforms_is_named(folder: Path, fault: str) -> None:
    nerfstudio(folder, shots())
    path, (damage, message) = folder / "transforms.json", WRONG[fault]
    tree = json.loads(path.read_text())
    damage(tree)
    path.write_text(json.dumps(tree))
    with pytest.raises(BadInput, match=message):
        read_capture(folder)


@pytest.mark.parametrize("text", ['{"frames": [NaN]}', '{"w": 1, "w": 2}', "[1, 2]", "{", "[" * 100_000, "\xff"])
@pytest.mark.fault(42)
def test_what_is_no_json_is_refused(folder: Path, text: str) -> None:
    (folder / "transforms.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"not JSON|bad transforms"):
        read_capture(folder)


@pytest.mark.parametrize("line", ["x PINHOLE 48 40 1 1 1 1", "3 PINHOLE 48 40 1 1 1", "3 BOX 48 40 1", "3 PINHOLE"])
def test_a_wrong_line_of_a_model_is_quoted(folder: Path, line: str) -> None:
    colmap_text(folder, shots())
    (folder / "sparse" / "cameras.txt").write_text(f"{line}\n")
    with pytest.raises(BadInput, match="damaged COLMAP model"):
        read_capture(folder)


@pytest.mark.fault(46)
def test_a_lens_beyond_us_says_what_to_do(folder: Path) -> None:
    colmap_text(folder, shots())
    (folder / "sparse" / "cameras.txt").write_text("3 FOV 48 40 60 60 24 20 0.9\n")
    with pytest.raises(BadInput, match="undistort the photos with COLMAP's image_undistorter"):
        read_capture(folder)


def test_rough_poses_in_the_idr_format_go_before(folder: Path, tmp_path: Path) -> None:
    """--init-cameras with a folder of another format: the file's own poses and intrinsics, photos in order."""
    nerfstudio(folder, shots())
    captures.write_cameras(tmp_path / "mine.npz", [view.world_mat for view in shots()])
    capture = read_capture(folder, CaptureReading(cameras_file=str(tmp_path / "mine.npz")))
    assert_views(capture, shots())


@pytest.mark.parametrize("name", ["colmap_binary", "nerfstudio"])
def test_a_run_of_any_format_is_fitted_measured_and_gone_on_with(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    FORMATS[name](folder, shots())
    run = tmp_path / "run"
    assert fit(folder, run, steps=10).steps == 10
    said = "COLMAP, 6 photos" if name == "colmap_binary" else "transforms.json, 6 photos"
    assert f"capture   {said}" in capsys.readouterr().out
    assert fit(folder, run, steps=12).steps == 12
    assert evaluate_run(run, max_views=2)["mask_iou"] > 0.5
    assert load_run(run).capture_folder == folder.resolve()

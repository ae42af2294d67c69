"""`tidr mask`: silhouettes for cameras that are known, and their correction by hand."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from captures import make_capture
from PIL import Image
from table_scene import TableScene, make_scene

from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.formats.colmap import COLMAP_FOLDER, model_texts
from taichi_idr.capture.reading import read_capture, stored_views
from taichi_idr.commands.mask import CUTOUTS, mask_capture, read_cutouts, write_cutouts
from taichi_idr.errors import BadInput, CannotCreate, InputMissing
from taichi_idr.types import CaptureReading

VIEWS = 20
needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


def posed(folder: Path) -> TableScene:
    """Photos and cameras as COLMAP writes them, no points, no masks."""
    scene = make_scene(folder / "images", views=VIEWS, size=(240, 320))
    model = folder / COLMAP_FOLDER
    model.mkdir(parents=True)
    for name, text in model_texts(scene.views, [], model).items():
        (model / name).write_text(text)
    return scene


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@needs_opencv
def test_masks_of_a_capture_with_cameras(tmp_path, capsys):
    folder = tmp_path / "ball"
    scene = posed(folder)
    with pytest.raises(InputMissing, match=r"no mask folder.*tidr mask"):
        find_capture(folder)
    assert mask_capture(folder) == folder / "masks"
    capture = read_capture(folder)
    assert min(iou(*pair) for pair in zip(capture.masks, scene.masks, strict=True)) > 0.94
    assert capture.cut == (True,) * VIEWS and capture.support is not None
    assert "on a plane" in capsys.readouterr().out
    with pytest.raises(CannotCreate, match=r"has masks.*--edit"):
        mask_capture(folder)


@needs_opencv
def test_nothing_is_left_where_no_object_is_found(tmp_path):
    folder = tmp_path / "grey"
    scene = posed(folder)
    for view in scene.views:
        Image.new("RGB", (320, 240), (90, 90, 90)).save(view.image)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(BadInput, match="object not found"):
        mask_capture(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_corrected_cutout_becomes_the_mask(tmp_path, capsys):
    folder = make_capture(tmp_path / "balls", views=6)
    layout = find_capture(folder)
    assert layout.masks is not None
    before = [file.read_bytes() for file in layout.masks]
    cutouts = write_cutouts(folder)
    files = sorted(cutouts.iterdir())
    assert len(files) == 6 and read_cutouts(folder) == 0
    picture = np.array(Image.open(files[2]))
    np.testing.assert_array_equal(picture[..., :3], np.array(Image.open(layout.images[2]).convert("RGB")))
    picture[:5, :7, 3] = 255
    Image.fromarray(picture).save(files[2])
    files[4].unlink()  # left out: its mask stays
    assert read_cutouts(folder) == 1
    assert "1 of 6 corrected" in capsys.readouterr().out
    changed = [file.read_bytes() != data for file, data in zip(layout.masks, before, strict=True)]
    assert changed == [False, False, True, False, False, False]
    assert (np.array(Image.open(layout.masks[2]))[:5, :7] == 255).all()


def test_cutouts_are_not_lost(tmp_path):
    folder = make_capture(tmp_path / "balls", views=6)
    with pytest.raises(InputMissing, match=r"no cutouts.*--edit"):
        read_cutouts(folder)
    write_cutouts(folder)
    with pytest.raises(CannotCreate, match=r"is there.*--edited"):
        write_cutouts(folder)
    Image.open(folder / CUTOUTS / "001.png").resize((30, 30)).save(folder / CUTOUTS / "001.png")
    with pytest.raises(BadInput, match="another size"):
        read_cutouts(folder)


def test_stored_views_are_the_capture_s_cameras(tmp_path):
    """Of files of matrices as of files that name their photos."""
    folder = make_capture(tmp_path / "balls", views=6)
    views = stored_views(find_capture(folder), CaptureReading())
    capture = read_capture(folder)
    in_world = (
        capture.cameras.centres.numpy() @ capture.T_world_normalised[:3, :3].T + capture.T_world_normalised[:3, 3]
    )
    np.testing.assert_allclose([view.centre for view in views], in_world, rtol=1e-9, atol=1e-9)
    K = capture.cameras.intrinsics[0].numpy()
    p = views[0].pinhole
    assert (p.fx, p.fy, p.cx, p.cy) == pytest.approx((K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    assert (p.height, p.width) == capture.masks[0].shape


@needs_opencv
def test_photos_in_folders_have_masks_in_folders(tmp_path):
    """As nerfstudio's several cameras have them."""
    scene = make_scene(tmp_path / "rig" / "images" / "left", views=VIEWS, size=(240, 320))
    right = tmp_path / "rig" / "images" / "right"
    right.mkdir()
    frames = []
    for number, view in enumerate(scene.views):
        image = view.image
        if number % 2:
            image = image.rename(right / view.image.name)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = np.array(view.rotation) @ np.diag([1, -1, -1]), view.centre
        frames.append({"file_path": str(image.relative_to(tmp_path / "rig")), "transform_matrix": T.tolist()})
    p = scene.views[0].pinhole
    camera = {"fl_x": p.fx, "fl_y": p.fy, "cx": p.cx + 0.5, "cy": p.cy + 0.5, "w": p.width, "h": p.height}
    (tmp_path / "rig" / "transforms.json").write_text(json.dumps({**camera, "frames": frames}))
    mask_capture(tmp_path / "rig")
    capture = read_capture(tmp_path / "rig")
    truth = {view.image.stem: mask for view, mask in zip(scene.views, scene.masks, strict=True)}
    assert min(iou(mask, truth[name]) for name, mask in zip(capture.names, capture.masks, strict=True)) > 0.9
    assert capture.cut == (True,) * VIEWS


def test_photos_alone_are_prepared(tmp_path):
    scene = make_scene(tmp_path / "photos", views=8, size=(24, 32))
    with pytest.raises(InputMissing, match=r"no cameras.*tidr prepare"):
        mask_capture(scene.folder)

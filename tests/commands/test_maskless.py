"""`tidr fit --preset maskless`: silhouettes are cut for the fit; and masks that lie elsewhere."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from captures import make_capture
from PIL import Image
from table_scene import TableScene, make_scene
from tiny_fits import fit

from taichi_idr.capture.formats.colmap import COLMAP_FOLDER, model_texts
from taichi_idr.commands.fit import fit_capture
from taichi_idr.commands.prepare import Knowledge
from taichi_idr.errors import CannotCreate, InputMissing, UsageError
from taichi_idr.runs.folder import SILHOUETTES
from taichi_idr.runs.loading import load_run
from taichi_idr.runs.views import training_views

VIEWS = 16
pytestmark = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


@pytest.fixture
def scene(tmp_path: Path) -> TableScene:
    """Photos with cameras as COLMAP writes them, and masks that are wrong: all of each photo."""
    folder = tmp_path / "ball"
    scene = make_scene(folder / "images", views=VIEWS, size=(180, 240))
    (folder / COLMAP_FOLDER).mkdir(parents=True)
    for name, text in model_texts(scene.views, [], folder).items():
        (folder / COLMAP_FOLDER / name).write_text(text)
    (folder / "masks").mkdir()
    for view in scene.views:
        Image.new("L", (240, 180), 255).save(folder / "masks" / f"{view.image.stem}.png")
    return scene


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_silhouettes_are_cut_for_the_run_alone(scene, tmp_path, capsys):
    """The capture stays as it is; its masks are not looked at; nothing is cut twice; a run may be moved."""
    capture, run = tmp_path / "ball", tmp_path / "run"
    before = sorted(capture.rglob("*"))
    fit(capture, run, steps=4, preset="maskless")
    assert sorted(capture.rglob("*")) == before
    assert "masks     ..." in capsys.readouterr().out
    fit(capture, run, steps=6, preset="maskless")
    assert "masks     ..." not in capsys.readouterr().out
    Image.open(scene.views[0].image).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(scene.views[0].image)
    with pytest.raises(CannotCreate, match=r"silhouettes of other photos.*--fresh"):
        fit(capture, run, steps=6, preset="maskless")
    moved = tmp_path / "elsewhere"
    shutil.move(run, moved)
    loaded = load_run(moved)
    views = training_views(loaded)
    assert loaded.step == 6
    assert min(iou(*pair) for pair in zip(views.capture.masks, scene.masks, strict=True)) > 0.9
    assert views.capture.support is not None and any(views.capture.cut)


def test_masks_of_another_folder_are_taken(scene, tmp_path):
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    for view, mask in zip(scene.views, scene.masks, strict=True):
        Image.fromarray(mask).save(drawn / f"{view.image.stem}.png")
    for preset in ("fast", "maskless"):
        run = fit(tmp_path / "ball", tmp_path / preset, steps=2, preset=preset, knowledge=Knowledge(masks=drawn)).run
        assert not (run / SILHOUETTES).exists()
        masks = training_views(load_run(run)).capture.masks
        assert all(np.array_equal(*pair) for pair in zip(masks, scene.masks, strict=True))


def test_what_is_not_for_such_captures_is_refused(scene, tmp_path):
    capture, run = tmp_path / "ball", tmp_path / "run"
    with pytest.raises(UsageError, match="prepared already"):
        fit_capture(capture, out=run, preset="maskless", knowledge=Knowledge(focal=100.0))
    with pytest.raises(UsageError, match="for --preset maskless"):
        fit_capture(capture, out=run, knowledge=Knowledge(keep_support=True))
    with pytest.raises(InputMissing, match="no such folder"):
        fit_capture(capture, out=run, knowledge=Knowledge(masks=tmp_path / "none"))
    assert not run.exists()


def test_the_preset_is_offered_where_masks_are_missing(tmp_path):
    capture = make_capture(tmp_path / "capture")
    shutil.rmtree(capture / "mask")
    with pytest.raises(InputMissing, match=r"tidr mask.*--preset maskless"):
        fit_capture(capture, out=tmp_path / "run")

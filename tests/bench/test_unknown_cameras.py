"""benchmarks/unknown_cameras.py: the truth is used for measuring alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from benchmark_modules import benchmark
from PIL import Image
from table_scene import TableScene, make_scene
from tiny_fits import SMALL

from taichi_idr.capture.formats.colmap import COLMAP_FOLDER, model_texts
from taichi_idr.structure import engine
from taichi_idr.structure.model import Structure

TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
SHIFT, WRONG = 3.0, 0.05  # of the frame that is found, and of one camera in it


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return benchmark("unknown_cameras")


@pytest.fixture
def scene(tmp_path: Path) -> TableScene:
    """A capture with true cameras and masks."""
    scene = make_scene(tmp_path / "truth" / "images", views=10)
    model = tmp_path / "truth" / COLMAP_FOLDER
    model.mkdir(parents=True)
    for name, text in model_texts(scene.views, [], model).items():
        (model / name).write_text(text)
    (tmp_path / "masks").mkdir()
    for view, mask in zip(scene.views, scene.masks, strict=True):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{view.image.stem}.png")
    return scene


def test_cameras_that_are_found_are_compared_with_the_truth(bench, scene, tmp_path, monkeypatch, capsys):
    def find(files: list[Path], folder: Path, options: object, say: Callable[[str], None]) -> Structure:
        """The true cameras in another frame, one of them in a wrong place."""
        structure = scene.structure(np.random.default_rng(0), points=400)
        views = []
        for number, (view, file) in enumerate(zip(structure.views, files, strict=True)):
            centre = TURN @ np.array(view.centre) + SHIFT + (WRONG if number == 4 else 0)
            rotation = tuple(tuple(row) for row in (TURN @ np.array(view.rotation)).tolist())
            views.append(replace(view, image=file, centre=tuple(centre.tolist()), rotation=rotation))
        return replace(structure, views=tuple(views), points=structure.points @ TURN.T + SHIFT)

    monkeypatch.setattr(engine, "find_structure", find)
    sets = [text for assignment in SMALL for text in ("--set", assignment)]
    out = tmp_path / "out"
    places = [str(tmp_path / "truth"), "--out", str(out), "--masks", str(tmp_path / "masks")]
    bench.main([*places, "--steps", "3", *sets])
    numbers = json.loads((out / "unknown_cameras.json").read_text())
    assert numbers["photos"] == 10
    assert numbers["found"]["rotation_deg"] < 1e-3
    assert numbers["found"]["centre"] == pytest.approx(WRONG * 3**0.5 / 10, rel=0.05)
    assert set(numbers["trained"]) == set(numbers["found"]) and numbers["psnr_db"] > 0
    assert not list((out / "photos").rglob("*.txt"))
    assert "less one of all" in capsys.readouterr().out


def test_without_masks_every_pixel_is_of_the_object(bench, scene, tmp_path):
    white = bench.all_white(scene.folder, tmp_path / "white")
    masks = [np.asarray(Image.open(file)) for file in sorted(white.iterdir())]
    assert len(masks) == 10 and all(mask.shape == (120, 160) and (mask == 255).all() for mask in masks)

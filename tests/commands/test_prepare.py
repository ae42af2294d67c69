"""`tidr prepare`, `tidr scan`, and a fit of plain photos."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from table_scene import TableScene, make_scene
from tiny_fits import SMALL
from videos import write_clip

from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.formats.source import Lens
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands import prepare
from taichi_idr.commands.fit import PREPARED, fit_capture
from taichi_idr.commands.prepare import Knowledge, prepare_capture
from taichi_idr.commands.scan import scan_photos
from taichi_idr.errors import BadInput, CannotCreate, InputMissing, UsageError
from taichi_idr.report import contents
from taichi_idr.structure import engine
from taichi_idr.structure.files import is_plain
from taichi_idr.structure.model import Structure

VIEWS, LENS = 10, Lens((-0.02, 0.0))
needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


@pytest.fixture
def scene(tmp_path: Path) -> TableScene:
    return make_scene(tmp_path / "photos", views=VIEWS)


@pytest.fixture
def found(scene: TableScene, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """True cameras in the place of COLMAP's; a number for each time that they are sought."""
    calls: list[int] = []

    def find(files: list[Path], folder: Path, options: object, say: Callable[[str], None]) -> Structure:
        calls.append(len(files))
        say("features")
        structure = scene.structure(np.random.default_rng(0), points=400)
        views = [replace(view, image=file, lens=LENS) for view, file in zip(structure.views, files, strict=True)]
        return replace(structure, views=tuple(views))

    monkeypatch.setattr(engine, "find_structure", find)
    return calls


def drawn_masks(scene: TableScene, folder: Path) -> Path:
    folder.mkdir()
    for view, mask in zip(scene.views, scene.masks, strict=True):
        Image.fromarray(mask).save(folder / f"{view.image.stem}.png")
    return folder


@needs_opencv
def test_plain_photos_become_a_capture(scene, found, tmp_path, capsys):
    out = prepare_capture(scene.folder, tmp_path / "capture")
    assert find_capture(out).format == "COLMAP"
    capture = read_capture(out)
    assert len(capture) == VIEWS and capture.support is not None
    for mask, truth in zip(capture.masks, scene.masks, strict=True):
        assert (mask & truth).sum() / (mask | truth).sum() > 0.85  # of photos straightened by a lens they never had
    inside = np.linalg.inv(capture.T_world_normalised)
    assert np.linalg.norm(inside[:3, 3]) < 1  # the origin is in the object
    assert "10 of 10 photos" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "images",
        "masks",
        "masks.json",
        "prepared.json",
        "sparse",
        "support.json",
    ]


@needs_opencv
def test_frames_of_a_video_become_a_capture_once(scene, found, tmp_path, capsys):
    pictures = [np.asarray(Image.open(view.image).convert("RGB")) for view in scene.views]
    clip = write_clip(tmp_path / "clip.mp4", pictures)
    for _ in range(2):
        out = prepare_capture(clip, tmp_path / "capture")
    assert found == [VIEWS]
    said = capsys.readouterr().out
    assert "10 sharp frames" in said and "from before" in said
    capture = read_capture(out)
    assert capture.names == [f"frame_{number:05d}" for number in range(VIEWS)]
    for mask, truth in zip(capture.masks, scene.masks, strict=True):
        assert (mask & truth).sum() / (mask | truth).sum() > 0.8


def test_masks_that_are_known_are_taken(scene, found, tmp_path):
    masks = drawn_masks(scene, tmp_path / "drawn")
    capture = read_capture(prepare_capture(scene.folder, tmp_path / "capture", Knowledge(masks=masks)))
    for mask, truth in zip(capture.masks, scene.masks, strict=True):
        assert (mask & truth).sum() / (mask | truth).sum() > 0.97


@needs_opencv
def test_a_piece_of_the_table_is_kept_if_asked_for(scene, found, tmp_path):
    plain = read_capture(prepare_capture(scene.folder, tmp_path / "plain"))
    kept = read_capture(prepare_capture(scene.folder, tmp_path / "kept", Knowledge(keep_support=True)))
    for with_disc, alone in zip(kept.masks, plain.masks, strict=True):
        assert with_disc[alone].all() and with_disc.sum() > 1.3 * alone.sum()
    assert not any(kept.cut) and any(plain.cut)
    heights = [json.loads((tmp_path / name / "support.json").read_text())["offset"] for name in ("kept", "plain")]
    assert heights[0] < heights[1]
    masks = drawn_masks(scene, tmp_path / "drawn")
    sought = len(found)
    with pytest.raises(UsageError, match="no masks are cut"):
        prepare_capture(scene.folder, tmp_path / "both", Knowledge(masks=masks, keep_support=True))
    assert not (tmp_path / "both").exists() and len(found) == sought


@needs_opencv
def test_a_network_cuts_the_masks_if_one_is_given(scene, found, tmp_path):
    networks = pytest.importorskip("networks")
    model = networks.write_network(tmp_path / "wall.onnx", (1, 3, 120, 160))
    capture = read_capture(prepare_capture(scene.folder, tmp_path / "capture", Knowledge(mask_model=model)))
    assert all(capture.cut)
    for photo, mask, ball in zip(scene.photos, capture.masks, scene.masks, strict=True):
        differs = np.abs(photo.astype(int) - networks.WALL).max(axis=2) > 60
        assert mask[ball & differs].mean() > 0.95 and not mask[:5].any()
        assert mask[differs].sum() > 1.2 * ball.sum()  # this network knows no table
    with pytest.raises(CannotCreate):  # the same photos, cut by another
        prepare_capture(scene.folder, tmp_path / "capture")
    with pytest.raises(InputMissing, match="no such file"):
        prepare_capture(scene.folder, tmp_path / "none", Knowledge(mask_model=tmp_path / "none.onnx"))


@needs_opencv
def test_nothing_is_cut_of_photos_that_carry_their_silhouettes(scene, found, tmp_path):
    for view, mask in zip(scene.views, scene.masks, strict=True):
        picture = np.dstack(
            [np.asarray(Image.open(view.image).convert("RGB")), np.where(mask, 255, 0).astype(np.uint8)]
        )
        Image.fromarray(picture).save(view.image)
    with pytest.raises(UsageError, match=r"no masks are cut.*--keep-support.*carry their silhouettes"):
        prepare_capture(scene.folder, tmp_path / "capture", Knowledge(keep_support=True))
    assert not (tmp_path / "capture").exists()
    assert len(read_capture(prepare_capture(scene.folder, tmp_path / "capture"))) == VIEWS


def test_masks_beside_the_photos_are_known(scene, found, tmp_path):
    (tmp_path / "both").mkdir()
    drawn_masks(scene, tmp_path / "both" / "masks")
    scene.folder.rename(tmp_path / "both" / "images")
    assert is_plain(tmp_path / "both")
    out = prepare_capture(tmp_path / "both", tmp_path / "capture")
    drawn, taken = (folder / "masks" / "photo_03.png" for folder in (tmp_path / "both", out))
    assert drawn.read_bytes() == taken.read_bytes() and not drawn.samefile(taken)


def test_the_same_again_is_left_as_it_is(scene, found, tmp_path, capsys):
    knowledge = Knowledge(masks=drawn_masks(scene, tmp_path / "drawn"))
    out = prepare_capture(scene.folder, tmp_path / "capture", knowledge)
    prepare_capture(scene.folder, out, knowledge)
    assert found == [VIEWS]
    assert "10 photos, from before" in capsys.readouterr().out
    with pytest.raises(CannotCreate, match="not empty"):
        prepare_capture(scene.folder, out, replace(knowledge, focal=300.0))
    Image.new("1", (160, 120)).save(tmp_path / "drawn" / "photo_00.png")
    with pytest.raises(CannotCreate, match="not empty"):
        prepare_capture(scene.folder, out, knowledge)


def test_a_failure_leaves_nothing(scene, found, tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise BadInput("no")

    monkeypatch.setattr(prepare, "_write", fail)
    with pytest.raises(BadInput):
        prepare_capture(scene.folder, tmp_path / "out" / "capture")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_ball_without_radius_and_masks_that_are_not_there(scene, found, tmp_path):
    with pytest.raises(UsageError, match="radius"):
        prepare_capture(scene.folder, tmp_path / "capture", Knowledge(region=(0, 0, 0, -1)))
    with pytest.raises(InputMissing, match="--masks"):
        prepare_capture(scene.folder, tmp_path / "capture", Knowledge(masks=tmp_path / "nothing"))


def test_a_ball_that_is_told_is_recorded(scene, found, tmp_path):
    knowledge = Knowledge(region=(0.0, 0.0, 0.0, 1.2), masks=drawn_masks(scene, tmp_path / "drawn"))
    out = prepare_capture(scene.folder, tmp_path / "capture", knowledge)
    record = json.loads((out / "prepared.json").read_text())
    assert record["region"] == [0, 0, 0, 1.2] and record["placed"] == VIEWS and len(record["photos"]) == VIEWS


def test_what_is_plain(scene, tmp_path):
    assert is_plain(scene.folder)
    assert not is_plain(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    assert not is_plain(tmp_path / "other")
    (scene.folder / "transforms.json").write_text("{}")
    assert not is_plain(scene.folder)


def test_a_fit_prepares_plain_photos_once(scene, found, tmp_path):
    knowledge = Knowledge(masks=drawn_masks(scene, tmp_path / "drawn"))
    assignments = [*SMALL, "schedule.hull_steps=40"]
    for steps in (2, 2):
        summary = fit_capture(
            scene.folder, out=tmp_path / "run", steps=steps, assignments=assignments, knowledge=knowledge
        )
    assert summary.steps == 2 and found == [VIEWS]
    assert (tmp_path / "run" / PREPARED / "prepared.json").is_file()
    with pytest.raises(UsageError, match="prepared already"):
        fit_capture(tmp_path / "run" / PREPARED, out=tmp_path / "other", steps=2, knowledge=Knowledge(quick=True))


def test_a_scan_ends_with_a_page(scene, found, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contents, "write_report", partial(contents.write_report, film_frames=0))
    knowledge = Knowledge(masks=drawn_masks(scene, tmp_path / "drawn"))
    page = scan_photos(scene.folder, tmp_path / "run", knowledge, steps=40, resolution=24)
    assert page.is_file() and (tmp_path / "run" / "mesh" / "mesh.glb").is_file()
    assert (tmp_path / "run" / "report" / "eval.json").is_file()
    assert f"report    {page}" in capsys.readouterr().out

"""Structure from motion: what the worker finds, and every way in which it may end."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from table_scene import TableScene, make_scene, project

from taichi_idr.errors import BadInput, OutOfMemory, Unavailable
from taichi_idr.structure import builtin, engine
from taichi_idr.structure.engine import SfmOptions, find_structure
from taichi_idr.structure.model import Structure, read_structure

VIEWS = 10
needs_colmap = pytest.mark.skipif(importlib.util.find_spec("pycolmap") is None, reason="pycolmap is not installed")
SAVED = """
import json, sys, numpy as np
from pathlib import Path
job = json.loads(Path(sys.argv[1]).read_text())
print("stage features", flush=True)
folder = Path(job["folder"])
data = dict(np.load({data!r}))
np.savez(folder / "MODEL-0.npz", **data)
"""


@pytest.fixture
def scene(tmp_path: Path) -> TableScene:
    return make_scene(tmp_path / "photos", views=VIEWS)


@pytest.fixture
def found(scene: TableScene) -> Structure:
    return scene.structure(np.random.default_rng(0))


@pytest.fixture
def sought(scene: TableScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Structure]:
    """Looks for the structure with another worker, of this source."""
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: object())

    def seek(source: str, options: SfmOptions | None = None, say: Callable[[str], None] = lambda stage: None):
        worker = tmp_path / "worker.py"
        worker.write_text(source)
        monkeypatch.setattr(engine, "WORKER", worker)
        files = sorted(scene.folder.iterdir())
        return find_structure(files, tmp_path / "work", options or SfmOptions(), say)

    return seek


def saved(structure: Structure, path: Path, order: list[int] | None = None) -> dict[str, np.ndarray]:
    """A structure as the worker leaves it: of copies 00000.png ..., pixels counted from corners."""
    order = order or list(range(len(structure)))
    place = {view: row for row, view in enumerate(order)}
    views = [structure.views[view] for view in order]
    rotations = np.array([view.rotation for view in views]).transpose(0, 2, 1)
    kept = np.isin(structure.observing, order)
    arrays = {
        "names": np.array([f"{view:05d}.png" for view in order]),
        "rotations": rotations,
        "shifts": -np.einsum("vij,vj->vi", rotations, [view.centre for view in views]),
        "cameras": np.array([(v.pinhole.fx, v.pinhole.cx + 0.5, v.pinhole.cy + 0.5, 0.01) for v in views]),
        "points": structure.points,
        "errors": structure.errors,
        "observing": np.array([place[view] for view in structure.observing[kept]], np.int32),
        "observed": structure.observed[kept].astype(np.int32),
        "places": (structure.places[kept] + 0.5).astype(np.float32),
    }
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return arrays


def test_views_come_back_in_the_photos_order_and_size(scene, found, tmp_path):
    saved(found, tmp_path / "model.npz", [3, 1, 2, 0, *range(4, VIEWS)])
    photos = {f"{k:05d}.png": view.image for k, view in enumerate(scene.views)}
    sizes = dict.fromkeys(photos, (320, 240))
    read = read_structure(tmp_path / "model.npz", photos, sizes, 2.0)
    assert [view.image for view in read.views] == [view.image for view in scene.views]
    assert read.views[1].lens.coefficients[0] == 0.01
    np.testing.assert_allclose(read.centres, found.centres)
    for view in range(VIEWS):
        pixel, shown = project(read.views[view], read.points), read.observing == view
        np.testing.assert_allclose(read.places[shown], pixel[read.observed[shown]], atol=1e-3)
        assert sorted(read.seen_by(view)) == sorted(found.seen_by(view))


@pytest.mark.parametrize("key", ["observing", "observed"])
@pytest.mark.parametrize("number", [-1, 10**9])
def test_views_and_points_that_are_not_there_are_refused(scene, found, tmp_path, key, number):
    arrays = saved(found, tmp_path / "model.npz")
    photos = {f"{k:05d}.png": view.image for k, view in enumerate(scene.views)}
    np.savez(tmp_path / "model.npz", **{**arrays, key: np.full_like(arrays[key], number)})  # pyright: ignore
    with pytest.raises(BadInput, match="damaged structure"):
        read_structure(tmp_path / "model.npz", photos, dict.fromkeys(photos, (160, 120)), 1.0)


@pytest.mark.parametrize("key", ["points", "cameras", "names", "observing"])
def test_damage_is_refused(scene, found, tmp_path, key):
    arrays = saved(found, tmp_path / "model.npz")
    photos = {f"{k:05d}.png": view.image for k, view in enumerate(scene.views)}
    for wrong in (None, arrays[key][:-1], np.full_like(arrays[key], 99), arrays[key].astype("V8")):
        changed = {name: array for name, array in arrays.items() if name != key or wrong is not None}
        if wrong is not None:
            changed[key] = wrong
            if key in ("points", "cameras") and len(wrong) == len(arrays[key]) and wrong.dtype.kind == "f":
                changed[key] = np.full_like(wrong, np.nan)
        np.savez(tmp_path / "model.npz", **changed)  # pyright: ignore[reportArgumentType]
        if key == "observing" and wrong is not None and len(wrong) < len(arrays[key]):
            continue  # an observation less: nothing tells
        with pytest.raises(BadInput, match="damaged structure"):
            read_structure(tmp_path / "model.npz", photos, dict.fromkeys(photos, (160, 120)), 1.0)


def test_a_worker_that_finds_all(sought, found, tmp_path):
    saved(found, tmp_path / "truth.npz")
    stages = []
    structure = sought(SAVED.format(data=str(tmp_path / "truth.npz")), say=stages.append)
    assert len(structure) == VIEWS and stages == ["features"]
    np.testing.assert_allclose(structure.centres, found.centres)


def test_the_job_says_what_is_known(sought, tmp_path):
    with pytest.raises(BadInput):
        sought("", SfmOptions(focal=300.0, quick=True, threads=1))
    job = json.loads((tmp_path / "work" / "job.json").read_text())
    assert job["quick"] and job["threads"] == 1 and not job["sequential"]
    assert [group["parameters"] for group in job["groups"]] == ["300,80,60,0"]
    assert job["groups"][0]["names"] == [f"{k:05d}.png" for k in range(VIEWS)]


def test_a_photo_without_a_place_is_named(sought, found, tmp_path, capfd):
    saved(found, tmp_path / "truth.npz", list(range(VIEWS - 1)))
    assert len(sought(SAVED.format(data=str(tmp_path / "truth.npz")))) == VIEWS - 1
    assert (
        f"1 of {VIEWS} photos have no place among the others and are left out: photo_09.png" in capfd.readouterr().err
    )


@pytest.mark.fault(19)
def test_too_many_without_a_place(sought, found, tmp_path):
    saved(found, tmp_path / "truth.npz", list(range(VIEWS - 3)))
    with pytest.raises(BadInput, match=r"7 of 10 photos have a place.*photo_07\.png.*overlap"):
        sought(SAVED.format(data=str(tmp_path / "truth.npz")))


@pytest.mark.fault(19)
def test_too_little_texture(sought, scene, tmp_path):
    saved(scene.structure(np.random.default_rng(0), points=40), tmp_path / "truth.npz")
    with pytest.raises(BadInput, match=r"too little to see.*texture"):
        sought(SAVED.format(data=str(tmp_path / "truth.npz")))


def test_a_flat_scene(sought, found, tmp_path):
    arrays = saved(found, tmp_path / "truth.npz")
    arrays["cameras"][:, 0] *= 20
    np.savez(tmp_path / "truth.npz", **arrays)
    with pytest.raises(BadInput, match="flat or turning scene"):
        sought(SAVED.format(data=str(tmp_path / "truth.npz")))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("", "0 of 10 photos have a place"),
        ("print('stage matches', flush=True); raise SystemExit(3)", r"failed with code 3 \(matches\)"),
        ("import os; os.kill(os.getpid(), 11)", r"stopped by signal 11 \(start\)"),
    ],
    ids=["nothing", "fails", "crashes"],
)
def test_a_worker_that_fails(sought, source, why):
    with pytest.raises(BadInput, match=f"no cameras found.*{why}"):
        sought(source)


@pytest.mark.fault(67)
def test_a_worker_that_never_ends(sought, monkeypatch):
    monkeypatch.setattr(engine, "LEAST_SECONDS", 0.5)
    monkeypatch.setattr(engine, "SECONDS_PER_PHOTO", 0.0)
    with pytest.raises(BadInput, match=r"does not end \(features\)"):
        sought("import time; print('stage features', flush=True); time.sleep(60)")


@pytest.mark.fault(68)
def test_a_worker_that_takes_too_much(sought, monkeypatch):
    monkeypatch.setattr(engine, "free_memory", lambda: 100e6)
    with pytest.raises(OutOfMemory, match="COLMAP takes"):
        sought("import time; data = bytearray(200_000_000); time.sleep(60)")


def test_without_pycolmap(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    files = sorted(scene.folder.iterdir())
    with pytest.raises(Unavailable, match=r"pycolmap.*pip install 'taichi-idr\[photos\]'.*--sfm builtin"):
        find_structure(files, tmp_path / "one", SfmOptions(engine="colmap"), print)
    used: list[int] = []
    monkeypatch.setattr(builtin, "builtin_structure", lambda photos, focal, say: used.append(len(photos)))
    with pytest.raises(BadInput, match="no cameras found"):
        find_structure(files, tmp_path / "two", SfmOptions(), print)
    assert used == [VIEWS]


def test_the_built_in_engine_knows_one_camera(scene, tmp_path):
    files = sorted(scene.folder.iterdir())
    Image.open(files[3]).resize((100, 80)).save(files[3])
    with pytest.raises(BadInput, match=r"several cameras.*2 sizes"):
        find_structure(files, tmp_path / "work", SfmOptions(engine="builtin"), print)


def test_the_program_itself_never_loads_pycolmap():
    source = Path(engine.WORKER).read_text()
    assert "import pycolmap" in source and "taichi_idr" not in source and "PIL" not in source
    assert "pycolmap" not in sys.modules


@needs_colmap
def test_colmap_finds_the_cameras(tmp_path):
    """Of a real scene, up to a similarity."""
    scene = make_scene(tmp_path / "photos", views=16, size=(240, 320))
    found = find_structure(
        sorted(scene.folder.iterdir()), tmp_path / "work", SfmOptions(quick=True), lambda stage: None
    )
    truth = np.array([view.centre for view in scene.views if view.image in {one.image for one in found.views}])
    assert len(truth) >= 15
    here, there = found.centres - found.centres.mean(axis=0), truth - truth.mean(axis=0)
    U, S, V = np.linalg.svd(there.T @ here)
    fit = S.sum() / (here**2).sum() * here @ (U @ V).T
    assert np.linalg.det(U @ V) > 0
    assert np.linalg.norm(fit - there, axis=1).mean() < 0.02 * np.linalg.norm(there, axis=1).mean()
    assert found.views[0].pinhole.fx == pytest.approx(scene.views[0].pinhole.fx, rel=0.05)

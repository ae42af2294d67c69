"""The contract of methods, and that a new one is a folder and a line: a sphere that learns its radius and colour."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import learned_sphere
import numpy as np
import pytest
import torch

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.capture.synthetic import make_capture
from taichi_idr.commands.evaluate import evaluate_run
from taichi_idr.commands.fit import fit_capture
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.commands.render import render_run
from taichi_idr.errors import InputMissing, UsageError
from taichi_idr.meshes.reading import read_mesh
from taichi_idr.methods import catalogue
from taichi_idr.report.contents import write_report
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import load_run

TINY = {
    "fast": [
        "geometry.levels=2", "geometry.log2_rows=8", "geometry.width=16", "radiance.width=16", "proxy.resolution=24",
        "schedule.rays=64", "schedule.hull_resolution=24", "schedule.hull_steps=3", "loss.eikonal_points=16",
    ],
    "idr": [
        "geometry.width=32", "geometry.hidden_layers=2", "geometry.skip_layer=0", "geometry.features=4",
        "radiance.width=16", "radiance.hidden_layers=1", "tracer.samples=10", "schedule.rays=64",
        "loss.eikonal_points=16",
    ],
    "dvr": ["network.width=16", "network.blocks=1", "march.samples=8", "march.finer=", "schedule.rays=64"],
    "unisurf": [
        "geometry.width=32", "geometry.hidden_layers=2", "geometry.skip_layer=0", "geometry.features=4",
        "radiance.width=16", "radiance.hidden_layers=1", "surface.samples=16", "interval.samples=8",
        "interval.before=4", "schedule.rays=64",
    ],
    "nerf": [
        "network.width=16", "network.layers=2", "network.skip=0", "volume.coarse=8", "volume.fine=8",
        "schedule.rays=64",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "ewer"
    return make_capture(folder, views=4, heldout=1, size=(48, 48), samples=1, mesh_resolution=32)


@pytest.fixture(scope="module")
def with_sphere() -> Iterator[None]:
    """The line of the catalogue."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "METHODS", (*catalogue.METHODS, learned_sphere.METHOD))
        yield


@pytest.fixture(scope="module")
def sphere_run(capture: Path, with_sphere: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "sphere"
    assert fit_capture(capture, out=run, preset="sphere", steps=60, assignments=["log.metrics_interval=10"]).steps == 60
    return run


def test_a_new_method_fits(sphere_run: Path) -> None:
    loaded, records = load_run(sphere_run), RunFolder(sphere_run).read_metrics()
    assert loaded.config.preset == "sphere"
    assert 0.3 < loaded.model.get_parameter("size").item() < 0.8  # it began at 0.9
    assert records[-1]["silhouette"] < records[0]["silhouette"]
    assert {"loss", "paint", "mask_iou"} <= set(records[-1])
    assert list((sphere_run / "renders" / "preview").glob("*.png"))


def test_a_new_method_goes_on(capture: Path, sphere_run: Path) -> None:
    fit_capture(capture, out=sphere_run, preset="sphere", steps=70, assignments=["log.metrics_interval=10"])
    assert load_run(sphere_run).step == 70


def test_a_new_method_is_meshed_rendered_measured_and_reported(capture: Path, sphere_run: Path) -> None:
    report = mesh_run(sphere_run, resolution=24)
    assert report.topology.closed
    loaded = load_run(sphere_run)
    away = read_mesh(sphere_run / "mesh" / "mesh.ply").vertices - loaded.T_world_normalised[:3, 3]
    assert np.linalg.norm(away, axis=1) / loaded.unit == pytest.approx(
        loaded.model.get_parameter("size").item(), rel=0.01
    )
    assert len(render_run(sphere_run, views="heldout", size=32)) == 3
    numbers = evaluate_run(sphere_run, gt_mesh=capture / "gt_mesh.ply")
    assert numbers["mask_iou"] > 0.5 and numbers["chamfer"] > 0
    assert numbers.items() <= json.loads((sphere_run / "report" / "eval.json").read_text()).items()
    page = write_report(sphere_run, film_frames=0).read_text(encoding="utf-8")
    (chart,) = (chart for chart in re.findall("<svg.*?</svg>", page, re.DOTALL) if "Loss and its terms" in chart)
    assert ">silhouette<" in chart and ">paint<" in chart


def test_a_method_that_trains_no_cameras_refuses_to(capture: Path, with_sphere: None, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="method sphere takes them as they are; use --cameras fixed"):
        fit_capture(capture, out=tmp_path / "run", preset="sphere", cameras="train")
    assert not (tmp_path / "run").exists()


def test_what_a_method_needs_is_asked_before_a_run_is_made(capture: Path, with_sphere: None, tmp_path: Path) -> None:
    """The sphere can do without masks, presets of IDR cannot."""
    (capture / "mask").rename(tmp_path / "mask")
    try:
        with pytest.raises(InputMissing, match="no mask folder"):
            fit_capture(capture, out=tmp_path / "fast")
        assert not (tmp_path / "fast").exists()
        fit_capture(capture, out=tmp_path / "sphere", preset="sphere", steps=1)
        assert read_capture(capture, need_masks=False).masks[0].all()
        assert evaluate_run(tmp_path / "sphere")["psnr_db"] > 0
    finally:
        (tmp_path / "mask").rename(capture / "mask")


def test_every_preset_belongs_to_one_method_and_says_so() -> None:
    names = [name for method in catalogue.METHODS for name in method.presets]
    assert len(names) == len(set(names))
    for name, preset in catalogue.presets().items():
        assert preset.preset == name
        assert catalogue.method_of(preset).settings is type(preset)
        assert {"steps", "rays"} <= set(dict(preset)["schedule"].model_dump())  # what --steps and --rays set


def test_a_preset_that_is_not_there_is_refused_with_those_that_are(with_sphere: None) -> None:
    with pytest.raises(
        UsageError, match="choose fast or quality or maskless or idr or dvr or unisurf or nerf or sphere"
    ):
        catalogue.make_config("plenoxels", [])


@pytest.mark.parametrize("name", [name for method in catalogue.METHODS for name in method.presets])
def test_a_step_reports_the_terms_that_its_method_names(capture: Path, name: str) -> None:
    method = catalogue.method_of(catalogue.presets()[name])
    config = catalogue.make_config(name, TINY[method.settings().preset], schedule={"steps": 1})
    read = read_capture(capture)
    trainer = method.trainer(config, read, runtime.current().device)
    trainer.start(read, lambda: None)
    report = trainer.step()
    assert tuple(report.terms) == method.terms
    assert report.loss.item() == pytest.approx(sum(term.item() for term in report.terms.values()), rel=1e-5)
    assert all(torch.isfinite(torch.as_tensor(value)) for value in report.numbers().values())
    assert trainer.cameras() is not None and trainer.preview(0) is not None

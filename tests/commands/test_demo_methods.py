"""`tidr demo --method`: other methods on the demo's ewer, in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from taichi_idr.commands.demo import run_demo
from taichi_idr.commands.demo_methods import METHODS
from taichi_idr.errors import UsageError
from taichi_idr.meshes.reading import read_mesh
from taichi_idr.methods.catalogue import make_config


@pytest.mark.parametrize("method", METHODS)
def test_settings_are_those_of_the_method(method):
    small = METHODS[method]
    config = make_config(method, [*small.assignments], schedule={"steps": small.steps, "rays": small.rays})
    assert config.preset == method


def test_an_unknown_method_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(UsageError, match=r"no such demo.*dvr.*points.*shapes"):
        run_demo(tmp_path / "out", method="plenoxels")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["paint", "points"])
def test_shapes_are_painted_and_points_are_meshed(method, tmp_path, capsys):
    mesh = run_demo(tmp_path / "out", method=method, quick=True)
    assert len(read_mesh(mesh).faces) > 1000
    assert ("held out  PSNR" if method == "paint" else "Chamfer") in capsys.readouterr().out


def test_a_moving_shape_is_followed(tmp_path, capsys):
    mesh = run_demo(tmp_path / "out", method="flow", quick=True)
    assert mesh.name == "008.ply" and len(read_mesh(mesh).faces) > 500
    assert "off their true places" in capsys.readouterr().out


@pytest.mark.slow
def test_a_fit_ends_with_a_page(tmp_path: Path):
    page = run_demo(tmp_path / "out", method="dvr", quick=True)
    assert page.name == "index.html" and (tmp_path / "out" / "mesh" / "mesh.ply").is_file()


@pytest.mark.slow
def test_a_space_of_bottles_is_learned(tmp_path: Path, capsys):
    between = run_demo(tmp_path / "out", method="shapes", quick=True)
    assert len(read_mesh(between).faces) > 500
    assert len(list(between.parent.iterdir())) == 5
    assert capsys.readouterr().out.count("IoU 0.9") == 4

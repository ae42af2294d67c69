"""benchmarks/texture_fields.py: a texture field beside a voxel grid of the same memory (TEX-2)."""

from __future__ import annotations

import json
from types import ModuleType

import numpy as np
import pytest
import torch
from benchmark_modules import benchmark
from captures import make_capture
from painted_balls import ball_mesh
from PIL import Image

from taichi_idr.meshes.writing import write_mesh
from taichi_idr.painting.networks import Sight

SMALL = ["table.levels=4", "table.finest=64", "table.log2_rows=10", "schedule.pixels=2048", "texture.width=16"]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return benchmark("texture_fields")


def test_both_learn_and_have_the_same_memory(bench, tmp_path, capsys):
    capture = make_capture(tmp_path / "balls", views=6, size=(72, 60))
    make_capture(capture / "heldout", views=2, size=(72, 60))
    write_mesh(tmp_path / "mesh.ply", ball_mesh(2))
    files = {"--json": tmp_path / "numbers.json", "--picture": tmp_path / "both.png"}
    words = [word for pair in files.items() for word in map(str, pair)] + [f"--set={text}" for text in SMALL]
    bench.main([str(tmp_path / "mesh.ply"), str(capture), "--steps=150", *words])
    numbers = json.loads(files["--json"].read_text())
    field, voxels = numbers["field"], numbers["voxels"]
    assert voxels["bytes"] == pytest.approx(field["bytes"], rel=0.15)
    assert min(row["heldout_psnr_clear_db"] for row in (field, voxels)) > 24  # measured 33 and 29
    assert np.asarray(Image.open(files["--picture"])).shape == (60, 3 * 72, 3)
    assert "voxels" in capsys.readouterr().out


def test_voxels_are_linear_between_corners(bench, generator):
    grid = bench.Voxels(5)
    axis = torch.linspace(-1, 1, 5)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    grid.logits.data[0] = torch.stack([x, y, z])
    points = torch.rand(100, 3, generator=generator) * 2 - 1
    sight = Sight(points, points, points, torch.zeros(100, dtype=torch.int64))
    torch.testing.assert_close(grid(sight), torch.sigmoid(points), rtol=0, atol=1e-6)

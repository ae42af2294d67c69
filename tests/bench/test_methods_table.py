"""benchmarks/methods_table.py: rows that are missing are made, and the table has a line for each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmark_modules import benchmark
from captures import make_capture
from painted_balls import ball_mesh
from PIL import Image
from places import ROOT
from tiny_fits import SMALL

from taichi_idr.measures.surfaces import mesh_distance
from taichi_idr.meshes import extraction as extract
from taichi_idr.meshes.writing import write_mesh
from taichi_idr.methods.fast import model
from taichi_idr.runs import measuring

FILE = ROOT / "benchmarks" / "methods_table.py"
SMALLER = [
    *(f"fast:{text}" for text in SMALL if not text.startswith(("log.judge", "schedule.rays"))),
    *("nerf:network.width=8", "nerf:network.layers=2", "nerf:network.skip=0", "nerf:volume.coarse=8"),
    *("nerf:volume.fine=8", "nerf:volume.level=0.01"),
]

ROW = {
    "capture": "nowhere", "steps": 7, "seconds": 3.0, "peak_memory_gib": 0.5, "psnr_db": 20.0, "views": 2,
    "settings": {"downscale": 1}, "machine": {"cpu": "a", "system": "b"}, "threads": 2, "commit": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The benchmark, its rows made in this process, at resolutions that suit a tiny capture."""
    with pytest.MonkeyPatch.context() as patch:
        module = benchmark("methods_table", patch)
        patch.setattr(measuring, "MESH_RESOLUTION", 32)
        patch.setattr(measuring, "mesh_distance", partial(mesh_distance, samples=2_000))
        patch.setattr(extract, "ROUGH_RESOLUTION", 32)
        patch.setattr(model, "VIEWING_RESOLUTION", 32)
        yield module


@pytest.fixture
def processes(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the methods that a process was started for."""
    started: list[str] = []

    whole = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        if command[:2] != [sys.executable, str(FILE)]:
            return whole(command, **options)
        started.append(command[-1])
        bench.main(command[2:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(bench.subprocess, "run", run)
    return started


def test_rows_are_made_once_and_become_a_table(bench, processes, tmp_path, capsys):
    capture = make_capture(tmp_path / "balls", views=6, size=(24, 32))
    write_mesh(capture / "gt_mesh.ply", ball_mesh(2))
    words = [str(capture), "--out", str(tmp_path / "out"), "--views=2", *(f"--set={text}" for text in SMALLER)]
    bench.main([*words, "--steps=3", "--methods=nerf"])
    bench.main([*words, "--steps=20", "--methods=fast,nerf"])
    assert processes == ["nerf", "fast"]
    rows = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [(name, row["steps"], row["settings"]["preset"]) for name, row in rows.items()] == [
        ("fast", 20, "fast"),
        ("nerf", 3, "nerf"),
    ]
    assert rows["fast"]["mask_iou"] > 0.5
    assert rows["fast"]["chamfer"] > 0
    assert 0.1 < rows["fast"]["peak_memory_gib"] < 20
    said = (tmp_path / "out" / "table.md").read_text()
    assert said in capsys.readouterr().out
    assert said.startswith("# balls: all methods\n")
    assert "| `fast` | 20 | its own |" in said
    assert "| `nerf` | 3 | small |" in said
    assert "- `nerf`, small: 256 rays a step, `network.width=64" in said
    picture = np.asarray(Image.open(tmp_path / "out" / "table.jpg"))
    assert picture.shape == (bench.LABEL + 2 * 32, 3 * 24, 3)


def test_a_method_that_fails_has_no_row_and_a_reason(bench, processes, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    words = ["--out", str(out), "--methods=idr"]
    with pytest.raises(SystemExit, match="methods_table: no capture"):
        bench.main([str(tmp_path / "nowhere"), *words])
    (out / "rows" / "fast.json").write_text(json.dumps(ROW))
    Image.new("RGB", (12, 3)).save(out / "rows" / "fast.png")
    monkeypatch.setattr(bench.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    bench.main([str(tmp_path / "nowhere"), *words])
    said = capsys.readouterr().out
    assert "== idr has no row: see above" in said
    assert "- `idr` has no row: no capture: there is no such folder" in said
    assert "| `fast` | 7 | its own | 3 | 0.50 | 20.00 |" in said


def test_unknown_methods_are_refused(bench, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["somewhere", "--out", str(tmp_path), "--methods=idr,sdf"])

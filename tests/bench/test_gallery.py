"""benchmarks/gallery.py: a page of what methods_table.py has made, and of nobody's photos but the program's."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from benchmark_modules import benchmark
from painted_balls import ball_mesh
from PIL import Image
from places import ROOT

from taichi_idr.meshes.writing import write_mesh
from taichi_idr.methods.catalogue import presets

ROW = {
    "capture": "ewer", "steps": 1234, "seconds": 56.7, "peak_memory_gib": 0.5, "psnr_db": 20.0, "mask_iou": 0.999,
    "accuracy": 0.6, "completeness": 0.1, "views": 2, "load_before": 1.25, "threads": 2, "commit": "0123456789abcdef",
    "machine": {"cpu": "a", "system": "b"},
}  # fmt: skip


@pytest.fixture(scope="module")
def gallery() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        module = benchmark("gallery")
        yield module
    sys.modules.pop("methods_table", None)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What methods_table.py leaves of two presets."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "ewer").mkdir()
    write_mesh(tmp_path / "ewer" / "gt_mesh.ply", ball_mesh(2))
    for name in ("fast", "nerf"):
        (tmp_path / "rows" / f"{name}.json").write_text(json.dumps(ROW))
        Image.new("RGB", (60, 20), "teal").save(tmp_path / "rows" / f"{name}.png")
    return tmp_path


def test_a_page_shows_rows_that_are_there(gallery: ModuleType, made: Path) -> None:
    page = made / "docs" / "gallery.md"
    page.parent.mkdir()
    gallery.main([str(made), "--page", str(page)])
    text = page.read_text()
    assert "| [`fast`](#fast) | 1,234 | 57 | 0.50 | 20.00 | 0.9990 |" in text and "load 1.2 to 1.2" in text
    assert "has surface where no photo sees any" in text and "1,234 steps of 256 rays." in text and "## idr" not in text
    for picture in re.findall(r"\]\((pictures/.*?)\)", text):
        with Image.open(page.parent / picture) as image:
            assert image.size == (60, 20) and image.format == "JPEG"


def test_other_captures_are_not_shown(gallery: ModuleType, made: Path) -> None:
    (made / "rows" / "nerf.json").write_text(json.dumps(ROW | {"capture": "scan65"}))
    with pytest.raises(SystemExit, match="shows scan65, not the demo's ewer"):
        gallery.main([str(made), "--page", str(made / "gallery.md")])
    assert not (made / "gallery.md").exists() and not (made / "pictures").exists()
    with pytest.raises(SystemExit, match="shows nothing"):
        gallery.main([str(made / "docs")])


def test_the_page_is_that_of_the_results(gallery: ModuleType) -> None:
    """All presets, by the numbers that are kept, and small."""
    rows = json.loads((ROOT / "benchmarks" / "results" / "methods_ewer_cpu_2_cores.json").read_text())
    text = gallery.PAGE.read_text()
    assert set(rows) == set(gallery.GIVES) == set(presets())
    (size,) = re.findall(r"longest side has\s(\d+)", text)
    assert gallery.page(rows, float(size)) == text
    pictures = [ROOT / "docs" / picture for picture in re.findall(r"\]\((pictures/.*?)\)", text)]
    assert len(pictures) == len(rows) and sum(file.stat().st_size for file in pictures) < 300_000

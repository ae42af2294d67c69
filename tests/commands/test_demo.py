"""The demo, in small: every part meets every other, and the page shows what was made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pages import Addresses
from PIL import Image

from taichi_idr.commands.demo import QUICK, run_demo
from taichi_idr.measures.catalogue import measured
from taichi_idr.report.contents import write_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    options = {"quick": True, "arch": request.config.getoption("--arch")}
    return run_demo(tmp_path_factory.mktemp("demo") / "run", **options)


def addresses(page: Path) -> list[str]:
    reader = Addresses()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.found


def test_all_that_the_page_points_to_is_there(page):
    found = addresses(page)
    assert sum(address.startswith("data:image/") for address in found) > 15
    for address in [address for address in found if not address.startswith("data:")]:
        assert (page.parent / address).is_file(), address


def test_the_page_shows_what_was_measured(page):
    values = json.loads((page.parent / "eval.json").read_text())
    assert {"psnr_db", "mask_iou", "heldout_psnr_db", "chamfer"} <= set(values)
    text = page.read_text(encoding="utf-8")
    for measure, value in measured(values):
        assert f"<td>{measure.name[0].upper()}{measure.name[1:]}</td>" in text
        assert measure.shown(value) in text


def test_the_film_has_all_its_frames(page):
    with Image.open(page.parent / "orbit.webp") as film:
        assert getattr(film, "n_frames", 1) == QUICK.film_frames


def test_the_same_demo_again_makes_nothing_twice(page):
    run = page.parent.parent
    kept = [run / "ewer" / "image" / "000.png", run / "ewer" / "gt_mesh.ply"]
    before = [file.stat().st_mtime_ns for file in kept]
    logged = (run / "metrics.jsonl").read_text()
    assert run_demo(run, quick=True) == page
    assert [file.stat().st_mtime_ns for file in kept] == before
    assert (run / "metrics.jsonl").read_text() == logged


def test_a_report_without_photos_mesh_and_measurements_shows_the_rest(page, tmp_path, capsys):
    run = Path(shutil.copytree(page.parent.parent, tmp_path / "bare"))
    shutil.rmtree(run / "mesh")
    shutil.rmtree(run / "report")
    shutil.move(page.parent.parent / "ewer", tmp_path / "elsewhere")
    try:
        bare = write_report(run, film_frames=0)
    finally:
        shutil.move(tmp_path / "elsewhere", page.parent.parent / "ewer")
    assert "no photos" in capsys.readouterr().err
    assert addresses(bare) == []
    assert "Course of the fit" in bare.read_text(encoding="utf-8")

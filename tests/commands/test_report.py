"""`tidr report`: one file about a run, or about several."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ball_run import BallRun, make_ball_run
from pages import Addresses

from taichi_idr.commands.report import report_run
from taichi_idr.errors import InputMissing, UsageError
from taichi_idr.report.inlining import inlined


@pytest.fixture
def ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime) -> BallRun:
    made = make_ball_run(tmp_path)
    for module in ("contents", "comparison"):
        monkeypatch.setattr(f"taichi_idr.report.{module}.load_run", lambda run: made.loaded)
    return made


def sources(page: Path) -> list[str]:
    reader = Addresses()
    reader.feed(page.read_text(encoding="utf-8"))
    return [address for address in reader.found if not address.startswith("../")]


def measured(run: Path, psnr: float, iou: float) -> None:
    (run / "report").mkdir(exist_ok=True)
    (run / "report" / "eval.json").write_text(json.dumps({"psnr_db": psnr, "mask_iou": iou}))


def test_a_page_has_its_pictures_in_it(ball: BallRun, capsys: pytest.CaptureFixture[str]) -> None:
    measured(ball.folder, 31.25, 0.99)
    page = report_run(ball.folder, film_frames=3)
    assert page == ball.folder / "report" / "index.html"
    found = sources(page)
    assert len(found) == 1 + 4 * 5  # the film; four pictures of three training views and of two held out
    assert all(address.startswith("data:image/webp;base64,") for address in found)
    text = page.read_text(encoding="utf-8")
    assert "31.25 dB" in text and 'id="scene"' in text and "What the check of the input finds" in text
    assert "report    " in capsys.readouterr().out


def test_a_page_elsewhere_of_a_run_whose_photos_are_gone(ball: BallRun, tmp_path: Path) -> None:
    shutil.rmtree(ball.capture)
    page = report_run(ball.folder, film_frames=0, out=tmp_path / "new" / "a.html")
    assert sources(page) == [] and 'id="scene"' in page.read_text(encoding="utf-8")


def test_runs_side_by_side(ball: BallRun, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(ball.folder, other)
    measured(ball.folder, 31.25, 0.99)
    measured(other, 30.5, 0.995)
    page = report_run(ball.folder, compare=[other])
    assert page.name == "comparison.html"
    text = page.read_text(encoding="utf-8")
    best = [part.split("<")[0] for part in text.split('class="number best">')[1:]]
    assert best == ["31.25 dB", "0.9950"]
    assert len(sources(page)) == 2 * (3 + 2)  # two held-out views: photo, two renderings, two pictures of normals


def test_what_cannot_be_reported(ball: BallRun, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no such run"):
        report_run(ball.folder, compare=[tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="not a page"):
        report_run(ball.folder, out=tmp_path / "a.pdf")


def test_only_neighbours_are_written_into_a_page(tmp_path: Path) -> None:
    (tmp_path / "a b.svg").write_bytes(b"<svg/>")
    html = '<img src="a b.svg" alt="x"><img src="gone.webp"><img src="data:image/png;base64,AA"><a href="a b.svg">'
    expected = html.replace('src="a b.svg"', 'src="data:image/svg+xml;base64,PHN2Zy8+"')
    assert inlined(html, tmp_path) == expected

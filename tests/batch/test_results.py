"""What a batch leaves: batch.json and a page that needs nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from batch_jobs import make_job
from PIL import Image

from taichi_idr.batch.jobs import JobEnd
from taichi_idr.batch.results import Batch, entry_of, write_results


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """One capture with all there can be, one with a fit alone, one that failed."""
    vase, cup, jug = (make_job(tmp_path, name) for name in ("vase", "a <cup> & 'more'", "jug"))
    for job in (vase, cup):
        preview = job.run / "renders" / "preview"
        preview.mkdir(parents=True)
        Image.fromarray(np.full((90, 1200, 3), 200, np.uint8)).save(preview / "00000010_view000.png")
        (job.run / "metrics.jsonl").write_text('{"step": 10, "psnr_db": 21.5, "mask_iou": null}\n')
    (vase.run / "report").mkdir()
    (vase.run / "report" / "eval.json").write_text('{"psnr_db": 25.25, "chamfer": 0.125, "views": []}')
    (vase.run / "report" / "index.html").touch()
    jug.log.write_text("tidr: error: cut short")
    done = JobEnd("vase", "done", verdict="good: PSNR 25", warnings=("one", "two"), seconds=61.5, starts={"fit": 1})
    failed = JobEnd("jug", "failed", stage="fit", exit_code=65, error="unreadable <image>")
    ends = [(vase, done), (cup, replace(done, name=cup.name, warnings=())), (jug, failed)]
    return Batch([entry_of(job, end) for job, end in ends], 120.0, "2 on this machine")


def test_the_record(batch: Batch, tmp_path: Path) -> None:
    write_results(batch, tmp_path / "runs")
    record = json.loads((tmp_path / "runs" / "batch.json").read_text())
    assert (record["version"], record["done"], record["failed"], record["stopped"]) == (1, 2, 1, 0)
    vase, cup, jug = record["captures"]
    assert vase["measures"] == {"psnr_db": 25.25, "chamfer": 0.125}
    assert cup["measures"] == {"psnr_db": 21.5}
    assert jug == {
        "name": "jug",
        "capture": str(tmp_path / "captures" / "jug"),
        "outcome": "failed",
        "stage": "fit",
        "exit_code": 65,
        "error": "unreadable <image>",
        "verdict": "",
        "warnings": [],
        "seconds": 0.0,
        "starts": {},
        "measures": {},
    }


def test_the_page_is_one_file_whose_links_lead_to_what_is_there(batch: Batch, tmp_path: Path) -> None:
    page = write_results(batch, tmp_path / "runs")
    html = page.read_text()
    sources = re.findall(r'src="([^"]*)"', html)
    assert len(sources) == 2
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert "good: PSNR 25" in html and "PSNR 25.25 dB" in html and "unreadable &lt;image&gt;" in html
    assert "<cup>" not in html and "a &lt;cup&gt; &amp; &#x27;more&#x27;" in html
    links = re.findall(r'href="([^"]*)"', html)
    assert links == ["vase/report/index.html", "batch/jug.log"]
    with Image.open(tmp_path / "runs" / "batch" / "vase.webp") as thumbnail:
        assert thumbnail.size == (320, 24)


def test_a_rendering_of_the_report_is_shown_before_a_preview(batch: Batch, tmp_path: Path) -> None:
    report = tmp_path / "runs" / "vase" / "report"
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(report / "training_000_rendering.webp")
    write_results(batch, tmp_path / "runs")
    with Image.open(tmp_path / "runs" / "batch" / "vase.webp") as thumbnail:
        assert thumbnail.size == (40, 30)


def test_pictures_that_cannot_be_read_are_left_out(
    batch: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs" / "vase" / "renders" / "preview" / "00000010_view000.png").write_text("no picture")
    (tmp_path / "runs" / "vase" / "report" / "eval.json").write_text("[")
    assert len(re.findall("<img", write_results(batch, tmp_path / "runs").read_text())) == 1
    assert "no thumbnail of vase" in capsys.readouterr().err
    assert entry_of(batch.entries[0].job, batch.entries[0].end).measures == {"psnr_db": 21.5}

"""What a batch leaves: one record of all its captures, `batch.json`, and one page with a picture of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import TidrError, warn
from ..files.reading import text_of
from ..files.writing import atomic_write, write_filled
from ..measures.catalogue import measured
from ..report.inlining import inlined
from ..report.page import STYLE, Row, cards, section, table
from ..runs.folder import RunFolder
from ..version import __version__
from .jobs import RECORD_BYTES, Job, JobEnd

PICTURE = 320  # pixels of a thumbnail's longer side
SHOWN = ("psnr_db", "heldout_psnr_db", "mask_iou", "chamfer")
WARNINGS = 3  # of one capture on the page
_OF_THE_LAST_STEP = ("psnr_db", "mask_iou")
_STYLE = """
.batch { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 16px; }
.batch div { font-size: 13px; } .batch b { display: block; font-size: 15px; }
.batch img { border: 3px solid #cfe8dd; margin-bottom: 6px; } .batch .failed b { color: #a33d16; }
.batch .stopped b { color: #8a6d1a; }
"""


@dataclass(frozen=True)
class Entry:
    """One capture of a batch: its job, how that ended, and its measures by the keys of `measures.catalogue`."""

    job: Job
    end: JobEnd
    measures: Mapping[str, float]

    def record(self) -> dict[str, Any]:
        """For `batch.json`."""
        end = {key: value for key, value in asdict(self.end).items() if key != "name"}
        return {"name": self.job.name, "capture": str(self.job.capture), **end, "measures": dict(self.measures)}


@dataclass(frozen=True)
class Batch:
    """All captures, in the order in which they were given. seconds: of this call; workers: where it ran, in words."""

    entries: Sequence[Entry]
    seconds: float
    workers: str

    def count(self, outcome: str) -> int:
        return sum(entry.end.outcome == outcome for entry in self.entries)

    def record(self) -> dict[str, Any]:
        """For `batch.json`."""
        about = {"version": 1, "taichi_idr": __version__, "seconds": round(self.seconds, 1), "workers": self.workers}
        counts = {outcome: self.count(outcome) for outcome in ("done", "failed", "stopped")}
        return {**about, **counts, "captures": [entry.record() for entry in self.entries]}


def entry_of(job: Job, end: JobEnd) -> Entry:
    """With what `tidr eval` has measured; without it, what the fit's last logged step did of its own rays."""
    run = RunFolder(job.run)
    try:
        found = json.loads(text_of(run.report / "eval.json", RECORD_BYTES))
        numbers = {measure.key: value for measure, value in measured(found)}
    except (TidrError, ValueError, AttributeError, RecursionError):
        last = (run.read_metrics() or [{}])[-1]
        numbers = {key: value for key in _OF_THE_LAST_STEP if isinstance(value := last.get(key), float)}
    return Entry(job, end, numbers)


def write_results(batch: Batch, out: Path) -> Path:
    """`OUT/batch.json` and `OUT/index.html`; returns the page. Raises WriteFailed."""
    atomic_write(out / "batch.json", json.dumps(batch.record(), indent=1) + "\n")
    pictures = {entry.job.name: _thumbnail(entry.job) for entry in batch.entries}
    atomic_write(out / "index.html", inlined(_page_html(batch, out, pictures), out))
    return out / "index.html"


def shown_measures(entry: Entry) -> dict[str, str]:
    """Those of SHOWN that there are, by name, in words."""
    found = measured({key: entry.measures[key] for key in SHOWN if key in entry.measures})
    return {measure.name: f"{measure.shown(value)} {measure.symbol}".strip() for measure, value in found}


def said_of(entry: Entry) -> str:
    """The verdict on what is done; of the rest, what is in the way."""
    end = entry.end
    if end.outcome == "done":
        return end.verdict
    return f"{end.stage}: {end.error}" if end.stage and end.error else end.error or end.stage


def _page_html(batch: Batch, out: Path, pictures: Mapping[str, Path | None]) -> str:
    counts = [Row(outcome, str(batch.count(outcome))) for outcome in ("done", "failed", "stopped")]
    counts = [row for row in counts if row.value != "0"] + [Row("of this call", f"{batch.seconds / 60:.1f} min")]
    wrong = [entry for entry in batch.entries if entry.end.outcome != "done"]
    title = f"{out.absolute().name}: {len(batch.entries)} captures"
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(batch.workers)}</p>",
        cards(counts),
        section("Not done", table([Row(entry.job.name, entry.end.outcome, said_of(entry)) for entry in wrong])),
        section("Captures", _grid(batch.entries, out, pictures)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{escape(title)}</title><style>{STYLE}{_STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{"".join(parts)}</main></body></html>\n'


def _grid(entries: Sequence[Entry], out: Path, pictures: Mapping[str, Path | None]) -> str:
    return f'<div class="batch">{"".join(_cell(entry, out, pictures[entry.job.name]) for entry in entries)}</div>'


def _cell(entry: Entry, out: Path, picture: Path | None) -> str:
    name = escape(entry.job.name)
    image = f'<img src="{escape(str(picture.relative_to(out)))}" alt="{name}">' if picture else ""
    numbers = ", ".join(f"{measure} {value}" for measure, value in shown_measures(entry).items())
    lines = [said_of(entry), numbers, *entry.end.warnings[:WARNINGS]]
    words = "".join(f"<br>{escape(line)}" for line in lines if line)
    return f'<div class="{entry.end.outcome}">{image}<b>{name}</b>{_links(entry, out)}{words}</div>'


def _links(entry: Entry, out: Path) -> str:
    """To the files that are there, relative to the page."""
    run, log = RunFolder(entry.job.run), entry.job.log
    files = {"report": run.report / "index.html", "mesh": run.mesh / "light.glb", "log": log}
    found = {title: file for title, file in files.items() if file.is_file()}
    links = [f'<a href="{escape(quote(str(file.relative_to(out))))}">{title}</a>' for title, file in found.items()]
    return " · ".join(links)


def _thumbnail(job: Job) -> Path | None:
    """A small picture beside the notes: a rendered view of the report, else the fit's newest preview."""
    from PIL import Image

    run = RunFolder(job.run)
    reported = sorted(run.report.glob("training_*_rendering.webp"))[:1]
    found = reported or sorted((run.renders / "preview").glob("*.png"))[-1:]
    if not found:
        return None
    file = job.notes.with_name(f"{job.notes.name}.webp")
    try:
        with Image.open(found[0]) as image:
            image.thumbnail((PICTURE, PICTURE))
            small = image.convert("RGB")
            write_filled(file, lambda data: small.save(data, "WEBP", quality=88))
    except (OSError, ValueError) as error:  # Pillow raises both
        warn(f"no thumbnail of {job.name}: {error}")
        return None
    return file

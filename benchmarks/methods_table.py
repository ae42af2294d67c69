"""One capture through all methods: a row of numbers for each, and a picture of them side by side (docs/methods.md).

    .venv/bin/python benchmarks/methods_table.py CAPTURE --out FOLDER [--downscale N] [--methods fast,idr]

Presets `fast`, `quality` and `maskless` (without the capture's masks) take their own steps. The others are published
for hours on a GPU: they have the small networks of `tidr demo --method`, and as many steps as there is time for in
--minutes. Without CAPTURE the ewer of the demo is photographed into FOLDER.

FOLDER gets `runs/METHOD` and, when a method is done, `rows/METHOD.json` and its picture; a later call makes what is
missing, and the table anew: table.md, table.json, and table.jpg of one view. Each method has a process of its own, so
that peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taichi_idr import runtime  # before torch: the package sets how OpenMP threads wait

import numpy as np  # isort: skip
from PIL import Image, ImageDraw, ImageFont  # isort: skip

from taichi_idr.capture.synthetic import make_capture  # isort: skip
from taichi_idr.commands.demo_methods import METHODS  # isort: skip
from taichi_idr.commands.evaluate import evaluate_run  # isort: skip
from taichi_idr.commands.fit import fit_capture  # isort: skip
from taichi_idr.errors import TidrError  # isort: skip
from taichi_idr.machine import commit, load, this_machine, versions  # isort: skip
from taichi_idr.measures.catalogue import MEASURES  # isort: skip
from taichi_idr.pictures.colours import view_strip, write_png  # isort: skip
from taichi_idr.pictures.rendering import render_view  # isort: skip
from taichi_idr.fitting.session import FitSummary  # isort: skip
from taichi_idr.runs.loading import LoadedRun, load_run  # isort: skip
from taichi_idr.runs.views import evenly, training_views  # isort: skip

EWER = {"views": 24, "heldout": 4, "size": (320, 320), "samples": 9}
"""Of the demo's capture, as `tidr demo` makes it."""
TRUE_MESH = "gt_mesh.ply"
UNJUDGED = "log.judge_seconds=0"  # the judgement at a fit's end is no part of a method
SHOWN = ("psnr_db", "psnr_hit_db", "heldout_psnr_db", "mask_iou", "chamfer", "normal_error_deg")
QUALITY = 88  # of the picture, JPEG
LABEL = 22  # pixels above a column


@dataclass(frozen=True)
class Entry:
    """How a preset is fitted. small: whether in the minutes of the table, not in the preset's own steps."""

    assignments: tuple[str, ...] = ()
    rays: int | None = None
    small: bool = False


ENTRIES: Mapping[str, Entry] = {
    "fast": Entry(),
    "quality": Entry(),
    "maskless": Entry(),
    **{name: Entry(demo.assignments, demo.rays, small=True) for name, demo in METHODS.items()},
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed_options(arguments)
    try:
        if options.row:
            make_row(options, options.row)
        else:
            make_table(options)
    except TidrError as error:
        if options.row:
            reason_file(options.out, options.row).write_text(f"{error.what}: {error.why or error.todo}")  # no paths
        raise SystemExit(f"methods_table: {error}") from error


def parsed_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path, nargs="?", help="[the demo's ewer]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(ENTRIES), metavar="NAME,NAME")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each small fit [2]")
    parser.add_argument("--steps", type=int, help="of every fit, instead: to try the script")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="METHOD:KEY=VALUE")
    parser.add_argument("--downscale", type=int, default=1)
    parser.add_argument("--views", type=int, default=8, help="so many photos are measured, evenly chosen [8]")
    parser.add_argument("--shown", type=int, help="number of the photo in the picture [the middle one]")
    parser.add_argument("--again", action="store_true", help="make rows anew that are there")
    parser.add_argument("--row", choices=ENTRIES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = set(options.methods) - set(ENTRIES)
    if unknown:
        parser.error(f"--methods {','.join(sorted(unknown))}: choose from {','.join(ENTRIES)}")
    return options


def make_table(options: argparse.Namespace) -> None:
    """Rows that are missing, each in a process of its own, then the table of all that are there."""
    capture = the_capture(options)
    (options.out / "rows").mkdir(parents=True, exist_ok=True)
    for name in options.methods:
        if options.again or not row_file(options.out, name).exists():
            print(f"== {name}", flush=True)
            passed = [str(capture), *passed_on(options), "--row", name]
            if subprocess.run([sys.executable, __file__, *passed], check=False).returncode:
                print(f"== {name} has no row: see above", flush=True)
    rows = {name: json.loads(file.read_text()) for name in ENTRIES if (file := row_file(options.out, name)).exists()}
    (options.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n")
    failed = {name: file.read_text() for name in ENTRIES if (file := reason_file(options.out, name)).exists()}
    (options.out / "table.md").write_text(table(rows, failed))
    side_by_side(options.out, list(rows))
    print(table(rows, failed))


def the_capture(options: argparse.Namespace) -> Path:
    """That of the options, or the ewer, photographed once."""
    if options.capture:
        return options.capture
    folder = options.out / "ewer"
    runtime.init("cpu")
    return make_capture(folder, **EWER)


def passed_on(options: argparse.Namespace) -> list[str]:
    """Options of a row's process."""
    words = ["--out", str(options.out), f"--minutes={options.minutes}", f"--downscale={options.downscale}"]
    words += [f"--views={options.views}", *(f"--set={text}" for text in options.assignments)]
    words += [] if options.steps is None else [f"--steps={options.steps}"]
    return words + ([] if options.shown is None else [f"--shown={options.shown}"])


def make_row(options: argparse.Namespace, name: str) -> None:
    """Fit, measure, photograph; the row is written last."""
    before, run = load(), options.out / "runs" / name
    summary = fitted(options, name, run)
    fit = {"steps": summary.steps, "seconds": round(summary.seconds, 1), "peak_memory_gib": peak_memory()}
    truth = options.capture / TRUE_MESH
    numbers = evaluate_run(run, gt_mesh=truth if truth.is_file() else None, max_views=options.views)
    loaded = load_run(run)
    write_png(row_file(options.out, name).with_suffix(".png"), strip(loaded, options.shown))
    settings = {"views": options.views, "settings": loaded.config.model_dump(mode="json")}
    row = {"capture": options.capture.resolve().name, **fit, **numbers, **settings, **circumstances(before)}
    row_file(options.out, name).write_text(json.dumps(row, indent=1) + "\n")
    reason_file(options.out, name).unlink(missing_ok=True)


def fitted(options: argparse.Namespace, name: str, run: Path) -> FitSummary:
    """As the preset says, or as long as small fits last."""
    entry = ENTRIES[name]
    own = [text.removeprefix(f"{name}:") for text in options.assignments if text.startswith(f"{name}:")]
    return fit_capture(
        options.capture,
        out=run,
        preset=name,
        assignments=[*entry.assignments, UNJUDGED, *own],
        steps=options.steps,
        until=options.minutes if entry.small and options.steps is None else None,
        rays=entry.rays,
        downscale=options.downscale,
        fresh=run.exists(),
    )


def circumstances(load_before: float) -> dict[str, Any]:
    """Where and with what a row came about."""
    machine = {"machine": this_machine().model_dump(), "threads": runtime.current().threads}
    return {**machine, "load_before": load_before, "versions": versions(), "commit": commit()}


def peak_memory() -> float:
    """GiB of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**30 if sys.platform == "darwin" else 2**20), 2)


def row_file(out: Path, name: str) -> Path:
    return out / "rows" / f"{name}.json"


def reason_file(out: Path, name: str) -> Path:
    """Why a method has no row."""
    return out / "rows" / f"{name}.txt"


def strip(loaded: LoadedRun, shown: int | None) -> np.ndarray:
    """photo | render | normals (H, 3 W, 3) of photo number `shown`, or the middle one."""
    views = training_views(loaded)
    number = evenly(len(views), 1)[0] if shown is None else shown
    photo, camera = views.capture.images[number].astype(np.float32) / 255, views.cameras[[number]]
    return view_strip(photo, render_view(loaded.model, camera, *photo.shape[:2]), camera)


def table(rows: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]) -> str:
    """Markdown: what was run where, a line for each row, what "small" was, and what has no row."""
    if not rows:
        return "nothing was measured\n"
    measures = [m for m in MEASURES if m.key in SHOWN and any(m.key in row for row in rows.values())]
    titles = [f"{m.name}, {m.symbol}" if m.symbol else m.name for m in measures]
    columns = ["preset", "steps", "size", "seconds", "peak memory, GiB", *titles]
    lines = [line(columns), "|" + "---|" * len(columns)]
    for name, row in rows.items():
        size = "small" if ENTRIES[name].small else "its own"
        first = [f"`{name}`", f"{row['steps']:,}", size, f"{row['seconds']:.0f}", f"{row['peak_memory_gib']:.2f}"]
        lines.append(line([*first, *(m.shown(row[m.key]) if m.key in row else "" for m in measures)]))
    small = [
        f"- `{name}`, small: {ENTRIES[name].rays} rays a step, `{' '.join(ENTRIES[name].assignments)}`"
        for name in rows
        if ENTRIES[name].small
    ]
    reasons = [f"- `{name}` has no row: {reason}" for name, reason in failed.items() if name not in rows]
    return "\n".join([*heading(rows), "", *lines, "", *small, *reasons]).rstrip() + "\n"


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Capture, machine, commits."""
    found = next(iter(rows.values()))
    where = f"{found['machine']['cpu']}, {found['threads']} threads, {found['machine']['system']}"
    commits = ", ".join(sorted({str(row["commit"])[:12] for row in rows.values()}))
    photos = f"Photos shrunk by {found['settings']['downscale']}, {found['views']} of them measured"
    seconds = "Seconds are of the fit from the reading of photos on, memory is the most that its process had in it"
    return [f"# {found['capture']}: all methods", "", f"{photos}. {seconds}. {where}; commit {commits}."]


def side_by_side(out: Path, names: Sequence[str]) -> None:
    """table.jpg: the photo, then each method's render above its normals."""
    strips = [np.asarray(Image.open(row_file(out, name).with_suffix(".png"))) for name in names]
    if not strips:
        return
    photo, *_ = np.split(strips[0], 3, axis=1)
    height, width = photo.shape[:2]
    columns = [np.concatenate(np.split(strip, 3, axis=1)[1:]) for strip in strips]
    sheet = Image.new("RGB", (width * (1 + len(columns)), LABEL + 2 * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LABEL - 8)
    for place, (name, column) in enumerate(zip(["photo", *names], [photo, *columns], strict=True)):
        sheet.paste(Image.fromarray(column), (place * width, LABEL))
        draw.text((place * width + 6, 2), name, fill="black", font=font)
    sheet.save(out / "table.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()

"""Runs side by side: their numbers in one table, the same views of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from .. import runtime
from ..errors import TidrError, warn
from ..files.writing import atomic_write, create_folder
from ..measures.catalogue import MEASURES
from ..pictures.colours import normal_colours
from ..pictures.rendering import render_view
from ..runs.folder import open_run
from ..runs.loading import LoadedRun, load_run
from ..runs.views import RunViews, evenly, heldout_views, training_views
from ..settings import flattened
from . import charts
from .contents import evaluated_numbers, picture_file
from .inlining import inlined
from .page import STYLE, section

VIEWS = 3
BEST_IS_MOST = {"psnr_db", "psnr_hit_db", "ssim", "mask_iou", "heldout_psnr_db", "heldout_own_exposure_db", "fscore"}
NEITHER = {
    "exposure_spread_ev",
    "camera_moved",
    "camera_turned_deg",
    "camera_rotation_start_deg",
    "camera_centre_start",
}
"""Numbers of which neither much nor little is good."""
_STYLE = """
.beside { display: grid; gap: 8px 10px; align-items: end; }
.beside div { text-align: center; color: var(--soft); font-size: 13px; }
.beside img { width: 100%; border: 1px solid var(--line); border-radius: 6px; }
td.best { color: var(--accent); }
"""


@dataclass(frozen=True)
class Compared:
    """One run: what it is called, its numbers by the keys of `measures.catalogue`, and what it took."""

    name: str
    numbers: dict[str, float]
    loaded: LoadedRun
    seconds: float


def write_comparison(runs: Sequence[Path], page: Path, *, arch: runtime.Arch = "cpu") -> Path:
    """Write one page about several runs, its pictures in it; returns it.

    Numbers are those that `tidr eval` has left, best ones coloured. Pictures are of the first run's photos, where the
    others are of the same capture. Raises InputMissing and BadInput for runs that are none, CannotCreate, WriteFailed.
    """
    create_folder(page.parent)
    runtime.init(arch)
    compared = [_compared(run, name) for run, name in zip(runs, _names(runs), strict=True)]
    pictures = page.with_name(f"{page.stem}-pictures")
    create_folder(pictures)
    parts = [
        f"<h1>{escape(', '.join(run.name for run in compared))}</h1>",
        section("Measurements", _numbers_table(compared)),
        section("Photo, renderings, normals", _pictures(compared, pictures)),
        section("What differs in the settings", _differences(compared)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>Runs side by side</title><style>{STYLE}{charts.STYLE}{_STYLE}</style>"
    html = f'<!doctype html><html lang="en"><head>{head}</head><body><main>{"".join(parts)}</main></body></html>\n'
    atomic_write(page, inlined(html, page.parent))
    return page


def _compared(run: Path, name: str) -> Compared:
    folder, loaded = open_run(run), load_run(run)
    numbers, metrics = evaluated_numbers(folder), folder.read_metrics()
    if not numbers:
        warn(f"{run} is not measured: tidr eval {run}")
    seconds = metrics[-1].get("seconds") if metrics else None
    return Compared(name, numbers, loaded, math.nan if seconds is None else seconds)


def _names(runs: Sequence[Path]) -> list[str]:
    """Of folders; with their parents' where two have the same."""
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = ["/".join(run.resolve().parts[-2:]) for run in runs]
    return names


def _numbers_table(compared: list[Compared]) -> str:
    head = "".join(f"<th>{escape(run.name)}</th>" for run in compared)
    rows = [f"<tr><th></th>{head}</tr>"]
    facts = {
        "preset": [run.loaded.config.preset for run in compared],
        "steps": [f"{run.loaded.step:,}" for run in compared],
        "seconds": ["" if math.isnan(run.seconds) else f"{run.seconds:,.0f}" for run in compared],
    }
    rows += [_table_row(label, values, set()) for label, values in facts.items()]
    for measure in MEASURES:
        values = [run.numbers.get(measure.key) for run in compared]
        known = [value for value in values if value is not None]
        if known:
            shown = ["" if value is None else f"{measure.shown(value)} {measure.symbol}".strip() for value in values]
            rows.append(_table_row(measure.name, shown, _best(measure.key, values, known)))
    return f"<table>{''.join(rows)}</table>"


def _best(key: str, values: Sequence[float | None], known: Sequence[float]) -> set[int]:
    """Which columns have the best number."""
    if key in NEITHER or len(set(known)) < 2:
        return set()
    best = max(known) if key in BEST_IS_MOST else min(known)
    return {column for column, value in enumerate(values) if value == best}


def _table_row(label: str, values: Sequence[str], best: set[int]) -> str:
    cells = [
        f'<td class="number{" best" if column in best else ""}">{escape(value)}</td>'
        for column, value in enumerate(values)
    ]
    return f"<tr><td>{escape(label)}</td>{''.join(cells)}</tr>"


def _pictures(compared: list[Compared], folder: Path) -> str:
    """A grid: the photo, then each run's rendering and normals, for held-out views where there are any."""
    first = compared[0].loaded
    same = [run for run in compared if run.loaded.capture_folder == first.capture_folder]
    for run in compared:
        if run not in same:
            warn(f"{run.name} is of another capture: its pictures are left out")
    try:
        views = [_views(run.loaded) for run in same]
    except TidrError as error:
        warn(f"no pictures: {error}")
        return ""
    columns = ["photo", *(run.name for run in same)]
    cells = [f"<div>{escape(title)}</div>" for title in columns]
    for view in evenly(len(views[0]), VIEWS):
        photo = np.where(views[0].capture.masks[view][..., None], views[0].capture.images[view] / 255.0, 1.0)
        rendered = [
            render_view(run.loaded.model, own.cameras[[view]], *photo.shape[:2], smooth=True)
            for run, own in zip(same, views, strict=True)
        ]
        normals = [normal_colours(r, own.cameras[[view]]) for r, own in zip(rendered, views, strict=True)]
        cells += [_cell(folder, f"{view:03d}_{k}", p) for k, p in enumerate([photo, *(r.colour for r in rendered)])]
        cells += ["<div></div>", *(_cell(folder, f"{view:03d}_n{k}", p) for k, p in enumerate(normals))]
    grid = f"grid-template-columns: repeat({len(columns)}, minmax(0, 1fr))"
    return f'<div class="beside" style="{grid}">{"".join(cells)}</div>'


def _views(loaded: LoadedRun) -> RunViews:
    return heldout_views(loaded) or training_views(loaded)


def _cell(folder: Path, name: str, picture: np.ndarray) -> str:
    file = picture_file(folder / f"{name}.webp", picture)
    return f'<div><img src="{escape(folder.name)}/{escape(file.name)}" alt="{escape(name)}" loading="lazy"></div>'


def _differences(compared: list[Compared]) -> str:
    """Settings that not all runs share."""
    settings = [flattened(run.loaded.config.model_dump()) for run in compared]
    keys = dict.fromkeys(key for tree in settings for key in tree)
    rows = []
    for key in keys:
        values = [str(tree.get(key, "")) for tree in settings]
        if len(set(values)) > 1:
            rows.append(_table_row(key, values, set()))
    head = "".join(f"<th>{escape(run.name)}</th>" for run in compared)
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>" if rows else ""

"""The page of a report as HTML text: markup and style in one file, pictures beside it, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from . import charts

STYLE = """
:root { --ink: #1d2430; --soft: #667085; --line: #e4e7ec; --back: #f6f7f9; --accent: #2b5fb3; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 36px 24px 60px; }
h1 { font-size: 30px; margin: 0; letter-spacing: -.02em; }
h2 { font-size: 19px; margin: 44px 0 12px; letter-spacing: -.01em; }
p { margin: 6px 0; color: var(--soft); max-width: 75ch; }
section, .card { background: white; border: 1px solid var(--line); border-radius: 12px; }
section { padding: 18px; overflow-x: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 22px; }
.card { padding: 14px 16px; }
.card b { display: block; font-size: 24px; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
.views { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 8px 10px; align-items: center; }
.views div { text-align: center; color: var(--soft); font-size: 13px; }
.views .name { grid-column: 1 / -1; text-align: left; color: var(--ink); margin-top: 8px; }
img { max-width: 100%; height: auto; display: block; margin: 0 auto; border-radius: 6px; }
.views img { width: 100%; border: 1px solid var(--line); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 10px; }
.chart { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; font-weight: 600; }
td.note { color: var(--soft); }
a { color: var(--accent); }
details { margin-top: 10px; } summary { cursor: pointer; }
code { font: 13px ui-monospace, "SF Mono", Menlo, monospace; }
@media (max-width: 700px) { .views { grid-template-columns: repeat(2, 1fr); } .charts { grid-template-columns: 1fr; } }
"""


@dataclass(frozen=True)
class Row:
    """One line of a table: what, how much, and what it means."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class ViewPictures:
    """One view: a caption, and per column (title) the file beside the page."""

    caption: str
    files: dict[str, str]


@dataclass(frozen=True)
class Page:
    """All that a page shows; what is empty is left out.

    film: file beside the page. charts: SVG elements. links: title -> relative address. verdict: sentences; flagged,
    every_view: views that are far from the others, and all, the poorest first. cameras: file of a chart; camera_charts,
    camera_rows: how trained cameras moved. scene: cameras and object in space. findings: of the check of the input.
    """

    title: str
    subtitle: str
    headlines: list[Row]
    film: str
    views: list[ViewPictures]
    charts: list[str]
    metrics: list[Row]
    mesh: list[Row]
    links: dict[str, str]
    settings: list[Row]
    versions: list[Row]
    verdict: list[str] = field(default_factory=list)
    flagged: list[Row] = field(default_factory=list)
    every_view: list[Row] = field(default_factory=list)
    cameras: str = ""
    camera_charts: list[str] = field(default_factory=list)
    camera_rows: list[Row] = field(default_factory=list)
    scene: str = ""
    findings: list[Row] = field(default_factory=list)


def page_html(page: Page) -> str:
    """The whole document."""
    parts = [
        f"<h1>{escape(page.title)}</h1><p>{escape(page.subtitle)}</p>",
        cards(page.headlines),
        section("Verdict", _sentences(page.verdict) + table(page.flagged) + _every_view(page.every_view)),
        section("Around the object", _film(page.film)),
        section("Photo and rendering", _views(page.views)),
        section("Course of the fit", _charts(page.charts)),
        section("Trained cameras", _charts(page.camera_charts) + table(page.camera_rows) + _cameras(page.cameras)),
        section("Cameras and object (drag to turn, wheel to zoom)", page.scene),
        section("What the check of the input finds", table(page.findings)),
        section("Measurements", table(page.metrics)),
        section("Mesh", table(page.mesh) + _links(page.links)),
        section("Settings and versions", _folded("Settings", page.settings) + _folded("Versions", page.versions)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{escape(page.title)}</title><style>{STYLE}{charts.STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{"".join(parts)}</main></body></html>\n'


def section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2><section>{body}</section>" if body else ""


def cards(rows: Iterable[Row]) -> str:
    found = [f'<div class="card"><b>{escape(row.value)}</b><span>{escape(row.label)}</span></div>' for row in rows]
    return f'<div class="cards">{"".join(found)}</div>' if found else ""


def _sentences(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _every_view(rows: list[Row]) -> str:
    return f"<details><summary>Every view</summary>{table(rows)}</details>" if rows else ""


def _film(file: str) -> str:
    return f'<img src="{escape(file)}" alt="The object from all sides, in colour and as normals">' if file else ""


def _charts(elements: list[str]) -> str:
    return f'<div class="charts">{"".join(elements)}</div>' if elements else ""


def _cameras(file: str) -> str:
    alt = "Errors of rotations and centres over the steps"
    return f'<img src="{escape(file)}" alt="{alt}" style="width: 100%">' if file else ""


def _views(views: list[ViewPictures]) -> str:
    if not views:
        return ""
    cells = [f"<div>{escape(title)}</div>" for title in views[0].files]
    for view in views:
        cells.append(f'<div class="name">{escape(view.caption)}</div>')
        for title, file in view.files.items():
            alt = escape(f"{title}: {view.caption}")
            cells.append(f'<div><img src="{escape(file)}" alt="{alt}" loading="lazy"></div>')
    return f'<div class="views">{"".join(cells)}</div>'


def table(rows: list[Row]) -> str:
    return f"<table>{''.join(map(_table_row, rows))}</table>" if rows else ""


def _table_row(row: Row) -> str:
    cells = f'<td>{escape(row.label)}</td><td class="number">{escape(row.value)}</td>'
    return f'<tr>{cells}<td class="note">{escape(row.note)}</td></tr>'


def _links(links: dict[str, str]) -> str:
    items = [f'<a href="{escape(address)}">{escape(title)}</a>' for title, address in links.items()]
    return f"<p>{' · '.join(items)}</p>" if items else ""


def _folded(title: str, rows: list[Row]) -> str:
    lines = [
        f"<tr><td><code>{escape(row.label)}</code></td><td><code>{escape(row.value)}</code></td></tr>" for row in rows
    ]
    return f"<details><summary>{escape(title)}</summary><table>{''.join(lines)}</table></details>" if lines else ""

"""docs/gallery.md: what each preset of `tidr fit` makes of the demo's ewer, in pictures.

    .venv/bin/python benchmarks/methods_table.py --out FOLDER
    .venv/bin/python benchmarks/gallery.py FOLDER

Nothing is fitted here: rows and pictures are those of methods_table.py. The ewer is the program's own; photos of other
captures are not taken.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from methods_table import ENTRIES, TRUE_MESH, line, row_file  # before numpy: the package sets how threads wait

import numpy as np  # isort: skip
from PIL import Image  # isort: skip

from taichi_idr.measures.catalogue import MEASURES  # isort: skip
from taichi_idr.meshes.reading import read_mesh  # isort: skip

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gallery.md"
EWER = "ewer"
MEASURED = ("psnr_db", "heldout_psnr_db", "mask_iou", "accuracy", "completeness", "normal_error_deg")
QUALITY = 85  # of pictures, JPEG
SEEN_RIGHT = 0.99  # mask IoU
BEYOND = 5.0  # accuracy in completenesses, from which on there is surface that photos do not show
WIDTH = 140  # of the page's lines
INTRODUCTION = """\
What each preset of `tidr fit` makes of the ewer that `tidr demo` photographs: a photo that it was fitted to, what it
renders from there, and the normals of its surface. [methods.md](methods.md) says what presets are and need.

Measured on {machine}, at commits {commits}. PSNR and mask IoU are means over {views} of the photos, held-out PSNR over
photos that no fit has seen. Accuracy is the mean distance from the mesh to the true surface, completeness the other
way, in units of which the ewer's longest side has {size:.3g}. Seconds are of the fit alone; other programs ran beside
it (load {loads} when fits began), so that a quiet machine is faster. Published for hours on a GPU, {small} are small
here and had about two minutes: it shows what they do with little time, not how good they can be.

Written by `benchmarks/gallery.py` from what `benchmarks/methods_table.py` has made
([how](../benchmarks/README.md#all-methods-on-one-capture))."""
GIVES = {
    "fast": "The default: hash grid, stereo start, photo consistency, from silhouettes.",
    "quality": "The same for more than twice the steps.",
    "maskless": "The same without the capture's silhouettes: it cuts its own.",
    "idr": "IDR as published (Yariv et al., 2020), small.",
    "dvr": "DVR as published (Niemeyer et al., 2020), small. One colour for each place.",
    "unisurf": "UNISURF as published (Oechsle et al., 2021), small. It needs no silhouettes.",
    "nerf": "NeRF as published (Mildenhall et al., 2020), small. The mesh is a level set of its density.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed_options(arguments)
    rows = {name: json.loads(file.read_text()) for name in GIVES if (file := row_file(options.folder, name)).is_file()}
    foreign = {row["capture"] for row in rows.values()} - {EWER}
    if foreign or not rows:
        raise SystemExit(f"gallery: {options.folder} shows {', '.join(foreign) or 'nothing'}, not the demo's ewer")
    pictures = options.page.parent / "pictures" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    for name in rows:
        with Image.open(row_file(options.folder, name).with_suffix(".png")) as strip:
            strip.save(pictures / f"{name}.jpg", quality=QUALITY, optimize=True)
    options.page.write_text(page(rows, longest_side(options.folder / EWER / TRUE_MESH)))


def parsed_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="--out of methods_table.py")
    parser.add_argument("--page", type=Path, default=PAGE, help="[docs/gallery.md]")
    return parser.parse_args(arguments)


def longest_side(mesh: Path) -> float:
    """Of the box around a mesh, its unit."""
    return float(np.ptp(read_mesh(mesh).vertices, axis=0).max())


def page(rows: Mapping[str, Mapping[str, Any]], size: float) -> str:
    """Markdown. size: of the ewer."""
    parts = ["# Gallery", "", *introduction(rows, size), "", *table(rows)]
    for name, row in rows.items():
        shown = f"A photo of the ewer, the rendering of `{name}` from there, and its normals"
        parts += ["", f"## {name}", "", " ".join([GIVES[name], *remarks(name, row)]), ""]
        parts += [f"![{shown}](pictures/gallery/{name}.jpg)"]
    return "\n".join(parts) + "\n"


def introduction(rows: Mapping[str, Mapping[str, Any]], size: float) -> list[str]:
    found, loads = next(iter(rows.values())), [row["load_before"] for row in rows.values()]
    facts = {
        "machine": f"{found['machine']['cpu']}, {found['threads']} threads, {found['machine']['system']}",
        "commits": ", ".join(sorted({f"`{str(row['commit'])[:12]}`" for row in rows.values()})),
        "small": ", ".join(f"`{name}`" for name in rows if ENTRIES[name].small),
        "loads": f"{min(loads):.1f} to {max(loads):.1f}",
    }
    text = INTRODUCTION.format(**facts, views=found["views"], size=size)
    return "\n\n".join(textwrap.fill(part, WIDTH, break_on_hyphens=False) for part in text.split("\n\n")).splitlines()


def table(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    measures = [measure for measure in MEASURES if measure.key in MEASURED]
    titles = [f"{m.name}, {m.symbol}" if m.symbol else m.name for m in measures]
    lines = [line(["preset", "steps", "seconds", "memory, GiB", *titles]), "|" + "---|" * (4 + len(titles))]
    for name, row in rows.items():
        first = [f"[`{name}`](#{name})", f"{row['steps']:,}", f"{row['seconds']:.0f}", f"{row['peak_memory_gib']:.2f}"]
        lines.append(line([*first, *(m.shown(row[m.key]) if m.key in row else "" for m in measures)]))
    return lines


def remarks(name: str, row: Mapping[str, Any]) -> list[str]:
    """What the picture does not show."""
    said = [f"{row['steps']:,} steps of {ENTRIES[name].rays} rays."] if ENTRIES[name].small else []
    if row["mask_iou"] > SEEN_RIGHT and row["accuracy"] > BEYOND * row["completeness"]:
        said.append("Its mesh has surface where no photo sees any and the truth has none, inside: hence its accuracy.")
    return said


if __name__ == "__main__":
    main()

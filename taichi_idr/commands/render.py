"""`tidr render`: pictures and films of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..files.writing import create_folder
from ..runs.folder import open_run

if TYPE_CHECKING:
    import numpy as np

    from ..runs.views import Views
    from ..runtime import Arch

SECONDS_A_TURN = 6.0


def render_run(
    run: Path,
    *,
    views: Views = "orbit",
    frames: int = 60,
    size: int | None = None,
    downscale: int = 1,
    out: Path | None = None,
    arch: Arch = "cpu",
) -> list[Path]:
    """Write colour, normals and depth of every view as PNG into `out`/VIEWS; an orbit also as films beside the folder.

    size: longer side in pixels, by default the photos' at the run's downscale; downscale: shrinks further.
    `out` is RUN/renders by default. Returns the files.

    >>> files = render_run(run, views="training", size=24)
    written ...
    >>> files[0].name
    '000_colour.png'

    Raises InputMissing without held-out photos, BadInput, CannotCreate, WriteFailed; Unavailable after the pictures
    where no film can be written.
    """
    base = out or open_run(run).renders
    folder = create_folder(base / views)
    from .. import runtime
    from ..pictures.colours import eight_bit, view_pictures, write_png
    from ..pictures.film import write_film
    from ..pictures.rendering import render_view
    from ..runs.loading import load_run
    from ..runs.views import wanted_pictures

    runtime.init(arch)
    loaded = load_run(run)
    films: dict[str, list[np.ndarray]] = {"": [], "_normals": []}
    written: list[Path] = []
    wanted = wanted_pictures(loaded, views, frames=frames, size=size, downscale=downscale)
    for name, camera, (height, width) in wanted:
        pictures = view_pictures(render_view(loaded.model, camera, height, width, smooth=True), camera)
        for kind, picture in pictures.items():
            written.append(folder / f"{name}_{kind}.png")
            write_png(written[-1], picture)
        films[""].append(eight_bit(pictures["colour"]))
        films["_normals"].append(eight_bit(pictures["normals"]))
    print(f"written   {len(written)} pictures in {folder}")
    if views == "orbit":
        for suffix, film in films.items():
            written.append(base / f"orbit{suffix}.mp4")
            write_film(written[-1], film, frames_per_second=len(film) / SECONDS_A_TURN)
            print(f"written   {written[-1]}")
    return written

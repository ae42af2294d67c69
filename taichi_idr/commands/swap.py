"""`tidr swap`: the shape of one run in the colours of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import BadInput, InputMissing, UsageError
from ..files.writing import create_folder
from ..runs.folder import open_run

if TYPE_CHECKING:
    from ..fields.model import Looks
    from ..runs.loading import LoadedRun
    from ..runtime import Arch
    from ..types import Cameras

ORBIT = "orbit"
FRAMES_PER_SECOND = 10.0  # 30 frames, as many as were published, last 3 s
FILM = ".mp4"
Renderer = Literal["auto", "own", "material"]


def swap_runs(
    geometry: Path,
    appearance: Path,
    *,
    path: str = ORBIT,
    out: Path,
    frames: int = 30,
    size: int | None = None,
    downscale: int = 1,
    renderer: Renderer = "auto",
    arch: Arch = "cpu",
) -> list[Path]:
    """Render the surface of run `geometry` in the colours of run `appearance` along a path (section 9).

    renderer: "own" is that of run `appearance` as it is, which has to know the object by its features alone (presets
    idr, unisurf); "material" is learned from what that run shows, and knows no places; "auto" is the first where it can
    be, else the second.
    path: "orbit", or a camera file in the IDR format, in the world frame of `geometry`'s capture: a spline through its
    cameras. out: a film (.mp4), or a folder of PNG files. size, downscale: as in `render_run`. Returns the files.

    >>> files = swap_runs(run, run, out=run.with_name("swapped"), frames=2, size=24)
    material  ...
    >>> [file.name for file in files]
    ['0000.png', '0001.png']

    Raises UsageError, InputMissing, BadInput (runs that do not fit each other), CannotCreate, WriteFailed, Unavailable.
    """
    if out.suffix not in ("", FILM):
        raise UsageError("unknown kind of file", where=f"--out {out}", todo=f"name a {FILM} file or a folder")
    if path != ORBIT and not Path(path).is_file():
        raise InputMissing("no such camera file", where=Path(path), todo=f"name a cameras.npz, or {ORBIT}")
    for run in (geometry, appearance):
        open_run(run)
    create_folder(out.parent if out.suffix else out)
    from .. import runtime
    from ..pictures.colours import eight_bit, picture_shape, write_png
    from ..pictures.film import write_film
    from ..pictures.rendering import render_view
    from ..runs.loading import load_run

    runtime.init(arch)
    shape, look = load_run(geometry), load_run(appearance)
    model = _wearing(shape, look, renderer)
    height, width = picture_shape(shape.cameras, size, downscale)
    cameras = _along(path, shape, frames, (height, width))
    pictures = [
        eight_bit(render_view(model, cameras[[i]], height, width, smooth=True).colour) for i in range(len(cameras))
    ]
    if out.suffix:
        files = [out]
        write_film(out, pictures, frames_per_second=FRAMES_PER_SECOND)
    else:
        files = [out / f"{frame:04d}.png" for frame in range(len(pictures))]
        for file, picture in zip(files, pictures, strict=True):
            write_png(file, picture)
    print(f"written   {out}: {len(pictures)} pictures of {geometry} with the colours of {appearance}")
    return files


def _wearing(shape: LoadedRun, look: LoadedRun, renderer: Renderer) -> Looks:
    """The shape in the other run's colours."""
    if renderer == "material":
        return _dressed(shape, look)
    try:
        return shape.model.wearing(look.model)
    except BadInput as error:
        if renderer == "auto":
            return _dressed(shape, look)
        raise BadInput(error.what, where=look.run, why=error.why, todo=error.todo) from error


def _dressed(shape: LoadedRun, look: LoadedRun) -> Looks:
    """The shape in the other run's material, which is learned first; says how well."""
    from ..fitting.progress import Moment, Progress
    from ..materials.dressed import Dressed
    from ..materials.learning import Apprentice
    from ..materials.material import room_width
    from ..materials.settings import MaterialConfig
    from ..materials.standing import standing
    from ..runs.views import evenly

    config = MaterialConfig()
    room, stands = room_width(config, shape.model, look.model), standing(look.cameras)
    cameras = look.cameras[evenly(len(look.cameras), config.views)]
    apprentice = Apprentice(look.model, cameras, stands, config, room)
    with Progress(config.steps, config.pixels) as progress:
        for number, loss in enumerate(apprentice.steps(), start=1):
            progress.update(Moment(number, loss))
    shown = f"{len(apprentice.colours):,} points in {len(cameras)} pictures of {look.run}"
    print(f"material  {apprentice.psnr():.2f} dB against the colours of {shown}", flush=True)
    return Dressed(shape.model, standing(shape.cameras), apprentice.material, stands.reach)


def _along(path: str, run: LoadedRun, frames: int, size: tuple[int, int]) -> Cameras:
    """Cameras in the run's normalised frame."""
    import numpy as np

    from ..cameras.paths import orbit, spline
    from ..cameras.pinhole import transform_cameras
    from ..capture.formats.matrices import world_cameras

    if path == ORBIT:
        return orbit(run.cameras, frames=frames, size=size)
    cameras = world_cameras(Path(path))
    if len(cameras) < 2:
        why = f"{len(cameras)} world_mat in it, a path needs two"
        raise BadInput("no path", where=Path(path), why=why, todo=f"add cameras, or use --path {ORBIT}")
    return spline(transform_cameras(np.linalg.inv(run.T_world_normalised), cameras), frames=frames, size=size)

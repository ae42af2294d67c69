"""The shape of one run with the colours of another: the renderer sees a point, its normal, a direction and z only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from .. import runtime
from ..cameras.paths import orbit, spline
from ..cameras.pinhole import cameras_from_projections, transform_cameras
from ..capture.formats.idr import read_matrices
from ..config import IdrConfig
from ..errors import BadInput, InputMissing, UsageError
from ..fields.hash_geometry import GeometrySample
from ..fields.model import FastModel, LoadedRun, Model, load_run
from ..files.npz import read_npz
from ..files.writing import create_folder
from ..pictures.colours import eight_bit, picture_shape, write_png
from ..pictures.film import write_film
from ..pictures.rendering import render_view
from ..types import Cameras, Hits, Rays

FRAMES_PER_SECOND = 10.0  # 30 frames, as many as were published, last 3 s
FILM = ".mp4"


class SwappedModel(Model):
    """A's surface with B's renderer. z is A's in preset `idr`, as released; in `fast` z and encoding are B's there."""

    def __init__(self, shape: Model, look: Model) -> None:
        super().__init__()
        self.config, self.chunk = shape.config, shape.chunk
        self.shape, self.look = shape, look
        self.geometry, self.radiance = shape.geometry, look.radiance

    def sdf(self, points: Tensor) -> Tensor:
        return self.shape.sdf(points)

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        return self.shape.trace(rays, preview=preview)

    def surface(self, points: Tensor) -> GeometrySample:
        own = self.shape.surface(points)
        if not isinstance(self.look, FastModel):
            return own
        other = self.look.surface(points)
        return replace(own, feature=other.feature, encoding=other.encoding)


def swap_runs(
    geometry: Path,
    appearance: Path,
    *,
    path: str = "orbit",
    out: Path,
    frames: int = 30,
    size: int | None = None,
    downscale: int = 1,
    arch: runtime.Arch = "cpu",
) -> list[Path]:
    """Render the surface of run `geometry` with the renderer of run `appearance` along a path (section 9).

    path: "orbit", or a camera file in the IDR format, in the world frame of `geometry`'s capture: a spline through its
    cameras. out: a film (.mp4), or a folder of PNG files. size, downscale: as in `render_run`. Returns the files.

    Raises UsageError, InputMissing, BadInput (runs that do not fit each other), CannotCreate, WriteFailed, Unavailable.
    """
    if out.suffix not in ("", FILM):
        raise UsageError("unknown kind of file", where=f"--out {out}", todo=f"name a {FILM} file or a folder")
    create_folder(out.parent if out.suffix else out)
    runtime.init(arch)
    shape, look = load_run(geometry), load_run(appearance)
    _check_pair(shape, look)
    height, width = picture_shape(shape.cameras, size, downscale)
    cameras = _along(path, shape, frames, (height, width))
    model = SwappedModel(shape.model, look.model)
    pictures = [eight_bit(render_view(model, cameras[[i]], height, width).colour) for i in range(len(cameras))]
    written = _write(out, pictures)
    print(f"written   {out}: {len(pictures)} pictures of {geometry} with the colours of {appearance}")
    return written


def _check_pair(shape: LoadedRun, look: LoadedRun) -> None:
    """Raises BadInput where B's renderer cannot be fed."""
    presets = (shape.config.preset, look.config.preset)
    if type(shape.model) is not type(look.model):
        why = f"presets {presets[0]} and {presets[1]}: their renderers see different things"
        raise BadInput("runs do not fit each other", where=look.run, why=why, todo="fit both with one preset")
    if isinstance(look.config, IdrConfig) and isinstance(shape.config, IdrConfig):
        widths = (shape.config.geometry.features, look.config.geometry.features)
        if widths[0] != widths[1]:
            why = f"geometry.features is {widths[0]} in one and {widths[1]} in the other"
            raise BadInput("runs do not fit each other", where=look.run, why=why, todo="fit both with the same")


def _along(path: str, run: LoadedRun, frames: int, size: tuple[int, int]) -> Cameras:
    if path == "orbit":
        return orbit(run.cameras, frames=frames, size=size)
    return spline(_cameras_of_file(Path(path), run.T_world_normalised), frames=frames, size=size)


def _cameras_of_file(file: Path, T_world_normalised: np.ndarray) -> Cameras:
    """Cameras of world_mat_0, world_mat_1 ..., in the run's normalised frame."""
    if not file.is_file():
        raise InputMissing("no such camera file", where=file, todo="name a cameras.npz, or orbit")
    count = sum(key.startswith("world_mat_") and key[10:].isdigit() for key in read_npz(file))
    if count < 2:
        why = f"{count} world_mat in it, a path needs two"
        raise BadInput("no path", where=file, why=why, todo="add cameras, or use --path orbit")
    world_mats, _ = read_matrices(file, count)
    in_world = cameras_from_projections(world_mats[:, :3])
    return transform_cameras(np.linalg.inv(T_world_normalised), in_world)


def _write(out: Path, pictures: list[np.ndarray]) -> list[Path]:
    if out.suffix:
        write_film(out, pictures, frames_per_second=FRAMES_PER_SECOND)
        return [out]
    files = [out / f"{frame:04d}.png" for frame in range(len(pictures))]
    for file, picture in zip(files, pictures, strict=True):
        write_png(file, picture)
    return files

"""Rendered views as pictures for people: colours for normals and depth, strips, PNG files, films."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from .. import runtime
from ..cameras.paths import orbit
from ..cameras.pinhole import rotation_matrices, shrunk
from ..errors import InputMissing
from ..fields.model import LoadedRun, load_run
from ..files.writing import atomic_write, create_folder
from ..runs.views import HELDOUT, RunViews, heldout_views, training_views
from ..types import Cameras
from .film import write_film
from .rendering import RenderedView, render_view

Views = Literal["training", "heldout", "orbit"]
FARTHEST_GREY = 0.15
SECONDS_A_TURN = 6.0


def render_run(
    run: Path,
    *,
    views: Views = "orbit",
    frames: int = 60,
    size: int | None = None,
    downscale: int = 1,
    out: Path | None = None,
    arch: runtime.Arch = "cpu",
) -> list[Path]:
    """Write colour, normals and depth of every view as PNG into `out`/VIEWS; an orbit also as films beside
    the folder.

    size: longer side in pixels, by default the photos' at the run's downscale; downscale: shrinks further.
    `out` is RUN/renders by default. Returns the files. Raises InputMissing without held-out photos,
    CannotCreate, WriteFailed, Unavailable after the pictures where no film can be written.
    """
    base = out or run / "renders"
    folder = create_folder(base / views)
    runtime.init(arch)
    loaded = load_run(run)
    films: dict[str, list[np.ndarray]] = {"": [], "_normals": []}
    written = []
    for name, camera, (height, width) in _wanted(loaded, views, frames, size, downscale):
        rendered = render_view(loaded.model, camera, height, width)
        pictures = view_pictures(rendered, camera)
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


def picture_shape(cameras: Cameras, size: int | None, downscale: int) -> tuple[int, int]:
    """Height, width of pictures that are no photo's: those of the first photo, taken to be centred, then as asked."""
    middle = cameras.intrinsics[0, :2, 2].tolist()
    return _resizer(size, downscale)(cameras[[0]], (round(2 * middle[1]) + 1, round(2 * middle[0]) + 1))[1]


def view_pictures(rendered: RenderedView, camera: Cameras) -> dict[str, np.ndarray]:
    """Pictures (H, W, 3) in [0, 1] of one view: colour, normals, depth."""
    return {
        "colour": rendered.colour,
        "normals": normal_colours(rendered, camera),
        "depth": depth_colours(rendered),
    }


def view_strip(photo: np.ndarray, rendered: RenderedView, camera: Cameras) -> np.ndarray:
    """photo | render | normals (H, 3 W, 3) in [0, 1]."""
    return np.concatenate([photo, rendered.colour, normal_colours(rendered, camera)], axis=1)


def normal_colours(rendered: RenderedView, camera: Cameras) -> np.ndarray:
    """Normals (H, W, 3) in camera axes: red right, green up, blue towards the viewer; white where missed."""
    R_normalised_camera = rotation_matrices(camera.quaternions.double().cpu())[0].numpy()
    seen = rendered.normals @ (R_normalised_camera @ np.diag([1.0, -1.0, -1.0]))
    return np.where(rendered.hit[..., None], seen / 2 + 0.5, 1.0).astype(np.float32)


def depth_colours(rendered: RenderedView) -> np.ndarray:
    """Depth (H, W, 3) in grey, nearest white, black where missed."""
    grey = np.zeros(rendered.depth.shape, np.float32)
    if rendered.hit.any():
        depth = rendered.depth[rendered.hit]
        near, far = depth.min(), depth.max()
        grey[rendered.hit] = 1 - (1 - FARTHEST_GREY) * (depth - near) / max(far - near, 1e-6)
    return np.repeat(grey[..., None], 3, axis=2)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write (H, W, 3), uint8 or in [0, 1], whole or not at all. Raises WriteFailed."""
    data = io.BytesIO()
    Image.fromarray(eight_bit(picture)).save(data, "PNG", compress_level=4)
    atomic_write(path, data.getvalue())


def eight_bit(picture: np.ndarray) -> np.ndarray:
    """uint8 of a picture in [0, 1]; uint8 stays."""
    return picture if picture.dtype == np.uint8 else np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _wanted(
    loaded: LoadedRun, views: Views, frames: int, size: int | None, downscale: int
) -> Iterator[tuple[str, Cameras, tuple[int, int]]]:
    """Name, camera and height, width of each picture."""
    resized = _resizer(size, downscale)
    if views == "orbit":
        shape = picture_shape(loaded.cameras, size, downscale)
        cameras = orbit(loaded.cameras, frames=frames, size=shape)
        for frame in range(frames):
            yield f"{frame:04d}", cameras[[frame]], shape
        return
    chosen = training_views(loaded) if views == "training" else _heldout(loaded)
    for index, name in enumerate(chosen.capture.names):
        camera, shape = resized(chosen.cameras[[index]], chosen.capture.masks[index].shape)
        yield name, camera, shape


def _heldout(loaded: LoadedRun) -> RunViews:
    chosen = heldout_views(loaded)
    if chosen is None:
        where = loaded.capture_folder / HELDOUT
        raise InputMissing("no held-out photos", where=where, todo="render --views training or orbit")
    return chosen


def _resizer(size: int | None, downscale: int) -> Callable[[Cameras, tuple[int, ...]], tuple[Cameras, tuple[int, int]]]:
    """Maps a camera and the height, width of its photo to those of the wanted picture."""

    def resized(camera: Cameras, shape: tuple[int, ...]) -> tuple[Cameras, tuple[int, int]]:
        factor = max(shape) / size if size else float(downscale)
        height, width = (max(round(n / factor), 1) for n in shape)
        return shrunk(camera, factor), (height, width)

    return resized

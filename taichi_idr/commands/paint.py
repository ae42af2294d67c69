"""`tidr paint`: colours for a mesh from any program, of photos."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..capture.formats.catalogue import HELDOUT, find_capture, find_heldout
from ..capture.lights import LIGHTS, read_lights
from ..errors import BadInput, InputMissing, UsageError, warn
from ..files.writing import atomic_write, create_folder, gone_if_refused
from ..meshes.writing import mesh_files, write_mesh
from ..painting.settings import PaintConfig, make_paint_config
from ..runs.folder import RunFolder
from ..settings import to_toml
from ..types import CaptureReading

if TYPE_CHECKING:
    import torch

    from ..capture.formats.source import Layout
    from ..meshes.mesh import Mesh
    from ..painting.model import PaintedMesh
    from ..painting.networks import ColourNetwork
    from ..painting.seen import Seen
    from ..runtime import Arch
    from ..tracing.triangles import Surface
    from ..types import Capture

PAINTED = Path("painted")
FEWEST_PHOTOS = 1
SETTINGS, METRICS, RENDERS = "paint.toml", "metrics.json", "renders"
Subdivision = float | Literal["auto", "none"]


@dataclass(frozen=True)
class PaintSummary:
    """files: what was written. numbers: as in metrics.json."""

    files: list[Path]
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Lights:
    """names: of the lighting conditions; of_photos (V): number of each photo's."""

    names: list[str]
    of_photos: list[int]


@dataclass(frozen=True)
class Job:
    """shape: what is painted, world frame; surface: the same in the photos' normalised frame, with what they show of
    it."""

    shape: Mesh
    surface: Surface
    photos: Capture
    seen: Seen
    lights: Lights
    config: PaintConfig
    generator: torch.Generator

    def numbers(self) -> dict[str, Any]:
        """For metrics.json."""
        sizes = {"vertices": len(self.shape.vertices), "faces": len(self.shape.faces), "photos": len(self.photos)}
        seen = {"pixels": len(self.seen.samples), "seen_vertices": self._seen_share()}
        return {**sizes, **seen, "lights": self.lights.names, "steps": self.config.schedule.steps}

    def line(self) -> str:
        """What photos show of the mesh."""
        showing = int((self.seen.pixels[:, 2] > 0).sum())
        photos = f"{len(self.seen.samples):,} pixels of {showing} of {len(self.photos)} photos"
        return f"seen      {photos} show the mesh clearly, and {100 * self._seen_share():.1f} % of its vertices"

    def _seen_share(self) -> float:
        return float((self.seen.vertices > 0).double().mean())


def paint_mesh(
    mesh: Path,
    capture: Path,
    *,
    out: Path | None = None,
    preset: str = "light_field",
    assignments: Sequence[str] = (),
    steps: int | None = None,
    seed: int | None = None,
    downscale: int | None = None,
    subdivide: Subdivision = "auto",
    light: str | None = None,
    renders: int = 0,
    reading: CaptureReading | None = None,
    arch: Arch = "cpu",
) -> PaintSummary:
    """Paint a mesh with the photos of a capture, in the same world frame, and write `OUT/mesh.ply`, `.glb`,
    `metrics.json` and `paint.toml`; prints what it does.

    mesh: a file, or the folder of a run that has one. out: by default painted/CAPTURE's name. subdivide: longest edge,
    world units; "auto" is as long as a pixel at the mesh, "none" leaves vertices as they are. light: lighting condition
    of the mesh and of pictures, by default the one of most photos. renders: that many training views, evenly chosen,
    beside their photos.

    >>> summary = paint_mesh(capture / "gt_mesh.ply", capture, out=run / "painted", steps=50)
    mesh      ...
    >>> [file.name for file in summary.files]
    ['mesh.ply', 'mesh.glb', 'metrics.json', 'paint.toml', '00000050.tidr']

    Raises UsageError, InputMissing, BadInput (a mesh that no photo sees), CannotCreate, WriteFailed.
    """
    chosen = {"schedule": {"steps": steps}, "seed": seed, "downscale": downscale}
    config, reading = make_paint_config(preset, list(assignments), **chosen), reading or CaptureReading()
    file = _mesh_file(mesh)
    layout = find_capture(capture, reading, FEWEST_PHOTOS, need_masks=False)
    lights = _lights(capture, [image.name for image in layout.images])
    shown = _light_number(light, lights)
    folder = out or PAINTED / capture.resolve().name
    from .. import runtime

    started = time.monotonic()
    with gone_if_refused(folder) as keep:
        create_folder(folder)
        runtime.init(arch)
        job = prepared(file, layout, capture, reading, lights, config, subdivide)
        keep()
    painted = trained(job)
    numbers = {**job.numbers(), **scores(painted, job, capture, reading)}
    numbers["seconds"] = round(time.monotonic() - started, 1)
    painted.light = shown
    files = _written(painted, job, numbers, folder)
    if renders:
        files += _pictures(painted, job, None if light is None else shown, renders, folder / RENDERS)
        print(f"written   {renders} pictures in {folder / RENDERS}")
    return PaintSummary(files, numbers)


def _mesh_file(path: Path) -> Path:
    """The mesh itself, or that of a run. Raises InputMissing."""
    if not path.is_dir():
        if not path.exists():
            raise InputMissing("mesh not found", where=path, todo="check the path")
        return path
    file = RunFolder(path).mesh / "mesh.ply"
    if not file.is_file():
        raise InputMissing("no mesh in this folder", where=path, todo=f"name a file, or make it: tidr mesh {path}")
    return file


def _lights(folder: Path, images: Sequence[str]) -> Lights:
    """Of a capture's photos; one without a name where it does not say."""
    found = read_lights(folder, images)
    if found is None:
        return Lights([""], [0] * len(images))
    names = sorted(set(found))
    return Lights(names, [names.index(name) for name in found])


def _light_number(name: str | None, lights: Lights) -> int:
    """The condition of that name, or of most photos. Raises UsageError."""
    if name is None:
        return max(range(len(lights.names)), key=lights.of_photos.count)
    if name not in lights.names:
        known = [f"{known!r}" for known in lights.names if known]
        why = f"the capture has {', '.join(known)}" if known else f"the capture has no {LIGHTS}"
        raise UsageError("no such light", where=f"--light {name}", why=why, todo="name one, or leave it out")
    return lights.names.index(name)


def prepared(
    file: Path,
    layout: Layout,
    capture: Path,
    reading: CaptureReading,
    lights: Lights,
    config: PaintConfig,
    subdivide: Subdivision,
) -> Job:
    """Photos and mesh read, rays cast. Raises BadInput."""
    import numpy as np
    import torch

    from ..capture.reading import read_capture
    from ..meshes.mesh import transformed
    from ..meshes.reading import read_mesh
    from ..painting.placing import check_seen, mesh_frame
    from ..painting.seen import look_through
    from ..tracing.triangles import Surface

    given = read_mesh(file)
    T = mesh_frame(given)
    options: dict[str, Any] = {"downscale": config.downscale, "need_masks": False, "T_world_normalised": T}
    photos = read_capture(capture, reading, layout=layout, **options)
    for text in photos.warnings:
        warn(text)
    if len(lights.names) > 1 and config.texture.network != "light":
        warn(f"{LIGHTS} names {len(lights.names)} lights: --preset light_field tells them apart")
    shape = _with_room(given, photos, subdivide, config)
    surface = Surface(transformed(shape, np.linalg.inv(T)))
    generator = torch.Generator().manual_seed(config.seed)
    seen = look_through(surface, photos, config.seen, generator)
    for text in check_seen(seen.pixels, len(seen.samples), photos):
        warn(text)
    job = Job(shape, surface, photos, seen, lights, config, generator)
    print(job.line(), flush=True)
    return job


def _with_room(mesh: Mesh, photos: Capture, subdivide: Subdivision, config: PaintConfig) -> Mesh:
    """The mesh with edges as short as asked for, world frame; says what happened."""
    import numpy as np

    from ..cameras.pinhole import scale_of
    from ..meshes.mesh import transformed
    from ..meshes.subdivision import edge_for, subdivided
    from ..painting.placing import pixel_footprint

    T = photos.T_world_normalised
    pixel = pixel_footprint(transformed(mesh, np.linalg.inv(T)), photos) * scale_of(T)
    wanted = pixel if subdivide == "auto" else subdivide
    if wanted == "none":
        print(f"mesh      {len(mesh.vertices):,} vertices, as given; a pixel is {pixel:.3g} world units there")
        return mesh
    longest = edge_for(mesh, float(wanted), config.most_vertices)
    shape = subdivided(mesh, longest, config.most_vertices)
    was = f"mesh      {len(mesh.vertices):,} vertices"
    limit = f", as short as {config.most_vertices:,} vertices allow" if longest > float(wanted) else ""
    if shape is mesh:
        print(f"{was}, no edge longer than {longest:.3g} world units{limit}")
    else:
        print(f"{was} became {len(shape.vertices):,}: edges longer than {longest:.3g} world units are split{limit}")
    return shape


def trained(job: Job, network: ColourNetwork | None = None) -> PaintedMesh:
    """The colours learned, by default by the network of the settings, with a line of progress."""
    import torch

    from ..fitting.progress import Moment, Progress
    from ..painting.model import PaintedMesh
    from ..painting.networks import colour_network
    from ..painting.trainer import Painter

    device, samples = job.surface.normals.device, job.seen.samples
    if network is None:
        network = colour_network(job.config, len(job.lights.names), device, job.generator)
    centres, lights = job.photos.cameras.centres, torch.tensor(job.lights.of_photos)
    known = {"centres": centres, "lights": lights, "stops": job.photos.stops}
    painter = Painter(network, job.surface, samples, job.config.schedule, **known, generator=job.generator)
    with Progress(job.config.schedule.steps, job.config.schedule.pixels) as progress:
        for number, loss in enumerate(painter.steps(), start=1):
            progress.update(Moment(number, loss))
    shown = torch.zeros(len(job.surface.faces), dtype=torch.bool, device=device)
    shown[samples.face.long()] = True
    return PaintedMesh(job.surface, network, centres, job.seen.vertices > 0, shown)


def scores(painted: PaintedMesh, job: Job, capture: Path, reading: CaptureReading) -> dict[str, float]:
    """Of the photos that were learned from, and of those that are held out, where there are any; prints them."""
    from ..capture.reading import read_capture
    from ..painting.measuring import paint_scores

    found = paint_scores(painted, job.photos, job.lights.of_photos, job.config.seen)
    numbers = {"psnr_seen_db": found.seen_db, "psnr_clear_db": found.clear_db}
    print(f"photos    PSNR {found.seen_db:.2f} dB where they show the mesh, {found.clear_db:.2f} dB where clearly")
    outside = replace(reading, cameras_file=None, ignore=None)
    layout = find_heldout(capture, outside, need_masks=False)
    if layout is not None:
        options: dict[str, Any] = {"downscale": job.config.downscale, "need_masks": False, "layout": layout}
        views = read_capture(capture, outside, T_world_normalised=job.photos.T_world_normalised, **options)
        found = paint_scores(painted, views, _heldout_lights(capture, views, job.lights), job.config.seen)
        numbers |= {"heldout_psnr_seen_db": found.seen_db, "heldout_psnr_clear_db": found.clear_db}
        print(f"held out  PSNR {found.seen_db:.2f} dB where they show the mesh, {found.clear_db:.2f} dB where clearly")
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _heldout_lights(capture: Path, views: Capture, lights: Lights) -> list[int]:
    """In the light that `heldout/lights.json` says. Raises BadInput for one in which no photo was taken."""
    folder, images = capture / HELDOUT, [file.name for file in views.files]
    found = read_lights(folder, images)
    if found is None:
        if len(lights.names) > 1:
            warn(f"{folder} has no {LIGHTS}: its photos are taken to be in light {lights.names[0]!r}")
        return [0] * len(images)
    unknown = sorted(set(found) - set(lights.names))
    if unknown:
        why = f"no photo that is learned from was taken in {unknown[0]!r}"
        raise BadInput("unknown light", where=folder / LIGHTS, why=why, todo="correct the name")
    return [lights.names.index(name) for name in found]


def _written(painted: PaintedMesh, job: Job, numbers: dict[str, Any], folder: Path) -> list[Path]:
    from ..runs.painted import save_painted

    coloured = replace(job.shape, colours=painted.colours_8_bit())
    files = mesh_files(folder, None)
    for file in files:
        write_mesh(file, coloured)
    atomic_write(folder / METRICS, json.dumps(numbers, indent=1) + "\n")
    atomic_write(folder / SETTINGS, to_toml(job.config))
    T = job.photos.T_world_normalised
    state = save_painted(folder, painted, job.config, job.lights.names, T)
    files += [folder / METRICS, folder / SETTINGS, state]
    print("\n".join(f"written   {file}" for file in files))
    return files


def _pictures(painted: PaintedMesh, job: Job, shown: int | None, count: int, folder: Path) -> list[Path]:
    """Of some photos: photo | rendered in its light, and | in the light `shown` if that is asked for."""
    import numpy as np

    from ..pictures.colours import write_png
    from ..pictures.rendering import render_view
    from ..runs.views import evenly

    create_folder(folder)
    files, photos = [], job.photos
    for view in evenly(len(photos), count):
        strip = [photos.images[view].astype(np.float32) / 255]
        own, camera, shape = job.lights.of_photos[view], photos.cameras[[view]], photos.masks[view].shape
        for light in (own,) if shown is None else (own, shown):
            painted.light = light
            stops = None if photos.stops is None else photos.stops[view]
            strip.append(render_view(painted, camera, *shape, smooth=True).as_exposed(stops))
        files.append(folder / f"{photos.names[view]}.png")
        write_png(files[-1], np.concatenate(strip, axis=1))
    return files

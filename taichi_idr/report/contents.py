"""One page about a run: pictures beside photos, the course of the fit, measurements, mesh, settings, versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import runtime
from ..cameras.alignment import camera_movement
from ..cameras.paths import mean_up, orbit
from ..capture.formats.catalogue import find_capture
from ..capture.inspection import inspected
from ..errors import TidrError, warn
from ..files.reading import whole
from ..files.writing import atomic_write, create_folder, write_filled
from ..machine import PACKAGES, version
from ..measures.catalogue import measured
from ..measures.images import psnr_masked
from ..meshes import mesh as meshes
from ..meshes.reading import read_mesh
from ..methods.catalogue import method_of
from ..pictures.colours import eight_bit, normal_colours
from ..pictures.rendering import render_view
from ..poses.history import HISTORY_FILE, read_history
from ..runs.folder import RunFolder, open_run
from ..runs.loading import LoadedRun, load_run
from ..runs.views import RunViews, evenly, heldout_views, training_views
from ..settings import flattened
from .camera_charts import CURVES_FILE
from .charts import line_chart
from .inlining import inlined
from .page import Page, Row, ViewPictures, page_html
from .scene import scene_html

PICTURE_PIXELS = 400  # longer side
FILM_PIXELS = 320
FILM_SECONDS = 4.0
TRAINING_VIEWS, HELDOUT_VIEWS = 3, 2
ERROR_GAIN = 4.0

HEADLINES = ("psnr_db", "heldout_psnr_db", "mask_iou", "chamfer")


def write_report(
    run: Path, *, film_frames: int = 48, inspect: bool = False, out: Path | None = None, arch: runtime.Arch = "cpu"
) -> Path:
    """Write `RUN/report/index.html`, or `out`, with the pictures beside it in it too; returns the page.

    What the run does not have (measurements, mesh, the capture's photos) is left out. film_frames: 0 for no film.
    inspect: whether the capture is checked again, and what is found told.
    Raises InputMissing and BadInput for a RUN that is none, CannotCreate and WriteFailed for the page.
    """
    folder = open_run(run)
    create_folder(folder.report)
    target = out or folder.report / "index.html"
    create_folder(target.parent)
    runtime.init(arch)
    loaded = load_run(run)
    views, size = _views(loaded, folder.report)
    metrics, evaluated = folder.read_metrics(), _evaluated(folder)
    measures, ranked = _measures(evaluated), _ranked(evaluated)
    mesh, links = _mesh_rows(folder)
    page = Page(
        title=f"{loaded.capture_folder.name}: fit of {len(loaded.cameras)} photos",
        subtitle=_subtitle(loaded, metrics, size),
        headlines=[measures[key] for key in HEADLINES if key in measures],
        film=_film(loaded, folder.report, film_frames),
        views=views,
        charts=_charts(metrics, method_of(loaded.config).terms),
        metrics=list(measures.values()),
        mesh=mesh,
        links=links,
        settings=[Row(key, str(value)) for key, value in flattened(loaded.config.model_dump()).items()],
        versions=[Row(name, found) for name in PACKAGES if (found := version(name))],
        verdict=_verdict(evaluated),
        flagged=[_view_row(row) for row in ranked if row.get("verdict")],
        every_view=[_view_row(row) for row in ranked],
        cameras=CURVES_FILE if (folder.report / CURVES_FILE).is_file() else "",
        camera_charts=_camera_charts(metrics),
        camera_rows=_camera_rows(loaded, folder),
        scene=_scene(loaded, folder, {str(row["name"]) for row in ranked if row.get("verdict")}),
        findings=_findings(loaded) if inspect else [],
    )
    atomic_write(target, inlined(page_html(page), folder.report))
    return target


def _scene(loaded: LoadedRun, folder: RunFolder, bad: set[str]) -> str:
    """Cameras around what the mesh is, in space."""
    if len(loaded.cameras) == 0:
        return ""
    points = np.zeros((0, 3))
    if (folder.mesh / "mesh.ply").is_file():
        to_run = np.linalg.inv(loaded.T_world_normalised)
        points = read_mesh(folder.mesh / "mesh.ply").vertices @ to_run[:3, :3].T + to_run[:3, 3]
    middle = loaded.cameras.intrinsics[:, :2, 2].numpy()
    shapes = [(round(2 * row) + 1, round(2 * column) + 1) for column, row in middle]
    names = [f"{view:03d}" for view in range(len(shapes))]
    return scene_html(loaded.cameras, shapes, names, bad, points, mean_up(loaded.cameras))


def _findings(loaded: LoadedRun) -> list[Row]:
    """What `tidr check` says of the capture; nothing where it is gone."""
    try:
        layout = find_capture(loaded.capture_folder, loaded.reading, depth="maps")
        found = inspected(loaded.capture_folder, layout, loaded.reading)
    except TidrError as error:
        warn(f"the report does not say what the check finds: {error}")
        return []
    rows = [Row("The capture", "", note) for note in found.notes]
    rows += [Row(picture.name, "", "; ".join(picture.findings)) for picture in found.pictures if picture.findings]
    if found.error is not None:
        rows.insert(0, Row("The capture", "", str(found.error)))
    return rows or [Row("The capture", "", "nothing to object to")]


def evaluated_numbers(folder: RunFolder) -> dict[str, float]:
    """What `tidr eval` has left, by the keys of `measures.catalogue`; empty where it has not run."""
    return {measure.key: value for measure, value in measured(_evaluated(folder))}


def _subtitle(loaded: LoadedRun, metrics: list[dict[str, Any]], size: tuple[int, ...] | None) -> str:
    pixels = f"{size[1]} × {size[0]} pixels, " if size else ""
    last = metrics[-1].get("seconds") if metrics else None
    seconds = "" if last is None else f" in {last:,.0f} s"
    return f"{pixels}{loaded.step:,} steps{seconds}, preset {loaded.config.preset}, seed {loaded.config.seed}"


def _evaluated(folder: RunFolder) -> dict[str, Any]:
    """eval.json, of its lists what is as `tidr eval` writes it; empty where it is missing."""
    try:
        found = json.loads(whole(folder.report / "eval.json", 1 << 20))
    except (TidrError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    verdict, faults, views = found.get("verdict"), found.get("faults"), found.get("views")
    lists = {"faults": _those(faults, str), "views": [_measured_view(row) for row in _those(views, dict)]}
    return {**found, **lists, "verdict": verdict if isinstance(verdict, str) else ""}


def _those(values: Any, kind: type) -> list[Any]:
    """The members of a list that are of a kind; none of what is no list."""
    return [value for value in values if isinstance(value, kind)] if isinstance(values, list) else []


def _measured_view(row: dict[str, Any]) -> dict[str, Any]:
    """One of eval.json's views, whose numbers are numbers."""
    texts = {key: row.get(key) if isinstance(row.get(key), str) else "" for key in ("name", "verdict")}
    return {**{measure.key: value for measure, value in measured(row)}, **texts}


def _measures(evaluated: dict[str, Any]) -> dict[str, Row]:
    """The numbers in words, by key."""
    return {
        measure.key: Row(
            f"{measure.name[0].upper()}{measure.name[1:]}",
            f"{measure.shown(value)} {measure.symbol}".strip(),
            measure.meaning,
        )
        for measure, value in measured(evaluated)
    }


def _verdict(evaluated: dict[str, Any]) -> list[str]:
    """The verdict and the faults, as sentences; nothing where an earlier version measured."""
    found = [evaluated.get("verdict"), *(evaluated.get("faults") or [])]
    return [f"{text[0].upper()}{text[1:]}." for text in found if text]


def _ranked(evaluated: dict[str, Any]) -> list[dict[str, Any]]:
    """The views, the poorest first: those with a verdict, then by PSNR of the hit pixels."""
    views = evaluated.get("views") or []
    return sorted(views, key=lambda view: (not view.get("verdict"), view.get("psnr_hit_db", 0.0)))


def _view_row(view: dict[str, Any]) -> Row:
    shown = {
        measure.key: f"{measure.name} {measure.shown(value)} {measure.symbol}".strip()
        for measure, value in measured(view)
    }
    numbers = ", ".join(shown[key] for key in ("mask_iou", "psnr_hit_db", "exposure_ev") if key in shown)
    return Row(f"View {view.get('name')}", numbers, view.get("verdict") or "")


def _mesh_rows(folder: RunFolder) -> tuple[list[Row], dict[str, str]]:
    """Facts about mesh.ply, and links to the files."""
    files = [path for path in (folder.mesh / name for name in ("light.glb", "mesh.glb", "mesh.ply")) if path.is_file()]
    links = {f"{path.name} ({path.stat().st_size / 1e6:.1f} MB)": f"../mesh/{path.name}" for path in files}
    if not (folder.mesh / "mesh.ply").is_file():
        return [], links
    mesh = read_mesh(folder.mesh / "mesh.ply")
    _, found = meshes.topology_by_position(mesh.vertices, mesh.faces)
    size = " × ".join(f"{extent:.4g}" for extent in np.ptp(mesh.vertices, axis=0))
    rows = [
        Row("Vertices", f"{len(mesh.vertices):,}"),
        Row("Faces", f"{len(mesh.faces):,}"),
        Row("Watertight", "yes" if found.closed else "no", "every edge between two faces, wound the same way"),
        Row("Bodies", str(found.bodies)),
        Row("Size", size, "box along the world's axes, world units"),
        Row("Area", f"{meshes.area(mesh.vertices, mesh.faces):.5g}", "world units squared"),
    ]
    if found.closed:
        rows.insert(4, Row("Handles", str(found.handles), "holes through the body"))
        rows.append(Row("Volume", f"{meshes.volume(mesh.vertices, mesh.faces):.5g}", "world units cubed"))
    return rows, links


def _charts(metrics: list[dict[str, Any]], terms: Sequence[str]) -> list[str]:
    """Terms of the loss, PSNR, silhouettes, speed over steps; seconds stand below the steps."""
    timed = [(record["step"], record["seconds"]) for record in metrics if record.get("seconds") is not None]

    def series(key: str, scale: float = 1.0) -> list[tuple[float, float]]:
        return [(record["step"], scale * record[key]) for record in metrics if record.get(key) is not None]

    def clock(step: float) -> str:
        steps, seconds = zip((0, 0), *timed, strict=True)
        return f"{np.interp(step, steps, seconds):.0f} s" if step <= max(steps) else ""

    pace = [point for point in series("rays_per_second", 1e-3) if point[1] > 0]  # the first line knows none
    loss = {key: series(key) for key in ("loss", *terms)}
    charts = [
        line_chart("Loss and its terms", loss, log=True, below=clock),
        line_chart("PSNR of the batch where hit, dB", {"psnr": series("psnr_db")}, below=clock),
        line_chart("Mask IoU of the batch", {"iou": series("mask_iou")}, below=clock),
        line_chart("Thousand rays per second", {"rays": pace}, below=clock),
    ]
    return [chart for chart in charts if chart]


def _camera_charts(metrics: list[dict[str, Any]]) -> list[str]:
    """Mean movement since the start over steps; nothing where cameras were fixed."""
    titles = {
        "camera_turned_deg": "Cameras turned since the start, mean, °",
        "camera_moved": "Cameras moved since the start, mean, world units",
    }
    charts = [
        line_chart(title, {"cameras": [(r["step"], r[key]) for r in metrics if r.get(key) is not None]})
        for key, title in titles.items()
    ]
    return [chart for chart in charts if chart]


def _camera_rows(loaded: LoadedRun, folder: RunFolder) -> list[Row]:
    """How far each camera is from where it started."""
    history = read_history(folder.cameras / HISTORY_FILE)
    if history is None or len(history.at(0)) != len(loaded.cameras):
        return []
    moved = camera_movement(history.at(0), loaded.cameras, loaded.unit)
    note = "mean; median {:.3g}, most {:.3g} (photo {} in order of name); less what all cameras have in common"
    return [
        Row(name, f"{x.mean():.3g} {symbol}".strip(), note.format(np.median(x), x.max(), int(x.argmax()) + 1))
        for name, symbol, x in (("Turned", "°", moved.degrees), ("Moved", "units", moved.distance))
    ]


def _views(loaded: LoadedRun, folder: Path) -> tuple[list[ViewPictures], tuple[int, ...] | None]:
    """Pictures of some views beside their photos, and the photos' height and width; nothing where they are gone."""
    try:
        fitted, unseen = training_views(loaded), heldout_views(loaded)
    except TidrError as error:
        warn(f"the report has no photos: {error}")
        return [], None
    rows = [_view(loaded, fitted, view, folder, "training") for view in evenly(len(fitted), TRAINING_VIEWS)]
    if unseen is not None:
        rows += [_view(loaded, unseen, view, folder, "heldout") for view in evenly(len(unseen), HELDOUT_VIEWS)]
    return rows, fitted.capture.masks[0].shape


def _view(loaded: LoadedRun, views: RunViews, view: int, folder: Path, kind: str) -> ViewPictures:
    """Render one view, write its four pictures."""
    photo, mask, camera = views.capture.images[view], views.capture.masks[view], views.cameras[[view]]
    rendered = render_view(loaded.model, camera, *mask.shape, smooth=True)
    shown = np.where(mask[..., None], photo / 255.0, 1.0)
    own = loaded.stops[view] if loaded.stops is not None and kind == "training" else None
    compared = rendered.as_exposed(own)
    error = np.abs(compared - shown).mean(axis=2, keepdims=True).repeat(3, axis=2)
    pictures = {
        "photo": shown,
        "rendering": rendered.colour,
        "normals": normal_colours(rendered, camera),
        f"error × {ERROR_GAIN:.0f}": 1.0 - np.clip(ERROR_GAIN * error, 0, 1),
    }
    files = {}
    for title, picture in pictures.items():
        files[title] = picture_file(folder / f"{kind}_{view:03d}_{title.split()[0]}.webp", picture).name
    psnr = psnr_masked(compared, photo / 255.0, mask)
    word = "never seen by the fit" if kind == "heldout" else "fitted to"
    return ViewPictures(f"{views.capture.names[view]}, {word}: {psnr:.2f} dB", files)


def _film(loaded: LoadedRun, folder: Path, frames: int) -> str:
    """An orbit, colour beside normals, as an animated picture: plays in every browser without a codec."""
    if frames < 1:
        return ""
    name = "orbit.webp"
    cameras = orbit(loaded.cameras, frames=frames, size=(FILM_PIXELS, FILM_PIXELS))
    pictures = []
    for index in range(frames):
        camera = cameras[[index]]
        rendered = render_view(loaded.model, camera, FILM_PIXELS, FILM_PIXELS, smooth=True)
        pictures.append(_image(np.hstack([rendered.colour, normal_colours(rendered, camera)])))
    pause = round(1000 * FILM_SECONDS / frames)
    more = {"append_images": pictures[1:], "duration": pause, "loop": 0}
    _write_webp(folder / name, pictures[0], save_all=True, quality=88, method=3, **more)
    return name


def picture_file(file: Path, picture: np.ndarray) -> Path:
    """Write a small WebP of a picture (H, W, 3) in [0, 1]; returns `file`."""
    _write_webp(file, _resized(_image(picture), PICTURE_PIXELS), quality=92, method=4)
    return file


def _write_webp(file: Path, image: Image.Image, **options: Any) -> None:
    write_filled(file, lambda data: image.save(data, "WEBP", **options))


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(eight_bit(picture))


def _resized(image: Image.Image, longest: int) -> Image.Image:
    scale = longest / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS) if scale < 1 else image

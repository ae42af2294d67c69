"""The numbers of a run: pictures against photos, mesh and cameras against the truth where it is given."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .. import runtime
from ..cameras.pinhole import CameraAccuracy, camera_accuracy, cameras_from_projections, transform_cameras
from ..capture.formats.idr import read_matrices
from ..errors import BadInput, InputMissing, warn
from ..fields.model import LoadedRun, load_run
from ..files.writing import atomic_write, create_folder
from ..measures import images as image_metrics
from ..measures.camera_curves import (
    HISTORY_FILE,
    CameraCurves,
    PoseHistory,
    camera_curves,
    camera_movement,
    curves_svg,
    read_history,
)
from ..measures.dtu import DtuScan, dtu_distance, read_scan, scan_number
from ..measures.surfaces import mesh_distance
from ..meshes import mesh as meshes
from ..meshes.extraction import extract_mesh
from ..meshes.mesh import Mesh
from ..pictures.rendering import render_view
from ..runs.folder import open_run
from ..runs.views import RunViews, heldout_views, training_views
from ..types import Cameras

MESH_RESOLUTION = 256  # of the mesh that is measured where the run has none
DTU_RESOLUTION = 512  # the same under the DTU protocol (EVAL-1)
CURVES_FILE = "cameras.svg"
LINES = {
    "psnr_db": ("PSNR", "dB", 2),
    "psnr_hit_db": ("PSNR of the hit pixels", "dB", 2),
    "missed_fraction": ("missed object pixels", "%", 3),
    "ssim": ("SSIM", "", 4),
    "mask_iou": ("mask IoU", "", 4),
    "heldout_psnr_db": ("held-out PSNR", "dB", 2),
    "accuracy": ("accuracy", "world units", 4),
    "completeness": ("completeness", "world units", 4),
    "chamfer": ("Chamfer", "world units", 4),
    "fscore": ("F-score at 1 % of the box", "", 4),
    "normal_error_deg": ("normal error", "degrees", 2),
    "dtu_accuracy": ("DTU accuracy", "mm", 3),
    "dtu_completeness": ("DTU completeness", "mm", 3),
    "dtu_chamfer": ("DTU Chamfer", "mm", 3),
    "camera_rotation_deg": ("camera rotation", "degrees", 3),
    "camera_rotation_median_deg": ("camera rotation, median", "degrees", 3),
    "camera_rotation_start_deg": ("camera rotation at the start", "degrees", 3),
    "camera_rotation_swing": ("largest camera rotation", "times the start", 2),
    "camera_centre": ("camera centre", "world units", 4),
    "camera_centre_median": ("camera centre, median", "world units", 4),
    "camera_centre_start": ("camera centre at the start", "world units", 4),
    "camera_swing": ("largest camera centre", "times the start", 2),
    "camera_turned_deg": ("cameras turned since the start", "degrees", 3),
    "camera_moved": ("cameras moved since the start", "world units", 4),
}


@dataclass(frozen=True)
class PictureScores:
    """Means over the views that have an object (missed_fraction: over all object pixels)."""

    psnr_db: float
    psnr_hit_db: float
    missed_fraction: float
    ssim: float
    mask_iou: float


def evaluate_run(
    run: Path,
    *,
    gt_mesh: Path | None = None,
    gt_cameras: Path | None = None,
    dtu: Path | None = None,
    scan: int | None = None,
    max_views: int | None = None,
    downscale: int | None = None,
    arch: runtime.Arch = "cpu",
) -> dict[str, float]:
    """Measure a run, print a line for each number and write `RUN/report/eval.json`.

    gt_mesh: true surface, in the world frame. gt_cameras: `cameras.npz` with the true poses; the run is
    aligned to them by one similarity (CAM-9) before mesh (CAM-10) and held-out views are measured; where its
    cameras were trained, their errors over the steps become `RUN/report/cameras.svg`. dtu: folder of the DTU
    sample set, for the benchmark's distance (EVAL-6); scan: its number, by default that in the capture's name.
    max_views: that many training views, evenly chosen, instead of all. downscale: shrinks the photos, by
    default as the fit did. A number that could not be measured is absent. Raises UsageError, InputMissing,
    BadInput, Diverged, CannotCreate, WriteFailed.
    """
    folder = create_folder(open_run(run).report)
    truth = meshes.read_mesh(gt_mesh) if gt_mesh else None
    runtime.init(arch)
    loaded = load_run(run)
    benchmark = read_scan(dtu, scan_number(loaded.capture_folder.name) if scan is None else scan) if dtu else None
    history = _history(loaded)
    reference = _true_cameras(gt_cameras, len(loaded.cameras)) if gt_cameras else None
    accuracy = _accuracy(loaded, reference) if reference else None
    T_truth_run = accuracy.alignment if accuracy else np.eye(4)
    aligned = accuracy is not None or _in_capture_frame(loaded)
    if not aligned:
        warn("poses were rough: held-out photos are left out, a true mesh is not aligned; --gt-cameras aligns both")
    numbers = _picture_numbers(loaded, T_truth_run if aligned else None, max_views, downscale)
    numbers |= _surface_numbers(loaded, T_truth_run, truth, benchmark)
    numbers |= _camera_numbers(accuracy) if accuracy else {}
    numbers |= _movement_numbers(loaded, history) if history else {}
    if reference and history:
        curves = camera_curves(history, reference)
        numbers |= _curve_numbers(curves)
        atomic_write(folder / CURVES_FILE, curves_svg(curves))
    numbers = {key: value for key, value in numbers.items() if math.isfinite(value)}
    print("\n".join(metric_lines(numbers)))
    atomic_write(folder / "eval.json", json.dumps(numbers, indent=1) + "\n")
    return numbers


def metric_lines(numbers: dict[str, float]) -> list[str]:
    """`PSNR 23.41 dB`: name, value, unit."""
    lines = []
    for key, (name, unit, digits) in LINES.items():
        if key in numbers:
            value = numbers[key] * (100 if unit == "%" else 1)
            lines.append(f"{name} {value:.{digits}f} {unit}".rstrip())
    return lines


def score_views(loaded: LoadedRun, views: RunViews) -> PictureScores:
    """Render every view and compare it with its photo."""
    rows, missed, object_pixels = [], 0.0, 0
    for index, (image, mask) in enumerate(zip(views.capture.images, views.capture.masks, strict=True)):
        photo = image.astype(np.float32) / 255
        rendered = render_view(loaded.model, views.cameras[[index]], *mask.shape)
        colour, hit = rendered.colour, rendered.hit
        rows.append(
            (
                image_metrics.psnr_masked(colour, photo, mask),
                image_metrics.psnr_hit(colour, photo, mask, hit),
                image_metrics.ssim(colour, photo, mask),
                image_metrics.mask_iou(mask, hit),
            )
        )
        missed += image_metrics.missed_share(mask, hit) * np.count_nonzero(mask)
        object_pixels += np.count_nonzero(mask)
    psnr, psnr_hit, ssim, iou = (_mean(column) for column in zip(*rows, strict=True))
    return PictureScores(psnr, psnr_hit, missed / max(object_pixels, 1), ssim, iou)


def _mean(values: tuple[float, ...]) -> float:
    """Mean of what was measured; NaN where nothing was."""
    measured = [value for value in values if not math.isnan(value)]
    return float(np.mean(measured)) if measured else math.nan


def _history(loaded: LoadedRun) -> PoseHistory | None:
    """Where trained cameras were; None where they were fixed."""
    file = open_run(loaded.run).cameras / HISTORY_FILE
    history = read_history(file)
    if history and len(history.at(0)) != len(loaded.cameras):
        why = f"poses of {len(history.at(0))} views, the run has {len(loaded.cameras)}"
        raise BadInput("bad pose history", where=file, why=why, todo="remove the file")
    return history


def _true_cameras(file: Path, count: int) -> Cameras:
    """Those of `file`, world frame."""
    if not file.is_file():
        raise InputMissing("cameras not found", where=file, todo="check the path")
    world_mats, _ = read_matrices(file, count)
    return cameras_from_projections(world_mats[:, :3])


def _accuracy(loaded: LoadedRun, reference: Cameras) -> CameraAccuracy:
    """In the run's and in the reference's world frame."""
    return camera_accuracy(transform_cameras(loaded.T_world_normalised, loaded.cameras), reference)


def _in_capture_frame(loaded: LoadedRun) -> bool:
    """Whether the run's world frame is that of the capture's usual camera file, nearly."""
    return not loaded.config.cameras.train and not loaded.reading.get("cameras_file")


def _picture_numbers(
    loaded: LoadedRun, T_truth_run: np.ndarray | None, max_views: int | None, downscale: int | None
) -> dict[str, float]:
    """Training views and, where the capture has them and it is known where they are, held-out ones."""
    numbers = asdict(score_views(loaded, _some(training_views(loaded, downscale=downscale), max_views)))
    if T_truth_run is None:
        return numbers
    heldout = heldout_views(loaded, downscale=downscale, T_capture_run=T_truth_run)
    if heldout is not None:
        numbers["heldout_psnr_db"] = score_views(loaded, heldout).psnr_db
    return numbers


def _some(views: RunViews, most: int | None) -> RunViews:
    """At most that many views, evenly chosen."""
    if most is None or most >= len(views):
        return views
    return views.subset([int((k + 0.5) * len(views) / most) for k in range(most)])


def _surface_numbers(
    loaded: LoadedRun, T_truth_run: np.ndarray, truth: Mesh | None, scan: DtuScan | None
) -> dict[str, float]:
    """Distances of the run's mesh, moved to the truth's frame (CAM-10), from what is known of the surface."""
    if truth is None and scan is None:
        return {}
    mesh = meshes.transformed(_mesh(loaded, MESH_RESOLUTION if scan is None else DTU_RESOLUTION), T_truth_run)
    numbers = asdict(mesh_distance(mesh, truth)) if truth is not None else {}
    if scan is not None:
        numbers |= asdict(dtu_distance(mesh, scan))
        if not math.isfinite(numbers["dtu_chamfer"]):
            warn("the mesh is not where the DTU scan is: is the run's world frame that of the benchmark?")
    return numbers


def _mesh(loaded: LoadedRun, resolution: int) -> Mesh:
    """The run's mesh file where it belongs to the newest checkpoint, else one made for the purpose; world
    frame."""
    folder = open_run(loaded.run)
    file = folder.mesh / "mesh.ply"
    newest = max(path.stat().st_mtime for path in folder.checkpoints.iterdir())
    if file.is_file() and file.stat().st_mtime >= newest:
        return meshes.read_mesh(file)
    T, radius = loaded.T_world_normalised, loaded.config.tracer.radius
    mesh, _ = extract_mesh(loaded.model.sdf, resolution=resolution, T_world_normalised=T, radius=radius)
    return mesh


def _camera_numbers(found: CameraAccuracy) -> dict[str, float]:
    """CAM-9 (EVAL-8)."""
    return {
        "camera_rotation_deg": found.rotation_mean_deg,
        "camera_rotation_median_deg": found.rotation_median_deg,
        "camera_centre": found.centre_mean,
        "camera_centre_median": found.centre_median,
    }


def _movement_numbers(loaded: LoadedRun, history: PoseHistory) -> dict[str, float]:
    """Means over the views, world units."""
    unit = float(np.cbrt(np.linalg.det(loaded.T_world_normalised[:3, :3])))
    movement = camera_movement(history.at(0), loaded.cameras, unit)
    return {"camera_turned_deg": float(movement.degrees.mean()), "camera_moved": float(movement.distance.mean())}


def _curve_numbers(curves: CameraCurves) -> dict[str, float]:
    return {
        "camera_rotation_start_deg": float(curves.rotation_deg[0]),
        "camera_centre_start": float(curves.centre[0]),
        "camera_rotation_swing": curves.rotation_swing,
        "camera_swing": curves.centre_swing,
    }

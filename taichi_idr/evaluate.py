"""The numbers of a run: pictures against photos, mesh and cameras against the truth where it is given."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from . import image_metrics, meshes, runtime
from .cameras import CameraAccuracy, camera_accuracy, cameras_from_projections, transform_cameras
from .capture.idr import read_matrices
from .errors import InputMissing
from .extract import extract_mesh
from .files import atomic_write, create_folder
from .mesh_metrics import mesh_distance
from .meshes import Mesh
from .model import LoadedRun, load_run
from .render import render_view
from .run_folder import open_run
from .run_views import RunViews, heldout_views, training_views

MESH_RESOLUTION = 256  # of the mesh that is measured where the run has none
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
    "camera_rotation_deg": ("camera rotation", "degrees", 3),
    "camera_centre": ("camera centre", "world units", 4),
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
    max_views: int | None = None,
    downscale: int | None = None,
    arch: runtime.Arch = "cpu",
) -> dict[str, float]:
    """Measure a run, print a line for each number and write `RUN/report/eval.json`.

    gt_mesh: true surface, in the world frame. gt_cameras: `cameras.npz` with the true poses; the run is
    aligned to them by one similarity (CAM-9) before mesh and held-out views are measured. max_views: that
    many training views, evenly chosen, instead of all. downscale: shrinks the photos, by default as the fit
    did. A number that could not be measured is absent. Raises InputMissing, BadInput, Diverged, CannotCreate,
    WriteFailed.
    """
    folder = create_folder(open_run(run).report)
    truth = meshes.read_mesh(gt_mesh) if gt_mesh else None
    runtime.init(arch)
    loaded = load_run(run)
    cameras = _camera_scores(loaded, gt_cameras) if gt_cameras else None
    T_truth_run = cameras.alignment if cameras else None
    numbers = asdict(score_views(loaded, _some(training_views(loaded, downscale=downscale), max_views)))
    heldout = heldout_views(loaded, downscale=downscale, T_capture_run=T_truth_run)
    if heldout is not None:
        numbers["heldout_psnr_db"] = score_views(loaded, heldout).psnr_db
    if truth is not None:
        mesh = meshes.transformed(_mesh(loaded), np.eye(4) if T_truth_run is None else T_truth_run)
        numbers |= asdict(mesh_distance(mesh, truth))
    if cameras is not None:
        numbers |= {"camera_rotation_deg": cameras.rotation_mean_deg, "camera_centre": cameras.centre_mean}
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


def _some(views: RunViews, most: int | None) -> RunViews:
    """At most that many views, evenly chosen."""
    if most is None or most >= len(views):
        return views
    return views.subset([int((k + 0.5) * len(views) / most) for k in range(most)])


def _camera_scores(loaded: LoadedRun, file: Path) -> CameraAccuracy:
    """The run's cameras against those of `file`, in the run's and in the file's world frame."""
    if not file.is_file():
        raise InputMissing("cameras not found", where=file, todo="check the path")
    world_mats, _ = read_matrices(file, len(loaded.cameras))
    truth = cameras_from_projections(world_mats[:, :3])
    return camera_accuracy(transform_cameras(loaded.T_world_normalised, loaded.cameras), truth)


def _mesh(loaded: LoadedRun) -> Mesh:
    """The run's mesh file where it belongs to the newest checkpoint, else one made for the purpose; world
    frame."""
    folder = open_run(loaded.run)
    file = folder.mesh / "mesh.ply"
    newest = max(path.stat().st_mtime for path in folder.checkpoints.iterdir())
    if file.is_file() and file.stat().st_mtime >= newest:
        return meshes.read_mesh(file)
    T, radius = loaded.T_world_normalised, loaded.config.tracer.radius
    mesh, _ = extract_mesh(loaded.model.sdf, resolution=MESH_RESOLUTION, T_world_normalised=T, radius=radius)
    return mesh

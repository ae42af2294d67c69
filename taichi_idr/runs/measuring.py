"""The numbers of a run: pictures against photos, mesh and cameras against the truth where it is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..cameras.alignment import CameraAccuracy, camera_accuracy, camera_movement
from ..cameras.pinhole import transform_cameras
from ..capture.masks import has_silhouettes
from ..errors import BadInput, warn
from ..measures.camera_curves import CameraCurves, camera_curves
from ..measures.dtu import DtuScan, dtu_distance
from ..measures.judgement import Judgement, ViewScore, judge
from ..measures.small_views import thumbnails
from ..measures.surfaces import mesh_distance
from ..measures.views import PictureScores, mean_scores, scores_of_views
from ..meshes.mesh import Extraction, Mesh, transformed
from ..meshes.ply import read_extraction
from ..meshes.reading import read_mesh
from ..methods.catalogue import method_of
from ..methods.method import Need
from ..poses.history import HISTORY_FILE, PoseHistory, read_history
from ..types import Cameras
from .folder import open_run
from .loading import LoadedRun
from .meshing import Mesher
from .views import RunViews, evenly, heldout_views, training_views

MESH_RESOLUTION = 256  # of the mesh that is measured, whatever `tidr mesh` was last asked for
DTU_RESOLUTION = 512  # the same under the DTU protocol (EVAL-1)
OF_SILHOUETTES = ("missed_fraction", "mask_iou")
"""Numbers that say nothing of photos without masks, which are all object."""


@dataclass(frozen=True)
class Truth:
    """What is known of a capture: surface and cameras in one world frame, a scan of the DTU benchmark."""

    mesh: Mesh | None = None
    cameras: Cameras | None = None
    scan: DtuScan | None = None


@dataclass(frozen=True)
class Measurement:
    """numbers: by the keys of measures.catalogue, what could be measured. views: of each training view, by the same
    keys, and its judgement. curves: errors of trained cameras over the steps. refined_masks: whether the masks are as
    the fit has refined them."""

    numbers: dict[str, float]
    views: list[dict[str, float]]
    judgement: Judgement
    curves: CameraCurves | None
    refined_masks: bool = False

    def record(self) -> dict[str, Any]:
        """For JSON: the numbers, `verdict`, `faults`, `refined_masks` and a row for each of `views`."""
        rows = [
            {"name": verdict.name, **numbers, "verdict": verdict.sentence}
            for verdict, numbers in zip(self.judgement.views, self.views, strict=True)
        ]
        found = self.judgement
        said = {"verdict": found.line, "faults": list(found.faults), "refined_masks": self.refined_masks}
        return {**self.numbers, **said, "views": rows}


def measure_run(
    loaded: LoadedRun, truth: Truth, *, max_views: int | None = None, downscale: int | None = None
) -> Measurement:
    """Measure whatever can be measured of a run.

    max_views, downscale: as `evaluate_run` has them. Raises BadInput, InputMissing, Diverged.
    """
    history = _history(loaded)
    world = transform_cameras(loaded.T_world_normalised, loaded.cameras)
    accuracy = camera_accuracy(world, truth.cameras) if truth.cameras else None
    T_truth_run = accuracy.alignment if accuracy else np.eye(4)
    aligned = accuracy is not None or _in_capture_frame(loaded)
    if not aligned:
        warn("poses were rough: held-out photos are left out, a true mesh is not aligned; --gt-cameras aligns both")
    fitted = training_views(loaded, downscale=downscale)
    chosen = evenly(len(fitted), max_views)
    fitted = fitted.subset(chosen)
    stops = None if loaded.stops is None else loaded.stops[chosen]
    scores = _scores(loaded, fitted, stops)
    unknown = () if has_silhouettes(fitted.capture.masks) else OF_SILHOUETTES
    numbers = _picture_numbers(mean_scores(scores, fitted.capture.masks), unknown)
    numbers |= _exposure_numbers(loaded.stops) if loaded.stops is not None else {}
    numbers |= _heldout_numbers(loaded, T_truth_run, downscale) if aligned else {}
    numbers |= _surface_numbers(loaded, T_truth_run, truth)
    numbers |= _camera_numbers(accuracy) if accuracy else {}
    numbers |= _movement_numbers(loaded, history) if history else {}
    curves = camera_curves(history, truth.cameras) if truth.cameras and history else None
    numbers |= _curve_numbers(curves) if curves else {}
    judgement = _judgement(loaded, fitted, scores, stops)
    rows = [_picture_numbers(row, unknown) for row in scores]
    if stops is not None:
        rows = [{**row, "exposure_ev": float(own.mean())} for row, own in zip(rows, stops, strict=True)]
    return Measurement(_finite(numbers), [_finite(row) for row in rows], judgement, curves, fitted.refined)


def measured_mesh(loaded: LoadedRun, resolution: int) -> Mesh:
    """The mesh of a run, world frame: its file where that says that it is of this resolution and of the newest
    checkpoint, else one made for the purpose."""
    file, wanted = open_run(loaded.run).mesh / "mesh.ply", Extraction(resolution, loaded.step)
    if read_extraction(file) == wanted:
        return read_mesh(file)
    return Mesher(loaded).fine(resolution, coloured=False)[0]


def _history(loaded: LoadedRun) -> PoseHistory | None:
    """Where trained cameras were; None where they were fixed."""
    file = open_run(loaded.run).cameras / HISTORY_FILE
    history = read_history(file)
    if history and len(history.at(0)) != len(loaded.cameras):
        why = f"poses of {len(history.at(0))} views, the run has {len(loaded.cameras)}"
        raise BadInput("bad pose history", where=file, why=why, todo="remove the file")
    return history


def _in_capture_frame(loaded: LoadedRun) -> bool:
    """Whether the run's world frame is that of the capture's usual camera file, nearly."""
    return not loaded.config.cameras.train and not loaded.reading.cameras_file


def _heldout_numbers(loaded: LoadedRun, T_truth_run: np.ndarray, downscale: int | None) -> dict[str, float]:
    """Of the photos that no fit has seen, where the capture has them."""
    heldout = heldout_views(loaded, downscale=downscale, T_capture_run=T_truth_run)
    if heldout is None:
        return {}
    found = mean_scores(_scores(loaded, heldout), heldout.capture.masks)
    return {"heldout_psnr_db": found.psnr_db, "heldout_own_exposure_db": found.own_exposure_db}


def _picture_numbers(scores: PictureScores, unknown: Sequence[str]) -> dict[str, float]:
    """Of photos that were fitted to: the exposure that suits them is the fitted one."""
    left_out = ("own_exposure_db", *unknown)
    return {key: value for key, value in asdict(scores).items() if key not in left_out}


def _exposure_numbers(stops: np.ndarray) -> dict[str, float]:
    """Of all photos, whichever are measured; stops (V, 3)."""
    return {"exposure_spread_ev": float(stops.mean(axis=1).std())}


def _scores(loaded: LoadedRun, views: RunViews, stops: np.ndarray | None = None) -> list[PictureScores]:
    capture = views.capture
    return scores_of_views(loaded.model, views.cameras, capture.images, capture.masks, capture.ignored, stops)


def _judgement(
    loaded: LoadedRun, fitted: RunViews, scores: Sequence[PictureScores], stops: np.ndarray | None
) -> Judgement:
    """By the scores of whole pictures; causes are looked for in small ones, as at the end of a fit."""
    order = range(len(fitted))
    small = list(thumbnails(loaded.model, fitted.cameras, fitted.capture, order, stops=stops))
    rows = [ViewScore(row.mask_iou, row.psnr_hit_db) for row in scores]
    silhouettes = Need.MASKS in method_of(loaded.config).needs
    return judge(fitted.capture.names, small, rows, total=len(loaded.cameras), silhouettes=silhouettes)


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in numbers.items() if math.isfinite(value)}


def _surface_numbers(loaded: LoadedRun, T_truth_run: np.ndarray, truth: Truth) -> dict[str, float]:
    """Distances of the run's mesh, moved to the truth's frame (CAM-10), from what is known of the surface."""
    numbers: dict[str, float] = {}
    if truth.mesh is not None:
        mesh = transformed(measured_mesh(loaded, MESH_RESOLUTION), T_truth_run)
        numbers |= asdict(mesh_distance(mesh, truth.mesh))
    if truth.scan is not None:
        mesh = transformed(measured_mesh(loaded, DTU_RESOLUTION), T_truth_run)
        numbers |= asdict(dtu_distance(mesh, truth.scan))
        if not math.isfinite(numbers["dtu_chamfer"]):
            warn("the mesh is not where the DTU scan is: is the run's world frame that of the benchmark?")
    return numbers


def _camera_numbers(found: CameraAccuracy) -> dict[str, float]:
    """CAM-9 (EVAL-8)."""
    return {
        "camera_rotation_deg": found.rotation_mean_deg,
        "camera_rotation_median_deg": found.rotation_median_deg,
        "camera_rotation_apart_deg": found.rotation_apart_deg,
        "camera_centre": found.centre_mean,
        "camera_centre_median": found.centre_median,
    }


def _movement_numbers(loaded: LoadedRun, history: PoseHistory) -> dict[str, float]:
    """Means over the views, world units."""
    movement = camera_movement(history.at(0), loaded.cameras, loaded.unit)
    return {"camera_turned_deg": float(movement.degrees.mean()), "camera_moved": float(movement.distance.mean())}


def _curve_numbers(curves: CameraCurves) -> dict[str, float]:
    return {
        "camera_rotation_start_deg": float(curves.rotation_deg[0]),
        "camera_centre_start": float(curves.centre[0]),
        "camera_rotation_swing": curves.rotation_swing,
        "camera_swing": curves.centre_swing,
    }

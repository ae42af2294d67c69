"""`tidr eval --mesh`: a mesh of any program measured against photos."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInput, warn
from ..measures.catalogue import metric_lines
from ..runs.folder import is_run

if TYPE_CHECKING:
    from ..meshes.shown import ShownMesh
    from ..runs.views import RunViews
    from ..runtime import Arch

LEAST_IOU = 0.5  # of the mesh's pictures with the silhouettes, below which something is said
_TODO = "is it in the capture's frame and unit?"


def evaluate_mesh(
    place: Path,
    mesh: Path,
    *,
    gt_mesh: Path | None = None,
    max_views: int | None = None,
    downscale: int | None = None,
    clean: bool = False,
    arch: Arch = "cpu",
) -> dict[str, float]:
    """Render a mesh with its texture, or the colours at its vertices, at the photos' cameras, and print what differs.

    place: a run, whose cameras are taken, or a capture. mesh: in its world frame; a `.glb` of `tidr mesh` is put back
    into it. clean: without faces that a silhouette, somewhat grown, does not hold (EVAL-9). gt_mesh, max_views,
    downscale: as `evaluate_run` has them. Numbers by the keys of `measures.catalogue`.

    Raises InputMissing; BadInput, also for a mesh that has no colours.
    """
    from .. import runtime
    from ..measures.surfaces import mesh_distance
    from ..meshes.cleaning import within_masks
    from ..meshes.mesh import transformed
    from ..meshes.reading import read_mesh, read_shown
    from ..runs.views import evenly

    truth = read_mesh(gt_mesh) if gt_mesh else None
    shown = read_shown(mesh)
    runtime.init(arch)
    views, heldout, T = _run_views(place, downscale) if is_run(place) else _capture_views(place, downscale)
    views = views.subset(evenly(len(views), max_views))
    shown = replace(shown, mesh=transformed(shown.mesh, np.linalg.inv(T)))
    if clean:
        shown = within_masks(shown, views.cameras, views.capture.masks)
    if len(shown.mesh.faces) == 0:
        raise BadInput("nothing of the mesh lies in the silhouettes", where=mesh, todo=_TODO)
    numbers = _picture_numbers(shown, views)
    if heldout is not None:
        numbers["heldout_psnr_db"] = _picture_numbers(shown, heldout)["psnr_db"]
    if truth is not None:
        numbers |= asdict(mesh_distance(transformed(shown.mesh, T), truth))
    if numbers["mask_iou"] < LEAST_IOU:
        warn(f"the mesh covers little of what the silhouettes show: {_TODO}")
    print("\n".join(metric_lines(numbers)))
    return numbers


def _run_views(run: Path, downscale: int | None) -> tuple[RunViews, RunViews | None, np.ndarray]:
    """Photos that a run was fitted to, those held out, and its frame."""
    from ..runs.loading import load_run
    from ..runs.views import heldout_views, training_views

    loaded = load_run(run)
    rough = loaded.config.cameras.train or loaded.reading.cameras_file  # held-out photos have their own frame then
    heldout = None if rough else heldout_views(loaded, downscale=downscale)
    return training_views(loaded, downscale=downscale), heldout, loaded.T_world_normalised


def _capture_views(folder: Path, downscale: int | None) -> tuple[RunViews, RunViews | None, np.ndarray]:
    from ..capture.formats.catalogue import find_heldout
    from ..capture.reading import read_capture
    from ..runs.views import RunViews
    from ..types import CaptureReading

    reading = CaptureReading()
    options: dict[str, Any] = {"downscale": downscale or 1, "need_masks": False}
    photos = read_capture(folder, reading, **options)
    T, layout, heldout = photos.T_world_normalised, find_heldout(folder, reading, need_masks=False), None
    if layout is not None:
        there = read_capture(folder, reading, **options, T_world_normalised=T, layout=layout)
        heldout = RunViews(there, there.cameras)
    return RunViews(photos, photos.cameras), heldout, T


def _picture_numbers(shown: ShownMesh, views: RunViews) -> dict[str, float]:
    from ..cameras.pinhole import pixel_angle
    from ..measures.views import mean_scores, scores_of_views
    from ..texturing.shown import TexturedSurface

    capture = views.capture
    surface = TexturedSurface(shown, pixel_angle(views.cameras))
    scores = mean_scores(
        scores_of_views(surface, views.cameras, capture.images, capture.masks, capture.ignored), capture.masks
    )
    numbers = {key: value for key, value in asdict(scores).items() if key != "own_exposure_db"}
    return {key: value for key, value in numbers.items() if math.isfinite(value)}

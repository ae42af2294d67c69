"""`tidr eval`: a run measured against its photos, and against the truth where it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputMissing, warn
from ..files.writing import atomic_write, create_folder
from ..measures.catalogue import metric_lines
from ..runs.folder import open_run

if TYPE_CHECKING:
    from ..runtime import Arch


def evaluate_run(
    run: Path,
    *,
    gt_mesh: Path | None = None,
    gt_cameras: Path | None = None,
    dtu: Path | None = None,
    scan: int | None = None,
    max_views: int | None = None,
    downscale: int | None = None,
    arch: Arch = "cpu",
) -> dict[str, float]:
    """Measure a run, print a line for each number and a verdict, and write `RUN/report/eval.json`.

    gt_mesh: true surface, in the world frame. gt_cameras: `cameras.npz` with the true poses; the run is
    aligned to them by one similarity (CAM-9) before mesh (CAM-10) and held-out views are measured; where its
    cameras were trained, their errors over the steps become `RUN/report/cameras.svg`. dtu: folder of the DTU
    sample set, for the benchmark's distance (EVAL-6); scan: its number, by default that in the capture's name.
    max_views: that many training views, evenly chosen, instead of all. downscale: shrinks the photos, by
    default as the fit did. A number that could not be measured is absent.

    >>> numbers = evaluate_run(run, max_views=2)
    PSNR ...
    >>> sorted(numbers)
    ['mask_iou', 'missed_fraction', 'psnr_db', 'psnr_hit_db', 'ssim']

    Raises UsageError, InputMissing, BadInput, Diverged, CannotCreate, WriteFailed.
    """
    folder = open_run(run).report
    _refuse_missing(gt_mesh, gt_cameras, dtu)
    create_folder(folder)
    from .. import runtime
    from ..capture.formats.matrices import world_cameras
    from ..measures.dtu import read_scan, scan_number
    from ..meshes.reading import read_mesh
    from ..report.camera_charts import CURVES_FILE, curves_svg
    from ..runs.loading import load_run
    from ..runs.measuring import Truth, measure_run

    mesh = read_mesh(gt_mesh) if gt_mesh else None
    runtime.init(arch)
    loaded = load_run(run)
    benchmark = read_scan(dtu, scan_number(loaded.capture_folder.name) if scan is None else scan) if dtu else None
    cameras = world_cameras(gt_cameras, range(len(loaded.cameras))) if gt_cameras else None
    found = measure_run(loaded, Truth(mesh, cameras, benchmark), max_views=max_views, downscale=downscale)
    if found.curves:
        atomic_write(folder / CURVES_FILE, curves_svg(found.curves))
    if found.refined_masks:
        print(f"masks as the fit has refined them: {open_run(run).masks}")
    print("\n".join([*metric_lines(found.numbers), f"verdict {found.judgement.line}"]))
    for text in found.judgement.warnings:
        warn(text)
    atomic_write(folder / "eval.json", json.dumps(found.record(), indent=1) + "\n")
    return found.numbers


def _refuse_missing(gt_mesh: Path | None, gt_cameras: Path | None, dtu: Path | None) -> None:
    for what, file in (("mesh not found", gt_mesh), ("cameras not found", gt_cameras)):
        if file is not None and not file.exists():
            raise InputMissing(what, where=file, todo="check the path")
    if dtu is not None and not dtu.is_dir():
        todo = "name the folder that holds Points and ObsMask"
        raise InputMissing("no DTU sample set", where=dtu, todo=todo)

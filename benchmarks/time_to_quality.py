"""Quality over wall-clock: how good a fit is after so many seconds.

    .venv/bin/python benchmarks/time_to_quality.py CAPTURE [--preset fast] [--set KEY=VALUE] [--json FILE]
    .venv/bin/python benchmarks/time_to_quality.py --compare A.json B.json

Fits CAPTURE as `tidr fit` does and keeps the model at chosen seconds, in memory; they are measured when the fit is
over. The clock runs from the moment at which photos are read, and stands while a model is put aside. Beside FILE a
chart of the same name (.svg) is drawn.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taichi_idr import runtime  # before torch: the package sets how OpenMP threads wait

import numpy as np  # isort: skip
from torch import Tensor  # isort: skip

from taichi_idr.cameras.alignment import camera_accuracy  # isort: skip
from taichi_idr.cameras.pinhole import transform_cameras  # isort: skip
from taichi_idr.capture.formats.matrices import world_cameras  # isort: skip
from taichi_idr.commands.fit import fit_capture  # isort: skip
from taichi_idr.errors import Diverged, TidrError  # isort: skip
from taichi_idr.machine import commit, this_machine, versions  # isort: skip
from taichi_idr.measures.surfaces import SAMPLES, mesh_distance  # isort: skip
from taichi_idr.measures.views import score_views  # isort: skip
from taichi_idr.meshes.extraction import extract_mesh  # isort: skip
from taichi_idr.meshes.reading import read_mesh  # isort: skip
from taichi_idr.methods.trainer import Trainer  # isort: skip
from taichi_idr.report.charts import line_chart, svg_file  # isort: skip
from taichi_idr.runs.loading import LoadedRun, load_run  # isort: skip
from taichi_idr.runs.measuring import MESH_RESOLUTION  # isort: skip
from taichi_idr.runs.views import evenly, training_views  # isort: skip
from taichi_idr.types import Cameras  # isort: skip

MODEL_PARTS = ("model.", "lattice")  # of a trainer's state: what pictures and meshes need
TRUE_MESH, TRUE_CAMERAS = "gt_mesh.ply", "cameras.npz"
CHARTS = {
    "psnr_db": "PSNR, dB, over seconds",
    "mask_iou": "mask IoU over seconds",
    "chamfer": "Chamfer, world units, over seconds",
    "normal_error_deg": "normal error, degrees, over seconds",
}


@dataclass(frozen=True)
class Snapshot:
    """A model as it was after `step` steps and `seconds` of fitting, with the cameras (float64) of that moment."""

    step: int
    seconds: float
    tensors: dict[str, Tensor]
    cameras: Cameras


class Recorder:
    """Called by the fit after each step: keeps a snapshot at `first` seconds and whenever the time since the start has
    grown by `growth`. Its own time is taken off the clock."""

    def __init__(self, first: float, growth: float) -> None:
        self.next, self.growth = first, growth
        self.snapshots: list[Snapshot] = []
        self.trainer: Trainer | None = None
        self.seconds = 0.0  # at the end of the last step
        self.began, self.paused = time.perf_counter(), 0.0

    def __call__(self, trainer: Trainer) -> None:
        self.trainer, self.seconds = trainer, self.clock()
        if self.seconds >= self.next:
            self.keep(trainer)
            self.next = max(self.next * self.growth, self.seconds)

    def clock(self) -> float:
        """Seconds of fitting so far."""
        return time.perf_counter() - self.began - self.paused

    def keep(self, trainer: Trainer) -> None:
        """Put the model aside, as of the last step."""
        came = time.perf_counter()
        parts = {name: part.detach().clone() for name, part in trainer.state().items() if name.startswith(MODEL_PARTS)}
        self.snapshots.append(Snapshot(trainer.steps_done, self.seconds, parts, trainer.cameras()))
        self.paused += time.perf_counter() - came

    def finish(self) -> None:
        """The last step is a point of its own."""
        if self.trainer and (not self.snapshots or self.snapshots[-1].step < self.trainer.steps_done):
            self.keep(self.trainer)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed_options(arguments)
    try:
        if options.compare:
            records = [json.loads(file.read_text()) for file in options.compare]
            names = [file.stem for file in options.compare]
            options.svg.write_text(draw(dict(zip(names, records, strict=True))))
            print(f"written   {options.svg}")
        else:
            record = record_of(options)
            for line in table(record):
                print(line)
            options.json.write_text(json.dumps(record, indent=1) + "\n")
            options.json.with_suffix(".svg").write_text(draw({record["settings"]["preset"]: record}))
            print(f"written   {options.json}, {options.json.with_suffix('.svg')}")
    except TidrError as error:
        raise SystemExit(f"time_to_quality: {error}") from error


def parsed_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path, nargs="?")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--time-limit", type=float)
    parser.add_argument("--downscale", type=int)
    parser.add_argument("--cameras", choices=("fixed", "train"))
    parser.add_argument("--init-cameras", type=Path)
    parser.add_argument("--arch", default="cpu", choices=("cpu", "cuda", "vulkan"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="run folder to keep; an older run moves to previous/ in it")
    parser.add_argument("--first", type=float, default=10.0, help="seconds at the first point [10]")
    parser.add_argument("--growth", type=float, default=1.25, help="of the seconds from point to point [1.25]")
    parser.add_argument("--views", type=int, help="so many photos, evenly chosen [all]")
    parser.add_argument("--gt-cameras", type=Path, help=f"true poses [CAPTURE/{TRUE_CAMERAS}]")
    parser.add_argument("--target-psnr", type=float, default=23.94, help="dB [23.94: the paper's on scan 65]")
    parser.add_argument("--json", type=Path, default=Path("time_to_quality.json"))
    parser.add_argument("--compare", type=Path, nargs="+", metavar="JSON", help="only draw these over each other")
    parser.add_argument("--svg", type=Path, default=Path("time_to_quality.svg"), help="where --compare draws")
    options = parser.parse_args(arguments)
    if (options.capture is None) == (options.compare is None):
        parser.error("give a CAPTURE or --compare")
    if options.first <= 0 or options.growth <= 1:
        parser.error("--first must be positive, --growth more than 1")
    written = options.svg if options.compare else options.json
    if written.is_dir() or not written.absolute().parent.is_dir():
        parser.error(f"{written} cannot be written: name a file in a folder that exists")
    return options


def record_of(options: argparse.Namespace) -> dict[str, Any]:
    """Fit, measure, and all that is written down about it."""
    runtime.init(options.arch, threads=options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        run = options.out or Path(scratch) / "run"
        recorder, whole = fitted(options, run)
        loaded = load_run(run)
    measure = Measure(loaded, options)
    points = [measure.point(snapshot) for snapshot in recorder.snapshots]
    return {
        **machine(),
        "arch": options.arch,
        "threads": runtime.current().threads,
        "capture": options.capture.resolve().name,
        "settings": loaded.config.model_dump(mode="json"),
        "photos": len(measure.views),
        "fit_seconds": whole,
        "points": points,
        "target_psnr_db": options.target_psnr,
        "seconds_to_target": first_reached(points, options.target_psnr),
        "between_points": "linear",
    }


def fitted(options: argparse.Namespace, run: Path) -> tuple[Recorder, float]:
    """The snapshots, and the seconds of the whole call without those in which they were taken."""
    passed = ("preset", "assignments", "steps", "time_limit", "downscale", "cameras", "init_cameras", "arch", "threads")
    chosen = {name: getattr(options, name) for name in passed}
    recorder = Recorder(options.first, options.growth)
    fit_capture(options.capture, out=run, fresh=run.exists(), watch=recorder, **chosen)
    whole = recorder.clock()
    recorder.finish()
    return recorder, whole


class Measure:
    """Numbers of a snapshot: pictures against photos, and surface and cameras against the truth where there is one."""

    def __init__(self, loaded: LoadedRun, options: argparse.Namespace) -> None:
        self.loaded = loaded
        views = training_views(loaded)
        self.chosen = evenly(len(views), options.views)
        self.views = views.subset(self.chosen)
        truth = options.capture / TRUE_MESH
        self.truth = read_mesh(truth) if truth.is_file() else None
        self.rough = loaded.config.cameras.train or bool(loaded.reading.cameras_file)
        true_cameras = options.gt_cameras or options.capture / TRUE_CAMERAS
        self.reference = (
            world_cameras(true_cameras, range(len(loaded.cameras))) if self.rough and true_cameras.is_file() else None
        )

    def point(self, snapshot: Snapshot) -> dict[str, float]:
        """Numbers that could be measured, by the names of eval.json."""
        self.loaded.model.load_tensors(snapshot.tensors)
        photos, cameras = self.views.capture, snapshot.cameras[self.chosen]
        scores = score_views(self.loaded.model, cameras, photos.images, photos.masks)
        numbers = {"seconds": snapshot.seconds, "step": snapshot.step, **asdict(scores)}
        numbers |= self._distances(snapshot)
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def _distances(self, snapshot: Snapshot) -> dict[str, float]:
        """Of rough cameras from the true ones (CAM-9), and of the mesh, moved along with them, from the true one."""
        T = self.loaded.T_world_normalised
        if self.reference is None:
            return {} if self.rough else self._surface_distance(T)
        found = camera_accuracy(transform_cameras(T, snapshot.cameras), self.reference)
        numbers = {"camera_rotation_deg": found.rotation_mean_deg, "camera_centre": found.centre_mean}
        return numbers | self._surface_distance(found.alignment @ T)

    def _surface_distance(self, T_truth_normalised: np.ndarray) -> dict[str, float]:
        """Nothing without a true mesh, or while the field has no surface."""
        if self.truth is None:
            return {}
        options: dict[str, Any] = {"T_world_normalised": T_truth_normalised, "radius": self.loaded.model.radius}
        try:
            mesh, _ = extract_mesh(self.loaded.model.surface, resolution=MESH_RESOLUTION, **options)
        except Diverged:
            return {}
        return asdict(mesh_distance(mesh, self.truth, samples=SAMPLES))


def first_reached(points: Sequence[dict[str, float]], target: float, name: str = "psnr_db") -> float | None:
    """Seconds at which `name` first reached `target`, linear between points; None if it never did.

    Where the first point is there already, its own seconds: an upper bound.
    """
    curve = [(point["seconds"], point[name]) for point in points if name in point]
    there = next((index for index, (_, value) in enumerate(curve) if value >= target), None)
    if not there:
        return None if there is None else curve[0][0]
    (earlier, below), (later, above) = curve[there - 1 : there + 1]
    return earlier + (later - earlier) * (target - below) / (above - below)


def table(record: dict[str, Any]) -> list[str]:
    """A line for each point, and one for the target."""
    lines = [f"{'seconds':>8}{'step':>7}{'PSNR':>8}{'IoU':>8}{'Chamfer':>9}{'normals':>9}"]
    for point in record["points"]:
        psnr, iou, chamfer, normals = (point.get(name, math.nan) for name in CHARTS)
        lines.append(f"{point['seconds']:8.1f}{point['step']:7}{psnr:8.2f}{iou:8.4f}{chamfer:9.4g}{normals:9.3g}")
    reached, target = record["seconds_to_target"], record["target_psnr_db"]
    when = f"first reached after {reached:.1f} s (linear between points)" if reached is not None else "not reached"
    return [*lines, f"{target:g} dB {when}; whole fit {record['fit_seconds']:.1f} s"]


def draw(records: dict[str, dict[str, Any]]) -> str:
    """An SVG file with a chart for each of CHARTS that was measured; one line for each record."""
    charts = []
    for name, title in CHARTS.items():
        series = {
            label: [(point["seconds"], point[name]) for point in record["points"] if name in point]
            for label, record in records.items()
        }
        charts.append(line_chart(title, series))
    return svg_file([chart for chart in charts if chart])


def machine() -> dict[str, Any]:
    """Where and with what the numbers came about, as in the results of `tidr bench`."""
    found, packages = this_machine(), versions()
    return {
        "machine": f"{found.cpu}, {found.cores} cores, {found.system}",
        "python": packages.pop("python"),
        "versions": packages,
        "commit": commit(),
    }


if __name__ == "__main__":
    main()

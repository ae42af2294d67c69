"""The loop: read a capture, start from its hull, step, log, save, stop when asked; the same call again goes on."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import __version__, runtime
from .capture import read_capture
from .checkpoint import Checkpoint, load_newest, save_checkpoint
from .config import FastConfig, IdrConfig, Settings, make_config
from .errors import BadInput, CannotCreate, Diverged, ExitCode, Stopped, WriteFailed, warn
from .files import create_folder
from .interrupts import Interrupts
from .pictures import view_strip, write_png
from .progress import Progress, Reading
from .render import render_view
from .run_folder import RunFolder, default_run
from .training import StepReport, Trainer, lost_surface
from .training_fast import FastTrainer
from .training_idr import IdrTrainer
from .types import Cameras, Capture

SKIPS_BEFORE_ROLLBACK = 10  # non-finite steps in a row
PREVIEW_PIXELS = 320  # longer side of a preview
RESUMABLE = ("time_limit", "log", "schedule.steps")  # may differ from the interrupted fit's
SETUP_STOPPED = "run the same command again"


@dataclass(frozen=True)
class FitSummary:
    """How a fit ended: steps done, seconds of all sessions, and the last step's PSNR (dB, hit pixels) and mask IoU."""

    run: Path
    steps: int
    seconds: float
    psnr_db: float
    mask_iou: float


def fit_capture(
    capture: Path,
    *,
    out: Path | None = None,
    preset: str = "fast",
    assignments: list[str] | None = None,
    steps: int | None = None,
    time_limit: float | None = None,
    rays: int | None = None,
    downscale: int | None = None,
    seed: int | None = None,
    arch: runtime.Arch = "cpu",
    threads: int | None = None,
    fresh: bool = False,
    normalize: bool = False,
    invert_masks: bool = False,
    resize_masks: bool = False,
) -> FitSummary:
    """Fit a capture folder and leave the result in a run folder; an interrupted run of the same settings goes on.

    time_limit: seconds of this call. Raises the TidrErrors of the capture, InputMissing, CannotCreate, Locked,
    WriteFailed, BadInput (a run of other settings), Diverged, Stopped.
    """
    schedule = {"steps": steps, "rays": rays}
    config = make_config(
        preset, assignments or [], schedule=schedule, time_limit=time_limit, downscale=downscale, seed=seed
    )
    reading: dict[str, Any] = {"normalize": normalize, "invert_masks": invert_masks, "resize_masks": resize_masks}
    runtime.init(arch, threads=threads)
    if not capture.is_dir():
        read_capture(capture)  # says what is wrong before a run folder is made
    folder = RunFolder(out or default_run(capture.resolve().name))
    folder.create()
    with folder.lock(), Interrupts() as interrupts:
        read = read_capture(capture, downscale=config.downscale, cameras_file=None, **reading)
        for text in read.warnings:
            warn(text)
        if fresh:
            folder.set_aside()
        return _Fit(folder, config, read, reading, interrupts).run()


class _Fit:
    """One session of a fit: what the loop carries beside the trainer."""

    def __init__(
        self, folder: RunFolder, config: Settings, capture: Capture, reading: dict[str, bool], interrupts: Interrupts
    ) -> None:
        self.folder, self.config, self.interrupts = folder, config, interrupts
        device = runtime.current().device
        self.identity = _identity(capture, reading)
        self.capture = capture
        self.trainer = make_trainer(config, capture, device)
        self.seconds_before, self.started = 0.0, time.monotonic()
        self.best_psnr, self.recent_psnr = -math.inf, []
        self.overlaps: list[float] = []
        self.skipped, self.rolled_back = 0, False
        self.last: dict[str, float] = {}

    def run(self) -> FitSummary:
        """Start or go on, until the last step, the time limit, or a signal."""
        checkpoint = load_newest(self.folder.checkpoints, warn)
        if checkpoint is None:
            self._start()
        else:
            self._check_same(checkpoint)
            self._restore(checkpoint)
            self.folder.rewind_metrics(checkpoint.step)
        self.folder.write_config(self.config)
        trainer, rays = self.trainer, self.config.schedule.rays
        with (
            self.trainer.threads(),
            Progress(trainer.total_steps, rays, time_limit=self.config.time_limit) as progress,
        ):
            while trainer.steps_done < trainer.total_steps and not self._out_of_time():
                self._step(progress)
                if self.interrupts.pending:
                    self._save()
                    raise self.interrupts.stopped(self.folder.path)
        self._save()
        self._preview()
        self._check_surface(finished=trainer.steps_done == trainer.total_steps)
        return FitSummary(self.folder.path, trainer.steps_done, self.seconds, self.last_psnr, self.last_iou)

    @property
    def seconds(self) -> float:
        """Of all sessions together."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def last_psnr(self) -> float:
        return self.last.get("psnr_db", math.nan)

    @property
    def last_iou(self) -> float:
        return self.last.get("mask_iou", math.nan)

    def _out_of_time(self) -> bool:
        limit = self.config.time_limit
        return limit is not None and time.monotonic() - self.started > limit

    def _start(self) -> None:
        with self.trainer.threads():
            self.trainer.start(self.capture, self._stop_in_setup)
        self._save()

    def _stop_in_setup(self) -> None:
        if self.interrupts.pending:
            what = f"stopped by {self.interrupts.pending.name} before the first step"
            code = ExitCode(128 + self.interrupts.pending)
            raise Stopped(what, where=self.folder.path, exit_code=code, todo=SETUP_STOPPED)

    def _step(self, progress: Progress) -> None:
        trainer, log = self.trainer, self.config.log
        report = trainer.step()
        if trainer.applied:
            self.skipped = 0
        else:
            self._skip()
        step = trainer.steps_done
        if step % log.metrics_interval == 0 or step == trainer.total_steps:
            self._log(report, progress)
        if step % log.preview_interval == 0:
            self._preview()
        if step % log.checkpoint_interval == 0 and not self.skipped:
            self._save()

    def _skip(self) -> None:
        """A non-finite step moved nothing; ten in a row: back to the last checkpoint at half the rate, once."""
        self.skipped += 1
        warn(f"step {self.trainer.steps_done}: loss or gradient is not finite; the step is skipped")
        if self.skipped <= SKIPS_BEFORE_ROLLBACK:
            return
        checkpoint = None if self.rolled_back else load_newest(self.folder.checkpoints, warn)
        if checkpoint is None:
            todo = "lower schedule.table_rate and schedule.network_rate with --set and --fresh"
            raise Diverged("the fit diverged", where=self.folder.path, why="losses stay non-finite", todo=todo)
        self._restore(checkpoint)
        self.trainer.halve_rates()
        self.skipped, self.rolled_back = 0, True
        self.folder.rewind_metrics(checkpoint.step)
        warn(f"back to step {checkpoint.step} at half the learning rate")

    def _log(self, report: StepReport, progress: Progress) -> None:
        record = _record(report, self.config.schedule.rays)
        self.last = record
        self.overlaps.append(record["mask_iou"])
        self._check_surface()
        if math.isfinite(record["psnr_db"]):
            self.recent_psnr.append(record["psnr_db"])
        step = self.trainer.steps_done
        progress.update(Reading(step, record["loss"], record["psnr_db"], record["mask_iou"], record["hits"]))
        more, speed = self.trainer.scheduled(), progress.steps_per_second * self.config.schedule.rays
        self.folder.append_metrics(
            {"step": step, "seconds": round(self.seconds, 3), **record, **more, "rays_per_second": round(speed)}
        )

    def _check_surface(self, *, finished: bool = False) -> None:
        """Raises Diverged where the field has lost its surface: nothing would bring it back."""
        if lost_surface(self.overlaps, finished=finished):
            why = f"no object pixel hits it, at step {self.trainer.steps_done}"
            todo = "check masks and cameras, or start from the usual initialisation with masks, and --fresh"
            raise Diverged("the fit has no surface", where=self.folder.path, why=why, todo=todo)

    def _preview(self) -> None:
        """photo | render | normals of one view after the other, into renders/."""
        pixels = self.trainer.pixels
        view = (self.trainer.steps_done // self.config.log.preview_interval) % len(self.capture)
        photo, _ = pixels.photo(view)
        every = max(1, math.ceil(max(photo.shape[:2]) / PREVIEW_PIXELS))
        small = photo[::every, ::every]
        camera = _every_nth_pixel(self.trainer.poses.cameras()[[view]], every)
        rendered = render_view(self.trainer.model, camera, *small.shape[:2], preview=True)
        path = self.folder.renders / "preview" / f"{self.trainer.steps_done:08d}_view{view:03d}.png"
        try:
            create_folder(path.parent)
            write_png(path, view_strip(small, rendered, camera))
        except (CannotCreate, WriteFailed) as error:
            warn(f"{error}; the fit goes on without this picture")

    def _save(self) -> None:
        """A checkpoint from which another session goes on as if it had not stopped."""
        trainer = self.trainer
        psnr = float(np.mean(self.recent_psnr)) if self.recent_psnr else -math.inf
        best = psnr > self.best_psnr
        self.best_psnr, self.recent_psnr = max(psnr, self.best_psnr), []
        tensors = {**self._frame(), **trainer.state()}
        metadata = {
            "version": __version__,
            "config": self.config.model_dump(),
            "seconds": self.seconds,
            "best_psnr_db": self.best_psnr if math.isfinite(self.best_psnr) else None,
            **self.identity,
        }
        save_checkpoint(self.folder.checkpoints, trainer.steps_done, tensors, metadata, best=best)

    def _frame(self) -> dict[str, Tensor]:
        """What later commands need beside the model: the cameras as they are now and the frame they live in."""
        cameras = self.trainer.poses.cameras()
        return {
            "cameras.quaternions": cameras.quaternions,
            "cameras.centres": cameras.centres,
            "cameras.intrinsics": cameras.intrinsics,
            "T_world_normalised": torch.from_numpy(np.ascontiguousarray(self.capture.T_world_normalised)),
        }

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.trainer.load_state(checkpoint.tensors)
        self.trainer.steps_done = checkpoint.step
        self.seconds_before, self.started = checkpoint.metadata["seconds"], time.monotonic()
        best = checkpoint.metadata["best_psnr_db"]
        self.best_psnr, self.recent_psnr = -math.inf if best is None else best, []

    def _check_same(self, checkpoint: Checkpoint) -> None:
        """Raises BadInput where the run in the folder is of another capture or other settings."""
        differing = [key for key, value in self.identity.items() if checkpoint.metadata.get(key) != value]
        now, then = _flat(self.config.model_dump(mode="json")), _flat(checkpoint.metadata["config"])
        differing += [key for key in {*now, *then} if now.get(key) != then.get(key) and not key.startswith(RESUMABLE)]
        if differing:
            why = "it was fitted with another " + ", ".join(sorted(differing))
            todo = "use the same settings, another --out, or --fresh"
            raise BadInput("cannot go on with this run", where=self.folder.path, why=why, todo=todo)


def make_trainer(config: Settings, capture: Capture, device: torch.device) -> Trainer:
    """The trainer of a preset."""
    if isinstance(config, FastConfig):
        return FastTrainer(config, capture, device)
    if isinstance(config, IdrConfig):
        return IdrTrainer(config, capture, device)
    raise TypeError(f"no trainer for preset {config.preset}")


def _identity(capture: Capture, reading: dict[str, bool]) -> dict[str, Any]:
    """What makes a capture the same: folder, photos, sizes, how it was read."""
    sizes = [list(mask.shape) for mask in capture.masks]
    return {"capture": str(capture.folder.resolve()), "names": capture.names, "sizes": sizes, "reading": reading}


def _record(report: StepReport, rays: int) -> dict[str, float]:
    """A step's numbers as metrics.jsonl names them."""
    numbers = report.numbers()
    error, union, hits = numbers.pop("squared_error"), numbers.pop("union"), numbers.pop("hits")
    intersection = numbers.pop("intersection")
    numbers["psnr_db"] = -10 * math.log10(max(error, 1e-10)) if math.isfinite(error) else math.nan
    numbers["mask_iou"] = intersection / max(union, 1)
    numbers["hits"] = hits / rays
    return numbers


def _every_nth_pixel(camera: Cameras, every: int) -> Cameras:
    """The camera of a picture made of every n-th row and column: K for u' = u / every."""
    scale = torch.diag(torch.tensor([1 / every, 1 / every, 1.0], dtype=camera.intrinsics.dtype))
    return Cameras(camera.quaternions, camera.centres, scale @ camera.intrinsics)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat

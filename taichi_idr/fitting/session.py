"""The loop: read a capture, start from its hull, step, log, save, stop when asked; the same call again goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .. import __version__, runtime
from ..capture import poses_file, read_capture
from ..config import FastConfig, IdrConfig, Settings, make_config
from ..errors import CannotCreate, Diverged, ExitCode, Stopped, WriteFailed, warn
from ..measures.camera_curves import CameraMovement
from ..methods.fast.trainer import FastTrainer
from ..methods.idr.trainer import IdrTrainer
from ..methods.trainer import StepReport, Trainer, lost_surface
from ..runs.checkpoint import Checkpoint, load_newest, prefixed, save_checkpoint, unprefixed
from ..runs.folder import RunFolder, default_run
from ..types import Capture
from .camera_log import CameraLog, movement_lines
from .interrupts import Interrupts
from .preview import write_preview
from .progress import Progress, Reading
from .resumption import capture_identity, check_same

SKIPS_BEFORE_ROLLBACK = 10  # non-finite steps in a row
SETUP_STOPPED = "run the same command again"

Watch = Callable[[Trainer], None]


@dataclass(frozen=True)
class FitSummary:
    """How a fit ended: steps done, seconds of all sessions, and the last step's PSNR (dB, hit pixels) and mask IoU.

    names: of the V views. movement: of their cameras, world units, where they were trained.
    """

    run: Path
    steps: int
    seconds: float
    psnr_db: float
    mask_iou: float
    names: list[str]
    movement: CameraMovement | None

    @property
    def camera_lines(self) -> list[str]:
        """How far trained cameras have moved, in words."""
        return movement_lines(self.movement, self.names) if self.movement else []


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
    cameras: Literal["fixed", "train"] | None = None,
    init_cameras: Path | None = None,
    arch: runtime.Arch = "cpu",
    threads: int | None = None,
    fresh: bool = False,
    normalize: bool = False,
    invert_masks: bool = False,
    resize_masks: bool = False,
    watch: Watch | None = None,
) -> FitSummary:
    """Fit a capture folder and leave the result in a run folder; an interrupted run of the same settings goes on.

    time_limit: seconds of this call. cameras: None leaves it to the settings. init_cameras: poses to start from, a file
    in the capture or a path; poses to be trained otherwise start from the capture's rough ones where it has them.
    watch: called before the first step of this call and after each, to measure; it must leave the trainer as it is.
    Raises the TidrErrors of the capture, InputMissing, CannotCreate, Locked, WriteFailed, BadInput (a run of other
    settings), Diverged, Stopped.
    """
    groups = {"schedule": {"steps": steps, "rays": rays}, "cameras": {"train": cameras and cameras == "train"}}
    config = make_config(preset, assignments or [], **groups, time_limit=time_limit, downscale=downscale, seed=seed)
    reading: dict[str, Any] = {"normalize": normalize, "invert_masks": invert_masks, "resize_masks": resize_masks}
    runtime.init(arch, threads=threads)
    if not capture.is_dir():
        read_capture(capture)  # says what is wrong before a run folder is made
    reading["cameras_file"] = poses_file(capture, init_cameras, train=config.cameras.train)
    if config.cameras.train or reading["cameras_file"]:
        print(_poses_in_words(reading["cameras_file"], config.cameras.train), flush=True)
    folder = RunFolder(out or default_run(capture.resolve().name))
    folder.create()
    with folder.lock(), Interrupts() as interrupts:
        read = read_capture(capture, downscale=config.downscale, **reading)
        for text in read.warnings:
            warn(text)
        fit = _Fit(folder, config, read, reading, interrupts, watch)  # refuses settings that do not fit each other
        if fresh:
            folder.set_aside()
        return fit.run()


class _Paused(Exception):
    """A signal came while a step was being prepared, or a preview drawn."""


class _Fit:
    """One session of a fit: what the loop carries beside the trainer."""

    def __init__(
        self,
        folder: RunFolder,
        config: Settings,
        capture: Capture,
        reading: dict[str, Any],
        interrupts: Interrupts,
        watch: Watch | None = None,
    ) -> None:
        self.folder, self.config, self.interrupts = folder, config, interrupts
        self.watch = watch or _unwatched
        device = runtime.current().device
        self.identity = capture_identity(capture, reading)
        self.capture = capture
        self.trainer = make_trainer(config, capture, device)
        self.camera_log = CameraLog(folder.cameras, capture, config.downscale) if config.cameras.train else None
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
            check_same(self.folder.path, checkpoint, self.identity, self.config)
            self._restore(checkpoint)
            self.folder.rewind_metrics(checkpoint.step)
        self.folder.write_config(self.config)
        trainer, rays = self.trainer, self.config.schedule.rays
        with (
            self.trainer.threads(),
            Progress(trainer.total_steps, rays, time_limit=self.config.time_limit) as progress,
        ):
            self.watch(trainer)
            while trainer.steps_done < trainer.total_steps and not self._out_of_time():
                with suppress(_Paused):
                    trainer.prepare(self._pause)
                    self._step(progress)
                if self.interrupts.pending:
                    self._save()
                    raise self.interrupts.stopped(self.folder.path)
        self._save()
        self._preview()
        self._check_surface(finished=trainer.steps_done == trainer.total_steps)
        return self._summary()

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

    def _summary(self) -> FitSummary:
        trainer, log = self.trainer, self.camera_log
        movement = log.movement(trainer.poses.cameras()) if log else None
        numbers = (trainer.steps_done, self.seconds, self.last_psnr, self.last_iou)
        return FitSummary(self.folder.path, *numbers, self.capture.names, movement)

    def _out_of_time(self) -> bool:
        limit = self.config.time_limit
        return limit is not None and time.monotonic() - self.started > limit

    def _start(self) -> None:
        with self.trainer.threads():
            self.trainer.start(self.capture, self._stop_in_setup)
        self._save()

    def _pause(self) -> None:
        if self.interrupts.pending:
            raise _Paused

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
        elif self._skip():
            return
        step = trainer.steps_done
        if step % log.metrics_interval == 0 or step == trainer.total_steps:
            self._log(report, progress)
        if step % log.preview_interval == 0:
            self._preview()
        if step % log.checkpoint_interval == 0 and not self.skipped:
            self._save()
        self.watch(trainer)

    def _skip(self) -> bool:
        """A non-finite step moved nothing; ten in a row: back to the last checkpoint at half the rate, once (True)."""
        self.skipped += 1
        warn(f"step {self.trainer.steps_done}: loss or gradient is not finite; the step is skipped")
        if self.skipped <= SKIPS_BEFORE_ROLLBACK:
            return False
        checkpoint = None if self.rolled_back else load_newest(self.folder.checkpoints, warn)
        if checkpoint is None:
            todo = "lower the learning rates (schedule.*rate) with --set and --fresh"
            raise Diverged("the fit diverged", where=self.folder.path, why="losses stay non-finite", todo=todo)
        self._restore(checkpoint)
        self.trainer.halve_rates()
        self.skipped, self.rolled_back = 0, True
        self.folder.rewind_metrics(checkpoint.step)
        warn(f"back to step {checkpoint.step} at half the learning rate")
        return True

    def _log(self, report: StepReport, progress: Progress) -> None:
        record = _record(report, self.config.schedule.rays)
        self.last = record
        self.overlaps.append(record["mask_iou"])
        self._check_surface()
        if math.isfinite(record["psnr_db"]):
            self.recent_psnr.append(record["psnr_db"])
        step, more = self.trainer.steps_done, self.trainer.scheduled()
        moved = self.camera_log.note(step, self.trainer.poses.cameras()) if self.camera_log else {}
        shown = {key: record[key] for key in ("loss", "psnr_db", "mask_iou", "hits")}
        progress.update(Reading(step, **shown, **moved))
        speed = {"rays_per_second": round(progress.steps_per_second * self.config.schedule.rays)}
        self.folder.append_metrics(
            {"step": step, "seconds": round(self.seconds, 3), **record, **more, **moved, **speed}
        )

    def _check_surface(self, *, finished: bool = False) -> None:
        """Raises Diverged where the field has lost its surface: nothing would bring it back."""
        if lost_surface(self.overlaps, finished=finished):
            why = f"no object pixel hits it, at step {self.trainer.steps_done}"
            todo = "check masks and cameras, or start from the usual initialisation with masks, and --fresh"
            raise Diverged("the fit has no surface", where=self.folder.path, why=why, todo=todo)

    def _preview(self) -> None:
        """A picture of one view after the other, into renders/; none where a signal comes: it can take minutes."""
        view = (self.trainer.steps_done // self.config.log.preview_interval) % len(self.capture)
        try:
            with suppress(_Paused):
                write_preview(self.folder.renders / "preview", self.trainer, view, self._pause)
        except (CannotCreate, WriteFailed) as error:
            warn(f"{error}; the fit goes on without this picture")

    def _save(self) -> None:
        """A checkpoint from which another session goes on as if it had not stopped."""
        trainer = self.trainer
        psnr = float(np.mean(self.recent_psnr)) if self.recent_psnr else -math.inf
        best = psnr > self.best_psnr
        self.best_psnr, self.recent_psnr = max(psnr, self.best_psnr), []
        history = prefixed("history", self.camera_log.state()) if self.camera_log else {}
        tensors = {**self._frame(), **trainer.state(), **history}
        metadata = {
            "version": __version__,
            "config": self.config.model_dump(),
            "seconds": self.seconds,
            "best_psnr_db": self.best_psnr if math.isfinite(self.best_psnr) else None,
            **self.identity,
        }
        save_checkpoint(self.folder.checkpoints, trainer.steps_done, tensors, metadata, best=best)
        if self.camera_log:
            self.camera_log.write(trainer.poses.cameras())

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
        if self.camera_log:
            self.camera_log.load_state(unprefixed("history", checkpoint.tensors))
        self.seconds_before, self.started = checkpoint.metadata["seconds"], time.monotonic()
        best = checkpoint.metadata["best_psnr_db"]
        self.best_psnr, self.recent_psnr = -math.inf if best is None else best, []


def make_trainer(config: Settings, capture: Capture, device: torch.device) -> Trainer:
    """The trainer of a preset."""
    if isinstance(config, FastConfig):
        return FastTrainer(config, capture, device)
    if isinstance(config, IdrConfig):
        return IdrTrainer(config, capture, device)
    raise TypeError(f"no trainer for preset {config.preset}")


def _unwatched(_: Trainer) -> None:
    """What is called after a step that nobody watches."""


def _poses_in_words(file: str | None, train: bool) -> str:
    poses = f"those of {file}" if file else "the capture's own"
    return f"cameras   {'trained, starting from' if train else 'fixed at'} {poses}"


def _record(report: StepReport, rays: int) -> dict[str, float]:
    """A step's numbers as metrics.jsonl names them."""
    numbers = report.numbers()
    error, union, hits = numbers.pop("squared_error"), numbers.pop("union"), numbers.pop("hits")
    intersection = numbers.pop("intersection")
    measured = intersection > 0 and math.isfinite(error)
    numbers["psnr_db"] = -10 * math.log10(max(error, 1e-10)) if measured else math.nan
    numbers["mask_iou"] = intersection / max(union, 1)
    numbers["hits"] = hits / rays
    return numbers

"""The loop: read a capture, start from its hull, step, log, save, stop when asked; the same call again goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import runtime
from ..cameras.alignment import CameraMovement
from ..capture.exposure import exposure_line
from ..capture.fingerprints import fingerprints
from ..capture.formats.source import Layout
from ..capture.masks import has_silhouettes
from ..capture.quality import judged_views, said_of_views
from ..capture.reading import read_capture
from ..config import FitConfig
from ..errors import CannotCreate, Diverged, ExitCode, RankLost, Stopped, WriteFailed, warn
from ..measures.judgement import Judgement
from ..methods.catalogue import method_of
from ..methods.ranks import ALONE, Ranks
from ..methods.trainer import StepReport, Trainer, lost_surface
from ..runs.checkpoint import Checkpoint, load_newest, refuse_not_finite, save_checkpoint, taken_apart
from ..runs.contents import COURSE, EXPOSURES, HISTORY, Course, Frame, Origin, metadata, settings_of
from ..runs.folder import RunFolder
from ..runs.masks import write_refined
from ..state import prefixed, unprefixed
from ..types import Cameras, Capture, CaptureReading
from .budget import Budget
from .camera_log import CameraLog, movement_lines
from .convergence import WORTH_DB, Convergence, ErrorCurve
from .interrupts import Interrupts
from .judging import judge_fit
from .preview import write_preview
from .progress import Moment, Progress, say
from .resumption import check_same
from .together import check_splits, follow

SKIPS_BEFORE_ROLLBACK = 10  # non-finite steps in a row
SHOWN = ("loss", "psnr_db", "mask_iou", "hits")
"""Of what is logged, in the line that a fit shows."""
SHORT_CHECK = 3  # lines about single photos
SETUP_STOPPED = "run the same command again"
MORE_STEPS = "half as many steps again would gain about {:.1f} dB: --until converged goes on"
NOT_JUDGED = "none, for lack of time; tidr eval gives one"

Watch = Callable[[Trainer], None]


@dataclass(frozen=True)
class FitSummary:
    """How a fit ended: steps done, seconds of all sessions, and the last step's PSNR (dB, hit pixels) and mask IoU,
    NaN where the method measures none.

    names: of the V views. movement: of their cameras, world units, where they were trained. stops: (V, 3) EV, exposures
    of the photos, where they were fitted. judgement: None where there was no time for it. steps_line: whether more
    steps would help, where that is known.
    """

    run: Path
    steps: int
    seconds: float
    psnr_db: float
    mask_iou: float
    names: list[str]
    movement: CameraMovement | None
    stops: np.ndarray | None = None
    judgement: Judgement | None = None
    steps_line: str = ""

    @property
    def last_step(self) -> str:
        """What it measured, in words."""
        if math.isnan(self.mask_iou):
            return f"PSNR {self.psnr_db:.2f} dB"
        return f"PSNR {self.psnr_db:.2f} dB where hit, mask IoU {self.mask_iou:.3f}"

    @property
    def verdict(self) -> str:
        """The judgement on one line."""
        return self.judgement.line if self.judgement else NOT_JUDGED

    @property
    def camera_lines(self) -> list[str]:
        """How far trained cameras have moved, in words."""
        return movement_lines(self.movement, self.names) if self.movement else []

    @property
    def exposure_lines(self) -> list[str]:
        """How far fitted exposures are from the usual photo's, in words."""
        return [] if self.stops is None else [f"exposure  {exposure_line(self.stops, self.names)}"]


def fit(
    capture: Path,
    reading: CaptureReading,
    config: FitConfig,
    out: Path,
    *,
    layout: Layout,
    fresh: bool = False,
    watch: Watch | None = None,
    ranks: Ranks = ALONE,
) -> FitSummary:
    """Read a capture folder, fit it, and leave the result in the run folder `out`; an interrupted run goes on.

    layout: the folder's files, as `find_capture` found them. A capture that is refused leaves no new folder behind.
    fresh: set the old run aside. watch: as `fit_capture` has it. ranks: processes that share the fit; those that do not
    lead write nothing, and know only how many steps there were. Raises the TidrErrors of the capture, CannotCreate,
    Locked, WriteFailed, BadInput (a run of other settings), Diverged, Stopped; RankLost, checkpoint written.
    """
    if not ranks.leads:
        return _followed(read_capture(capture, reading, downscale=config.downscale, layout=layout), config, out, ranks)
    folder = RunFolder(out)
    with folder.created_for_good() as kept, folder.lock(), Interrupts() as interrupts:
        read = read_capture(capture, reading, downscale=config.downscale, layout=layout)
        for text in [*read.warnings, *_short_check(read)]:
            warn(text)
        origin = Origin.of(read, reading, fingerprints(capture, layout))
        session = _Fit(
            folder, config, read, origin, interrupts, watch, ranks
        )  # refuses settings that do not fit each other
        kept()
        if fresh:
            folder.set_aside()
        return session.run()


def _followed(capture: Capture, config: FitConfig, out: Path, ranks: Ranks) -> FitSummary:
    """The part of a fit of a rank that does not lead; signals are for the one that does."""
    began = time.monotonic()
    trainer = _trainer(capture, config, ranks)
    with Interrupts():
        follow(trainer, ranks)
    return FitSummary(out, trainer.steps_done, time.monotonic() - began, math.nan, math.nan, capture.names, None)


def _trainer(capture: Capture, config: FitConfig, ranks: Ranks) -> Trainer:
    """Raises UsageError where it cannot be one of several."""
    trainer = method_of(config).trainer(config, capture, runtime.current().device)
    check_splits(trainer, ranks, config.preset)
    trainer.ranks = ranks
    return trainer


def _short_check(capture: Capture) -> list[str]:
    """What `tidr check` says of single photos, in few lines."""
    found = said_of_views(judged_views(capture), SHORT_CHECK)
    shown = [f"tidr check {capture.folder} shows which photos, and why"] if has_silhouettes(capture.masks) else []
    return [*found, *shown] if found else []


class _Paused(Exception):
    """A signal came while a step was being prepared, or a preview drawn."""


class _Fit:
    """One session of a fit: what the loop carries beside the trainer."""

    def __init__(
        self,
        folder: RunFolder,
        config: FitConfig,
        capture: Capture,
        origin: Origin,
        interrupts: Interrupts,
        watch: Watch | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.folder, self.config, self.interrupts = folder, config, interrupts
        self.watch = watch or _unwatched
        self.origin = origin
        self.capture = capture
        self.trainer = _trainer(capture, config, ranks)
        self.rays: int = config.schedule.rays  # pyright: ignore[reportAttributeAccessIssue]
        self.camera_log = CameraLog(folder.cameras, capture, config.downscale) if config.cameras.train else None
        self.seconds_before, self.started = 0.0, time.monotonic()
        self.best_psnr, self.recent_psnr = -math.inf, []
        self.overlaps: list[float] = []
        self.skipped, self.rolled_back = 0, False
        self.last: dict[str, float] = {}
        self.error_curve = ErrorCurve()
        self.ending = self._ending()
        self.written_masks: list[np.ndarray] | None = None

    def run(self) -> FitSummary:
        """Start or go on, until the last step, the time limit, or a signal."""
        checkpoint = load_newest(self.folder.checkpoints, warn)
        if checkpoint is None:
            self._start()
        else:
            check_same(self.folder.path, checkpoint, self.origin, self.config)
            self._restore(checkpoint)
            self.folder.rewind_metrics(checkpoint.step)
        self.folder.write_config(self.config)
        trainer = self.trainer
        with (
            trainer.threads(),
            Progress(trainer.total_steps, self.rays, time_limit=self.config.time_limit) as progress,
        ):
            self.watch(trainer)
            self._plan(progress)
            while trainer.steps_done < trainer.total_steps and not self._out_of_time():
                with suppress(_Paused):
                    trainer.prepare(self._pause)
                    self._step(progress)
                    self._plan(progress)
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

    @property
    def _cameras(self) -> Cameras:
        """As they are now."""
        return self.trainer.cameras() or self.capture.cameras

    def _summary(self) -> FitSummary:
        trainer, log = self.trainer, self.camera_log
        movement = log.movement(self._cameras) if log else None
        numbers = (trainer.steps_done, self.seconds, self.last_psnr, self.last_iou)
        found = (self.capture.names, movement, trainer.exposures(), self._judge(), self._steps_line())
        return FitSummary(self.folder.path, *numbers, *found)

    def _ending(self) -> Budget | Convergence | None:
        """What finds the last step, where the settings do not say it."""
        if self.config.until:
            return Budget(self.config.until, lambda: self.seconds)
        return Convergence(self.trainer.total_steps, self.error_curve) if self.config.until_converged else None

    def _steps_line(self) -> str:
        """Whether more steps would help, in words."""
        if isinstance(self.ending, Convergence):
            return self.ending.line
        gain = self.error_curve.expected_gain_db()
        finished = self.trainer.steps_done == self.trainer.total_steps
        return MORE_STEPS.format(gain) if finished and gain >= WORTH_DB else ""

    def _judge(self) -> Judgement | None:
        """What is wrong is said; None where a signal comes: the fit is done and saved."""
        judgement = None
        with suppress(_Paused):
            judgement = judge_fit(self.trainer, self.capture, self.config.log.judge_seconds, self._pause)
        for text in judgement.warnings if judgement else ():
            warn(text)
        return judgement

    def _out_of_time(self) -> bool:
        limit = self.config.time_limit
        return limit is not None and time.monotonic() - self.started > limit

    def _start(self) -> None:
        with self.trainer.threads():
            self.trainer.start(self.capture, self._stop_in_setup)
        for line in self.trainer.found:
            say(line)
        self.trainer.ranks.tell_state(self.trainer.state(), 0)
        self._save()

    def _plan(self, progress: Progress) -> None:
        """End where the time does, or when more steps would not help, if the fit was told to."""
        total = self.ending.after_step(self.trainer.steps_done) if self.ending else None
        if total is not None:
            self.trainer.total_steps = total
            progress.end_at(total)
            if isinstance(self.ending, Convergence):
                progress.message(f"more      {self.ending.line}{', ' if self.ending.line else ''}going on to {total}")

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
        try:
            report = trainer.step()
        except RankLost:
            self._save()
            raise
        self.error_curve.note(trainer.progress, report.measured.get("squared_error"))
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
        record = _record(report, self.rays)
        self.last = record
        if "mask_iou" in record:
            self.overlaps.append(record["mask_iou"])
        self._check_surface()
        if math.isfinite(self.last_psnr):
            self.recent_psnr.append(self.last_psnr)
        step, more = self.trainer.steps_done, self.trainer.scheduled()
        moved = self.camera_log.note(step, self._cameras) if self.camera_log else {}
        shown = {key: record[key] for key in SHOWN if key in record}
        progress.update(Moment(step, **shown, **moved))
        speed = {"rays_per_second": round(progress.steps_per_second * self.rays)}
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
        step = self.trainer.steps_done
        view = (step // self.config.log.preview_interval) % len(self.capture)
        preview = self.trainer.preview(view)
        if preview is None:
            return
        try:
            with suppress(_Paused):
                write_preview(self.folder.renders / "preview" / f"{step:08d}_view{view:03d}.png", preview, self._pause)
        except (CannotCreate, WriteFailed) as error:
            warn(f"{error}; the fit goes on without this picture")

    def _save(self) -> None:
        """A checkpoint from which another session goes on as if it had not stopped."""
        trainer = self.trainer
        psnr = float(np.mean(self.recent_psnr)) if self.recent_psnr else -math.inf
        best = psnr > self.best_psnr
        self.best_psnr, self.recent_psnr = max(psnr, self.best_psnr), []
        history = prefixed(HISTORY, self.camera_log.state()) if self.camera_log else {}
        frame = Frame(self._cameras, self.capture.T_world_normalised)
        stops = trainer.exposures()
        exposures = {} if stops is None else {EXPOSURES: torch.from_numpy(stops.copy())}
        course = prefixed(COURSE, self.error_curve.state())
        tensors = {**frame.tensors(), **trainer.state(), **history, **exposures, **course}
        best_psnr = self.best_psnr if math.isfinite(self.best_psnr) else None
        planned = self.ending.planned if self.ending else None
        before = self.ending.before_db if isinstance(self.ending, Convergence) else None
        about = metadata(self.config, self.origin, Course(self.seconds, best_psnr, planned, before))
        save_checkpoint(self.folder.checkpoints, trainer.steps_done, tensors, about, best=best)
        if self.camera_log:
            self.camera_log.write(self._cameras)
        if (masks := trainer.masks()) is not None and masks is not self.written_masks:
            write_refined(self.folder.masks, self.capture.names, masks)
            self.written_masks = masks

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Raises BadInput, Diverged where it is nothing to go on from."""
        refuse_not_finite(checkpoint)
        with taken_apart(checkpoint):
            self._load(checkpoint)

    def _load(self, checkpoint: Checkpoint) -> None:
        """Raises what those raise that know what is in it."""
        self.trainer.load_state(checkpoint.tensors, checkpoint.step)
        if (stops := self.trainer.exposures()) is not None and len(stops) != len(self.capture):
            raise ValueError(f"exposures of {len(stops)} photos")
        if self.camera_log:
            self.camera_log.load_state(unprefixed(HISTORY, checkpoint.tensors))
        course = Course.of_record(checkpoint.metadata)
        self.seconds_before, self.started = course.seconds, time.monotonic()
        self.error_curve.load_state(unprefixed(COURSE, checkpoint.tensors))
        same = settings_of(checkpoint.metadata).get("until") == self.config.until
        if self.ending and course.planned_steps and same:  # else there is another time to plan for
            self.ending.planned = self.trainer.total_steps = course.planned_steps
            if isinstance(self.ending, Convergence):
                self.ending.before_db = course.before_db
        self.best_psnr, self.recent_psnr = -math.inf if course.best_psnr_db is None else course.best_psnr_db, []


def _unwatched(_: Trainer) -> None:
    """What is called after a step that nobody watches."""


def _record(report: StepReport, rays: int) -> dict[str, float]:
    """A step's numbers as metrics.jsonl names them: sums over pixels become PSNR, mask IoU and a share of hits."""
    numbers = report.numbers()
    error, intersection, union = (numbers.pop(key, None) for key in ("squared_error", "intersection", "union"))
    if error is not None:
        measured = math.isfinite(error) and (intersection is None or intersection > 0)
        numbers["psnr_db"] = -10 * math.log10(max(error, 1e-10)) if measured else math.nan
    if intersection is not None and union is not None:
        numbers["mask_iou"] = intersection / max(union, 1)
    if "hits" in numbers:
        numbers["hits"] /= rays
    return numbers

"""A capture's job: stages that are `tidr` commands, which of them are left, and how it ended.

What is done stands in `OUT/batch/NAME.json`, beside the output of its commands, `NAME.log`. Whoever goes on with a job,
the next worker or the next call, reads it first.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import ExitCode, TidrError
from ..files.reading import text_of
from ..files.writing import atomic_write
from ..runs.folder import RunFolder
from .children import is_stopped, run_child

STAGES = ("fit", "mesh", "eval", "report")
"""In the order in which they need each other."""
StageName = Literal["fit", "mesh", "eval", "report"]
PATIENCE = 150.0  # seconds for a run whose last worker was killed: its fit may still save
LOOK_AGAIN = 2.0
RECORD_BYTES = 1 << 20
_PRODUCTS = {"mesh": "mesh/mesh.ply", "eval": "report/eval.json", "report": "report/index.html"}
_SIGNALLED = (ExitCode.STOPPED_BY_SIGHUP, ExitCode.STOPPED_BY_SIGINT, ExitCode.STOPPED_BY_SIGTERM)
_CHILD = Path(__file__).with_name("child.py")


class Unfinished(Exception):
    """A signal that was not ours ended a stage, after its checkpoint: another worker goes on."""


@dataclass(frozen=True)
class Stage:
    """One command and the options that the user gave for it."""

    name: StageName
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One capture. Paths are absolute, on storage that all workers share.

    batch: identifies the call of `tidr batch`. notes: where it keeps what is done, without suffix. folder: where
    relative paths in options start. environment: of the commands, on top of the worker's. program: what runs a stage
    instead of the worker's own `tidr`.
    """

    batch: str
    capture: Path
    run: Path
    notes: Path
    stages: tuple[Stage, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def log(self) -> Path:
        return self.notes.with_name(f"{self.notes.name}.log")

    @property
    def record(self) -> Path:
        return self.notes.with_name(f"{self.notes.name}.json")

    def command(self, stage: Stage) -> list[str]:
        """What a person would have typed."""
        place = [str(self.capture), "--out", str(self.run)] if stage.name == "fit" else [str(self.run)]
        return [*(self.program or (sys.executable, str(_CHILD))), stage.name, *place, *stage.options]


@dataclass(frozen=True)
class StageNote:
    """starts: how often it was begun. checkpoint: name of the run's newest one when it was done, empty before."""

    options: list[str]
    starts: int = 0
    seconds: float = 0.0
    checkpoint: str = ""


@dataclass(frozen=True)
class JobEnd:
    """How a job ended. stage, exit_code, error: of what failed. seconds: of all stages, by whomever they were run."""

    name: str
    outcome: Literal["done", "failed", "stopped"]
    stage: str = ""
    exit_code: int = 0
    error: str = ""
    verdict: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    starts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Notes:
    """What is known of a job: its capture, its stages by name, the last verdict and what commands warned of."""

    capture: str
    stages: Mapping[str, StageNote] = field(default_factory=dict)
    verdict: str = ""
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, job: Job) -> Notes:
        """Empty where there are none, or they are of another capture or of another kind."""
        try:
            found = json.loads(text_of(job.record, RECORD_BYTES))
            stages = {name: StageNote(**note) for name, note in found["stages"].items()}
            notes = cls(found["capture"], stages, str(found["verdict"]), tuple(map(str, found["warnings"])))
        except (TidrError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls(str(job.capture))
        return notes if notes.capture == str(job.capture) else cls(str(job.capture))

    def write(self, job: Job) -> None:
        """Raises WriteFailed."""
        atomic_write(job.record, json.dumps(asdict(self), indent=1) + "\n")

    def with_stage(self, name: str, note: StageNote) -> Notes:
        return Notes(self.capture, {**self.stages, name: note}, self.verdict, self.warnings)

    def with_said(self, lines: list[str]) -> Notes:
        """And what a command printed."""
        verdicts = [line.removeprefix("verdict").strip() for line in lines if line.startswith("verdict ")]
        warnings = [line.removeprefix("tidr: warning: ") for line in lines if line.startswith("tidr: warning: ")]
        verdict = verdicts[-1] if verdicts else self.verdict
        return Notes(self.capture, self.stages, verdict, tuple(dict.fromkeys((*self.warnings, *warnings))))

    def end(self, job: Job, outcome: Literal["done", "failed", "stopped"], **more: Any) -> JobEnd:
        seconds = sum(note.seconds for note in self.stages.values())
        starts = {name: note.starts for name, note in self.stages.items()}
        return JobEnd(
            job.name, outcome, verdict=self.verdict, warnings=self.warnings, seconds=seconds, starts=starts, **more
        )


def stages_left(job: Job, notes: Notes) -> list[Stage]:
    """The first stage that was not done, or not with these options, or whose result is gone; and all that follow it.

    A run that was fitted further since has other results, so they are left then. The photos are not looked at.
    """
    newest = newest_checkpoint(job.run)
    for number, stage in enumerate(job.stages):
        note, product = notes.stages.get(stage.name), _PRODUCTS.get(stage.name)
        done = note and newest and note.checkpoint == newest and note.options == list(stage.options)
        if not done or (product and not (job.run / product).is_file()):
            return list(job.stages[number:])
    return []


def newest_checkpoint(run: Path) -> str:
    """Name of its file; empty without one. Its content is for those who load it."""
    return max((path.name for path in RunFolder(run).checkpoints.glob("*.tidr")), default="")


def run_job(job: Job) -> JobEnd:
    """Run what is left of a job, in this worker. Raises Unfinished, WriteFailed."""
    notes = Notes.read(job)
    for stage in stages_left(job, notes):
        if is_stopped(job.batch):
            return notes.end(job, "stopped", stage=stage.name)
        before = notes.stages.get(stage.name, StageNote([]))
        note = StageNote(list(stage.options), before.starts + 1, before.seconds)
        notes = notes.with_stage(stage.name, note)
        notes.write(job)
        began = time.monotonic()
        code, lines = _run_stage(job, stage)
        checkpoint = newest_checkpoint(job.run) if code == 0 else ""
        note = StageNote(note.options, note.starts, note.seconds + time.monotonic() - began, checkpoint)
        notes = notes.with_stage(stage.name, note).with_said(lines)
        notes.write(job)
        if code != 0:
            return _failed(job, notes, stage, code, lines)
    return notes.end(job, "done")


def _run_stage(job: Job, stage: Stage) -> tuple[int, list[str]]:
    """A command's exit code and lines; one whose run is in use is tried again while its last worker may be ending."""
    until = time.monotonic() + PATIENCE
    while True:
        before = job.log.stat().st_size if job.log.exists() else 0
        child = {"folder": job.folder, "log": job.log, "environment": job.environment}
        try:
            code = run_child(job.batch, job.command(stage), **child)
        except OSError as error:
            return ExitCode.CANNOT_CREATE, [f"tidr: error: tidr cannot be started on this worker: {error}"]
        if code != ExitCode.LOCKED or time.monotonic() > until or is_stopped(job.batch):
            return code, _lines_from(job.log, before)
        time.sleep(LOOK_AGAIN)


def _lines_from(log: Path, start: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace").splitlines()


def _failed(job: Job, notes: Notes, stage: Stage, code: int, lines: list[str]) -> JobEnd:
    errors = [line.removeprefix("tidr: error: ") for line in lines if line.startswith("tidr: error: ")]
    error = errors[-1] if errors else f"tidr {stage.name} ended with {code} and said nothing"
    if is_stopped(job.batch):
        return notes.end(job, "stopped", stage=stage.name, exit_code=code, error=error)
    if code in _SIGNALLED:
        raise Unfinished(error)
    return notes.end(job, "failed", stage=stage.name, exit_code=code, error=error)

"""Jobs of tests, whose commands are `batch_program.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from taichi_idr.batch.jobs import Job, Stage

PROGRAM = (sys.executable, str(Path(__file__).with_name("batch_program.py")))
STAGES = (Stage("fit", ("--steps", "10")), Stage("mesh"), Stage("report"))


def make_job(folder: Path, name: str, *what: str, batch: str = "one", stages: tuple[Stage, ...] = STAGES) -> Job:
    """A capture `folder/captures/name` of that kind, and its job. what: as `batch_program` has it."""
    capture, notes = folder / "captures" / name, folder / "runs" / "batch"
    for place in (capture, notes):
        place.mkdir(parents=True, exist_ok=True)
    for word in what:
        (capture / word).touch()
    return Job(batch, capture, folder / "runs" / name, notes / name, stages, folder, {"TIDR_CORES": "1"}, PROGRAM)


def steps(job: Job) -> list[int]:
    """Those that the fit has done, in their order, repeated ones too."""
    return [int(line.split()[0]) for line in (job.run / "steps.txt").read_text().splitlines()]

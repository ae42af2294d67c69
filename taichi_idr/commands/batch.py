"""`tidr batch`: many captures, each fitted, meshed, measured and reported, on one machine or a cluster."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.clusters import (
    SlurmOptions,
    check_installed,
    cluster_at,
    environment_of,
    local_cluster,
    share_of,
    slurm_cluster,
    slurm_script,
)
from ..batch.jobs import Job, JobEnd, Notes, Stage, stages_left
from ..batch.results import Batch, Entry, entry_of, said_of, shown_measures, write_results
from ..errors import SomeFailed, UsageError
from ..files.writing import atomic_write, create_folder, remove_stale_temporaries
from ..fitting.interrupts import Interrupts
from ..machine import available_cores, free_memory
from ..runs.lock import hold
from ..structure.files import name_of

if TYPE_CHECKING:
    from distributed import Client

    from ..runtime import Arch

NOTES = "batch"
"""Folder in OUT for what is done of each capture, its log and its thumbnail."""
AGAIN = "mend what is wrong and run the same command again: it does what is left"


@dataclass(frozen=True)
class Where:
    """On what jobs run: this machine, a scheduler's address, or Slurm; how many at once, and cores for each."""

    scheduler: str | None = None
    slurm: SlurmOptions | None = None
    workers: int | None = None
    threads: int | None = None


def batch_captures(
    captures: Sequence[Path], out: Path, stages: Sequence[Stage], where: Where | None = None, *, arch: Arch = "auto"
) -> Batch:
    """Do the same with every capture, each in its run folder `OUT/NAME`; what an earlier call did is not done again.

    A capture that fails stops no other. Leaves `OUT/batch.json` and a page, `OUT/index.html`; prints each end, and a
    table.

    Raises SomeFailed after all that, where any failed; UsageError, Unavailable, CannotCreate, Locked, WriteFailed;
    Stopped once a signal has ended all commands, their checkpoints written.
    """
    began, place = time.monotonic(), where or Where()
    check_installed(slurm=place.slurm is not None)
    jobs = _jobs(captures, out.absolute(), stages)
    create_folder(out / NOTES)
    with hold(out / NOTES / "batch.lock"), Interrupts() as interrupts:
        remove_stale_temporaries(out / NOTES)
        known = [(job, Notes.read(job)) for job in jobs]
        ends = {job.name: notes.end(job, "done") for job, notes in known if not stages_left(job, notes)}
        left = [job for job in jobs if job.name not in ends]
        print(f"captures  {len(jobs)}, {len(left)} of them to do", flush=True)
        words = "nothing was left to do"
        if left:
            with _cluster(place, len(left), out / NOTES, arch) as (client, environment, words):
                print(f"workers   {words}", flush=True)
                ends |= _done(client, [replace(job, environment=environment) for job in left], interrupts)
        batch = Batch([entry_of(job, ends[job.name]) for job in jobs], time.monotonic() - began, words)
        page = write_results(batch, out.absolute())
        _print_table(batch.entries)
        print(f"page      {page}", flush=True)
        if interrupts.pending:
            raise interrupts.stopped(out)
    failed = [entry.job.name for entry in batch.entries if entry.end.outcome != "done"]
    if failed:
        what = f"{len(failed)} of {len(jobs)} captures failed"
        raise SomeFailed(what, where=out / "batch.json", why=", ".join(failed), todo=AGAIN)
    return batch


def write_slurm_script(options: SlurmOptions, out: Path) -> Path:
    """`OUT/batch/slurm.sh`, what sbatch would be given for each worker; printed too. Raises Unavailable, UsageError."""
    check_installed(slurm=True)
    file = create_folder(out / NOTES) / "slurm.sh"
    script = slurm_script(options, file.parent.absolute())
    atomic_write(file, script)
    print(f"{script}\nwritten   {file}")
    return file


def _jobs(captures: Sequence[Path], out: Path, stages: Sequence[Stage]) -> list[Job]:
    """One for each capture, named after it. Raises UsageError where names are not distinct."""
    names = [name_of(capture) for capture in captures]
    twice = [name for name, count in Counter([*names, NOTES]).items() if count > 1]
    if twice:
        why = f"they would share the run {out / twice[0]}"
        raise UsageError(
            "captures of one name", where=", ".join(twice), why=why, todo="rename one, or use another --out"
        )
    batch, here, notes = secrets.token_hex(8), Path.cwd(), out / NOTES
    return [
        Job(batch, capture.absolute(), out / name, notes / name, tuple(stages), here)
        for name, capture in zip(names, captures, strict=True)
    ]


@contextmanager
def _cluster(where: Where, jobs: int, folder: Path, arch: Arch) -> Iterator[tuple[Client, dict[str, str], str]]:
    """A cluster's client, the environment of commands on it, and what it is in words."""
    if where.scheduler is not None:
        environment = environment_of(where.threads) if where.threads else {}
        with cluster_at(where.scheduler) as client:
            yield client, environment, f"those of {where.scheduler}"
    elif where.slurm is not None:
        workers = min(jobs, where.workers or jobs)
        with slurm_cluster(where.slurm, workers, folder.absolute()) as client:
            yield client, environment_of(where.threads or where.slurm.cores), f"{workers} jobs of Slurm"
    else:
        share = share_of(jobs, available_cores(), free_memory(), _gpus(arch), where.workers, where.threads)
        each = f"{share.cores} cores each" if share.cores > 1 else "one core each"
        with local_cluster(share) as client:
            yield client, share.environment, f"{share.workers} on this machine, {each}"


def _gpus(arch: Arch) -> tuple[str, ...]:
    """Those that commands would use, as CUDA_VISIBLE_DEVICES names them."""
    if arch not in ("auto", "cuda"):
        return ()
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    named = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    return tuple(named) if torch.cuda.is_available() else ()


def _done(client: Client, jobs: Sequence[Job], interrupts: Interrupts) -> dict[str, JobEnd]:
    """How each ended, by name; a line of each as it comes."""
    from ..batch.waiting import run_jobs

    count = 0

    def say(end: JobEnd) -> None:
        nonlocal count
        count += 1
        print(f"{end.outcome:<9} {end.name} ({count} of {len(jobs)}) {end.verdict or end.error}".rstrip(), flush=True)

    ends = run_jobs(client, jobs, lambda: interrupts.pending is not None, say)
    return {end.name: end for end in ends}


def _print_table(entries: Sequence[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table("capture", "outcome", "min", "measures", "verdict")
    for entry in entries:
        measures = "\n".join(f"{name} {value}" for name, value in shown_measures(entry).items())
        shown.add_row(entry.job.name, entry.end.outcome, f"{entry.end.seconds / 60:.1f}", measures, said_of(entry))
    Console(markup=False, highlight=False).print(shown)

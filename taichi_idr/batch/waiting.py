"""Hand all jobs to a cluster, wait for them, and stop them when asked to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import ExitCode, TidrError
from .children import stop_children
from .jobs import Job, JobEnd, Notes, run_job

if TYPE_CHECKING:
    from distributed import Client, Future

LOOK_EVERY = 0.5  # seconds
TO_STOP = 60.0  # seconds for all commands to save what they have
RETRIES = 3  # of a job whose command was ended by a signal from elsewhere


def run_jobs(
    client: Client, jobs: Sequence[Job], asked_to_stop: Callable[[], bool], on_end: Callable[[JobEnd], None]
) -> list[JobEnd]:
    """How each job ended, in their order. on_end: is told each end as it comes.

    A job whose worker is gone goes to another. When asked to stop, commands get SIGINT and TO_STOP seconds; what has
    not ended by then is "stopped" all the same.
    """
    from distributed import TimeoutError as NotYet
    from distributed import wait

    futures = {client.submit(run_job, job, pure=False, retries=RETRIES): job for job in jobs}
    pending, ends, deadline = set(futures), {}, float("inf")
    while pending and time.monotonic() < deadline:
        with suppress(NotYet):
            wait(list(pending), timeout=LOOK_EVERY, return_when="FIRST_COMPLETED")
        for future in [future for future in pending if future.done()]:
            pending.discard(future)
            end = ends[futures[future].name] = _end_of(future, futures[future])
            on_end(end)
        if asked_to_stop() and deadline == float("inf"):
            deadline = time.monotonic() + TO_STOP
            client.run(stop_children, jobs[0].batch, on_error="ignore")
    stopped = {job.name: Notes.read(job).end(job, "stopped") for job in map(futures.__getitem__, pending)}
    return [{**ends, **stopped}[job.name] for job in jobs]


def _end_of(future: Future, job: Job) -> JobEnd:
    """What a job returned, or what came in between: its workers died, its notes cannot be written."""
    if future.status == "finished":
        return future.result()
    error: Any = future.exception() if future.status == "error" else None
    code = error.exit_code if isinstance(error, TidrError) else ExitCode.BUG
    return Notes.read(job).end(job, "failed", exit_code=int(code), error=_in_words(error))


def _in_words(error: BaseException | None) -> str:
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "its workers were killed again and again: is there enough memory? fewer --workers take less"
    return f"{type(error).__name__}: {error}" if error else "the cluster gave it up"

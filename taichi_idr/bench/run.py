"""A whole benchmark: one child process per backend, its rows as they come, one record at the end."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import machine
from ..errors import TidrError, Unavailable
from ..files.writing import scratch_folder
from .backend import MARK, Request
from .catalogue import chosen
from .results import RAN, Backend, End, Results, Row, Start
from .table import backend_lines, ending_line, row_line

Show = Callable[[str], None]


def run_benchmarks(requests: Sequence[Request], show: Show) -> Results:
    """Every request's backend in turn; `show` gets the table line by line. Raises UsageError."""
    for request in requests:
        chosen(request.cases, request.sizes)
    backends = tuple(_run_backend(request, show) for request in requests)
    return Results(
        format="tidr-bench",
        version=1,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        machine=machine.this_machine(),
        versions=machine.versions(),
        commit=machine.commit(),
        seed=requests[0].seed,
        protocol=requests[0].protocol,
        backends=backends,
    )


def raise_failures(results: Results) -> None:
    """Raises Unavailable where no backend ran, TidrError where a case failed or a backend broke off."""
    outcomes = {backend.arch: backend.outcome for backend in results.backends}
    broken = [f"{arch} {outcome}" for arch, outcome in outcomes.items() if outcome.startswith("broke off")]
    failed = [f"{b.arch} {row.case} {row.size}" for b in results.backends for row in b.rows if row.failed]
    if broken or failed:
        where = "tidr bench"
        todo = "see tidr doctor" if broken else "a kernel is wrong here: please report it with the table"
        raise TidrError("benchmark failed", where=where, why=", ".join([*broken, *failed]), todo=todo)
    if RAN not in outcomes.values():
        why = ", ".join(f"{arch}: {outcome}" for arch, outcome in outcomes.items())
        raise Unavailable("no backend ran", where="tidr bench", why=why, todo="see tidr doctor")


def _run_backend(request: Request, show: Show) -> Backend:
    start, rows, end, outcome = None, [], None, RAN
    with _child(request) as child:
        noise = ""
        for line in child.stdout or ():
            if not line.startswith(MARK):
                noise = line.strip() or noise
                continue
            event = _event(json.loads(line.removeprefix(MARK)))
            if isinstance(event, Start):
                start = event
                show(backend_lines(request.arch, event))
            elif isinstance(event, Row):
                rows.append(event)
                show(row_line(event))
            elif isinstance(event, End):
                end = event
            else:
                outcome = f"not available: {event}"
        code = child.wait()
    if outcome == RAN and end is None:
        outcome = f"broke off after {len(rows)} cases: process ended with {code}: {noise}"
    backend = Backend(arch=request.arch, outcome=outcome, start=start, rows=tuple(rows), end=end)
    show(ending_line(backend))
    return backend


def _event(fields: dict[str, Any]) -> Start | Row | End | str:
    """A record, or why the backend is not available."""
    if "not_available" in fields:
        return str(fields["not_available"])
    for kind, mark in ((Row, "case"), (Start, "ceilings"), (End, "load_after")):
        if mark in fields:
            return kind.model_validate(fields)
    raise ValueError(f"unknown event: {fields}")


@contextmanager
def _child(request: Request) -> Iterator[subprocess.Popen[str]]:
    """The process of one backend; ended with the block, however that ends."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with scratch_folder() as empty:
        environment = {**os.environ, **({"TI_OFFLINE_CACHE_FILE_PATH": str(empty)} if request.cold else {})}
        child = subprocess.Popen(_command(request), cwd=machine.HOME, env=environment, **pipes)
        try:
            yield child
        finally:
            child.kill()
            child.communicate()


def _command(request: Request) -> list[str]:
    return [sys.executable, "-m", str(__package__), request.model_dump_json()]

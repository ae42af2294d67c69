"""`tidr bench`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from taichi_idr.errors import CannotCreate, UsageError


class BackendChoice(str, Enum):
    """What typer wants where an option can be repeated."""

    cpu = "cpu"
    cuda = "cuda"
    vulkan = "vulkan"


def bench(
    cases: Annotated[list[str] | None, typer.Argument(metavar="[CASE]...", help="Names, or their first parts.")] = None,
    arch: Annotated[list[BackendChoice] | None, typer.Option(help="Backend, repeatable. [default: cpu]")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the result.")] = None,
    compare: Annotated[tuple[Path, Path] | None, typer.Option(metavar="A B", help="Two kept results.")] = None,
    list_cases: Annotated[bool, typer.Option("--list", help="Name the cases and end.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Least sizes, few repeats: does everything work?")] = False,
    sizes: Annotated[str | None, typer.Option(metavar="N,N,...", help="Items per call, instead of the usual.")] = None,
    run: Annotated[Path | None, typer.Option(help="Fit whose field is traced. [default: a taught torus]")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="CPU threads. [default: all cores]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all inputs.")] = 0,
    cold: Annotated[bool, typer.Option("--cold", help="Compile anew, in an empty kernel cache.")] = False,
) -> None:
    """Time every kernel beside its slow twin, after both agreed."""
    if compare is not None:
        _compare(*compare)
        return
    names, counts = tuple(cases or ()), _numbers(sizes)
    if json is not None and not json.absolute().parent.is_dir():
        raise CannotCreate("no such folder", where=json.parent, todo="make it, or name another file after --json")
    if json is not None and json.is_dir():
        raise CannotCreate("a folder, not a file", where=json, todo="name a file after --json")
    from taichi_idr.files.writing import atomic_write
    from taichi_idr.runs.folder import open_run

    field = None if run is None else open_run(run).path.resolve()
    from taichi_idr.bench.backend import Request
    from taichi_idr.bench.catalogue import chosen
    from taichi_idr.bench.run import raise_failures, run_benchmarks
    from taichi_idr.bench.table import listing

    if list_cases:
        typer.echo(listing(chosen(names, counts, quick=quick)))
        return
    options = {"cases": names, "sizes": counts, "quick": quick, "seed": seed, "threads": threads, "run": field}
    requests = [Request(arch=one.value, cold=cold, **options) for one in dict.fromkeys(arch or [BackendChoice.cpu])]
    results = run_benchmarks(requests, typer.echo)
    if json is not None:
        atomic_write(json, results.model_dump_json(indent=1) + "\n")
    raise_failures(results)


def _compare(before: Path, after: Path) -> None:
    from taichi_idr.bench.results import read_results

    results = read_results(before), read_results(after)
    from taichi_idr.bench.comparison import compare

    for line in compare(*results):
        typer.echo(line)


def _numbers(text: str | None) -> tuple[int, ...]:
    """Sizes of `--sizes 2048,8192`, each at least 1."""
    parts = text.split(",") if text else []
    if not all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UsageError("bad value", where="--sizes", why=f"{text}: expected whole numbers from 1, with commas")
    return tuple(int(part) for part in parts)

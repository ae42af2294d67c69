"""The command `tidr`: it parses, hands over, and turns every failure into one line and an exit code.

Only what `--help` needs is imported here; each command imports its work when it is called.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Annotated, NoReturn, TextIO

import typer
from typer.main import get_command

from taichi_idr import __version__
from taichi_idr.errors import ExitCode

from . import (
    batch,
    bench,
    check,
    convert,
    demo,
    doctor,
    evaluate,
    failures,
    fit,
    flow,
    import_idr,
    mask,
    mesh,
    paint,
    points,
    prepare,
    render,
    report,
    scan,
    shapes,
    swap,
    view,
)

app = typer.Typer(
    help="Photos, silhouettes and cameras of one object become a watertight coloured mesh.",
    add_completion=False,
    rich_markup_mode=None,  # plain help: importing rich costs more than the rest of --help
)
app.command("check")(check.check)
app.command("scan")(scan.scan)
app.command("prepare")(prepare.prepare)
app.command("mask")(mask.mask)
app.command("fit")(fit.fit)
app.command("mesh")(mesh.mesh)
app.command("paint")(paint.paint)
app.command("points")(points.points)
app.command("shapes")(shapes.shapes)
app.command("flow")(flow.flow)
app.command("batch")(batch.batch)
app.command("render")(render.render)
app.command("view")(view.view)
app.command("eval")(evaluate.evaluate)
app.command("report")(report.report)
app.command("swap")(swap.swap)
app.command("convert")(convert.convert)
app.command("import-idr")(import_idr.import_idr)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)


def main() -> NoReturn:
    """Entry point of the process."""
    _fill_standard_streams()
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:
            signal.signal(getattr(signal, name), _end)
    code = run(sys.argv[1:])
    with suppress(OSError):
        sys.stdout.flush()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    arguments, debug = _take_debug(arguments)
    failures.forget_run()
    try:
        command = get_command(app)
        with command.make_context("tidr", arguments) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as ending:
        return ending.exit_code
    except BaseException as error:
        return failures.report(error, debug=debug)
    return ExitCode.DONE


@app.callback(invoke_without_command=True)
def _global_options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (anywhere in the line).")] = False,
) -> None:
    if version:
        typer.echo(f"tidr {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def _fill_standard_streams() -> None:
    """A program may be started with some of them closed: the next file that it opened would get their number, and what
    is printed. They lead nowhere then."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        os.set_inheritable(handle, True)
    os.close(handle)
    sys.stdout = sys.stdout or _nowhere(1)
    sys.stderr = sys.stderr or _nowhere(2)


def _nowhere(handle: int) -> TextIO:
    return os.fdopen(handle, "w", encoding="utf-8", closefd=False)


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """`--debug` counts wherever it stands."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [word for word in arguments[:end] if word != "--debug"]
    return [*kept, *arguments[end:]], len(kept) < end


def _end(number: int, frame: FrameType | None) -> None:
    """Leave through the usual way out, so that locks are given back and temporary files removed."""
    raise failures.Terminated(number)

"""`tidr batch`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taichi_idr.errors import UsageError

from .options import ArchChoice, ArchOption

if TYPE_CHECKING:
    from taichi_idr.batch.jobs import Stage

_OWN = ("--out", "--fresh", "--arch", "--threads")
"""Options of commands that `tidr batch` gives itself, or that would throw away what a killed worker left."""
_THEIRS = "Options of tidr {}, quoted."


def batch(
    captures: Annotated[list[Path], typer.Argument(metavar="CAPTURE...", help="What tidr fit takes, each.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs, the page and batch.json.")] = Path("runs"),
    do: Annotated[
        str, typer.Option(metavar="STAGE,STAGE,...", help="Of fit, mesh, eval and report.")
    ] = "fit,mesh,eval,report",
    fit: Annotated[str, typer.Option(metavar="'OPTIONS'", help=_THEIRS.format("fit"))] = "",
    mesh: Annotated[str, typer.Option(metavar="'OPTIONS'", help=_THEIRS.format("mesh"))] = "",
    evaluate: Annotated[str, typer.Option("--eval", metavar="'OPTIONS'", help=_THEIRS.format("eval"))] = "",
    report: Annotated[str, typer.Option(metavar="'OPTIONS'", help=_THEIRS.format("report"))] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once. [default: one for each GPU, or each 2 cores]")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a job. [default: its share]")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Dask cluster that runs already.")
    ] = None,
    slurm: Annotated[
        str | None, typer.Option(metavar="'KEY=VALUE ...'", help="Run on Slurm: cores, memory, walltime, queue ...")
    ] = None,
    slurm_dry_run: Annotated[bool, typer.Option("--slurm-dry-run", help="Only write the job script.")] = False,
    arch: ArchOption = "auto",
) -> None:
    """Do the same with many captures, several at once, on this machine or a cluster.

    The same command again does what is left. Needs the optional packages: pip install 'taichi-idr[batch]'.
    """
    if scheduler is not None and slurm is not None:
        raise UsageError("two clusters", where="--scheduler, --slurm", todo="leave one out")
    if slurm_dry_run and slurm is None:
        raise UsageError("no Slurm job to write", where="--slurm-dry-run", todo="say what it needs with --slurm")
    stages = _stages(do, {"fit": fit, "mesh": mesh, "eval": evaluate, "report": report}, arch)
    from taichi_idr.batch.clusters import SlurmOptions
    from taichi_idr.commands.batch import Where, batch_captures, write_slurm_script

    options = None if slurm is None else SlurmOptions.parsed(slurm)
    if options is not None and slurm_dry_run:
        write_slurm_script(options, out)
        return
    batch_captures(captures, out, stages, Where(scheduler, options, workers, threads), arch=arch)


def _stages(do: str, options: dict[str, str], arch: ArchChoice) -> list[Stage]:
    """What is to be done, in the order in which it can be. Raises UsageError, typer's errors."""
    from taichi_idr.batch.jobs import STAGES, Stage

    asked = [word.strip() for word in do.split(",")]
    unknown = [word for word in asked if word not in STAGES]
    if unknown:
        raise UsageError("unknown stage", where=f"--do {do}", todo=f"choose of {', '.join(STAGES)}")
    idle = [name for name, text in options.items() if text and name not in asked]
    if idle:
        raise UsageError("options of a stage that is not done", where=f"--{idle[0]}", todo=f"add it to --do {do}")
    return [Stage(name, (*_checked(name, options[name]), "--arch", arch)) for name in STAGES if name in asked]


def _checked(command: str, text: str) -> list[str]:
    """The words of `text`, once `tidr COMMAND` takes them. Raises UsageError, typer's errors."""
    from typer.main import get_command

    from .main import app

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError("bad value", where=f"--{command}", why=str(error)) from error
    own = [word for word in words if word.partition("=")[0] in _OWN]
    if own:
        raise UsageError("not for a single command", where=f"--{command} {own[0]}", todo="leave it to tidr batch")
    get_command(app).commands[command].make_context(f"tidr {command}", ["X", *words])  # pyright: ignore[reportAttributeAccessIssue]
    return words

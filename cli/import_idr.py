"""`tidr import-idr`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_idr(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="ModelParameters/*.pth of the released IDR code.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    cameras: Annotated[
        Path | None, typer.Argument(metavar="CAMERAS", help="CamParameters/*.pth: trained poses.", show_default=False)
    ] = None,
    capture: Annotated[
        Path | None, typer.Option(help="The photos it was trained on: poses, and the mesh's way to the world.")
    ] = None,
) -> None:
    """Make a run of a released IDR checkpoint.

    mesh, render, eval and swap accept it. Nothing in the file is executed.
    """
    from taichi_idr.commands.import_idr import import_idr

    run = import_idr(model, cameras, out=out, capture=capture)
    typer.echo(f"run       {run}")

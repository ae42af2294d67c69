"""`tidr view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taichi_idr.errors import UsageError

from .options import ArchOption, RunArgument, chosen_run


def view(
    run: RunArgument = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="First port that is tried, of 127.0.0.1.")] = 8080,
    static: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a page that opens without Python instead.")
    ] = None,
    while_fitting: Annotated[
        bool, typer.Option("--while-fitting", help="Follow a fit that runs beside: each checkpoint as it comes.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    arch: ArchOption = "auto",
) -> None:
    """Look at a run in the browser.

    Mesh, renderings, photos at their cameras. Needs the optional package: pip install 'taichi-idr[view]'.
    """
    if static and while_fitting:
        raise UsageError("a page cannot follow a fit", where="--static, --while-fitting", todo="leave one out")
    chosen = chosen_run(run)
    from taichi_idr.commands import view as commands

    if static is None:
        commands.view_run(chosen, port=port, while_fitting=while_fitting, open_page=open_page, arch=arch)
        return
    page = commands.write_page(chosen, static, arch=arch)
    if open_page:
        typer.launch(page.resolve().as_uri())

"""`tidr doctor`."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Say what is installed and what works here."""
    from taichi_idr.commands.doctor import examine

    for finding in examine():
        typer.echo(finding)

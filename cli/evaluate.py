"""`tidr eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from taichi_idr.errors import UsageError
from taichi_idr.runs.folder import is_run

from .options import ArchOption, RunArgument, chosen_run


def evaluate(
    run: RunArgument = None,
    mesh: Annotated[
        Path | None, typer.Option(help="Measure this mesh, textured or coloured, instead; RUN may be a capture.")
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="The mesh, without what silhouettes lack.")] = False,
    gt_mesh: Annotated[Path | None, typer.Option(help="True surface, world frame: Chamfer, F-score.")] = None,
    gt_cameras: Annotated[Path | None, typer.Option(help="True cameras.npz: align to them first.")] = None,
    protocol: Annotated[Literal["plain", "dtu"], typer.Option(help="dtu: distance as in that benchmark.")] = "plain",
    dtu: Annotated[Path | None, typer.Option(help="DTU sample set, with Points and ObsMask.")] = None,
    scan: Annotated[int | None, typer.Option(min=1, help="DTU scan. [default: from the capture's name]")] = None,
    max_views: Annotated[int | None, typer.Option("--max-views", "--views", min=1, help="Not all views.")] = None,
    downscale: Annotated[int | None, typer.Option(min=1, help="Shrink the photos. [default: as in the fit]")] = None,
    arch: ArchOption = "auto",
) -> None:
    """Measure a run against its photos.

    PSNR, SSIM, mask IoU, held-out views where the capture has them; the distance to a true surface and true cameras
    where they are given.
    """
    if (protocol == "dtu") != (dtu is not None) or (scan is not None and dtu is None):
        raise UsageError("half a protocol", where="tidr eval", todo="give both --protocol dtu and --dtu DIR, or none")
    if mesh is not None:
        _refuse_with_mesh(gt_cameras, dtu)
        from taichi_idr.commands.evaluate_mesh import evaluate_mesh

        place = run if run is not None and run.is_dir() and not is_run(run) else chosen_run(run)
        options = {"gt_mesh": gt_mesh, "max_views": max_views, "downscale": downscale, "clean": clean}
        evaluate_mesh(place, mesh, **options, arch=arch)
        return
    if clean:
        raise UsageError("nothing to clean", where="--clean", todo="name a mesh with --mesh")
    chosen = chosen_run(run)
    from taichi_idr.commands.evaluate import evaluate_run

    truth = {"gt_mesh": gt_mesh, "gt_cameras": gt_cameras, "dtu": dtu, "scan": scan}
    evaluate_run(chosen, **truth, max_views=max_views, downscale=downscale, arch=arch)


def _refuse_with_mesh(gt_cameras: Path | None, dtu: Path | None) -> None:
    for option, value in (("--gt-cameras", gt_cameras), ("--dtu", dtu)):
        if value is not None:
            raise UsageError("not of a mesh alone", where=f"--mesh, {option}", todo="leave one out")

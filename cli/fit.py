"""`tidr fit`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from taichi_idr.types import MAX_PIXELS

from .failures import note_run
from .options import (
    AllowOutsideOption,
    ArchOption,
    AssignmentsOption,
    FocalOption,
    IgnoreOption,
    InvertMasksOption,
    KeepSupportOption,
    MaskModelOption,
    MasksOption,
    MaxPixelsOption,
    NormalizeOption,
    QuickOption,
    RegionOption,
    ResizeMasksOption,
    SeedOption,
    SfmOption,
    ThreadsOption,
    chosen_region,
)


def fit(
    capture: Annotated[
        Path,
        typer.Argument(
            metavar="CAPTURE", help="Folder with photos, masks and cameras; or of photos alone; or a video."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Run folder. [default: runs/CAPTURE's name]")] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="fast; quality: better geometry; maskless: without masks; idr, dvr, unisurf, nerf: as published."
        ),
    ] = "fast",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of optimisation.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds after which the fit ends.")] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="MINUTES|converged", help="As many steps as there is time for, or as many as help."),
    ] = None,
    rays: Annotated[int | None, typer.Option(min=1, help="Rays per step.")] = None,
    downscale: Annotated[int | None, typer.Option(min=1, help="Shrink the photos by this factor.")] = None,
    assignments: AssignmentsOption = None,
    cameras: Annotated[
        Literal["fixed", "train"] | None, typer.Option(help="Whether poses are learned too. [default: fixed]")
    ] = None,
    exposure: Annotated[
        Literal["auto", "on", "fixed", "none"] | None,
        typer.Option(help="Gains of each photo: fitted, fixed as shared points say, none. [default: auto]"),
    ] = None,
    init_cameras: Annotated[
        Path | None, typer.Option(help="Poses to start from. [default: cameras_linear_init.npz to train, if there]")
    ] = None,
    seed: SeedOption = None,
    arch: ArchOption = "auto",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again; the old run moves to RUN/previous.")] = False,
    normalize: NormalizeOption = False,
    invert_masks: InvertMasksOption = False,
    resize_masks: ResizeMasksOption = False,
    allow_outside: AllowOutsideOption = False,
    ignore: IgnoreOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    masks: MasksOption = None,
    focal: FocalOption = None,
    quick: QuickOption = False,
    region: RegionOption = None,
    sfm: SfmOption = "auto",
    keep_support: KeepSupportOption = False,
    mask_model: MaskModelOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Fit shape and colour to a capture, and cameras if asked to.

    The same command again goes on where it stopped.
    """
    from taichi_idr.fitting.place import Place
    from taichi_idr.runs.folder import default_run
    from taichi_idr.structure.files import name_of

    run = out or default_run(name_of(capture))
    note_run(run)
    if not Place.of(os.environ).leads:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # rank 0 tells all there is to tell
    from taichi_idr.commands.fit import fit_capture
    from taichi_idr.commands.prepare import Knowledge

    summary = fit_capture(
        capture,
        out=run,
        preset=preset,
        assignments=assignments or [],
        steps=steps,
        time_limit=time_limit,
        until=_end(until),
        rays=rays,
        downscale=downscale,
        seed=seed,
        cameras=cameras,
        exposure=exposure,
        init_cameras=init_cameras,
        arch=arch,
        threads=threads,
        fresh=fresh,
        normalize=normalize,
        invert_masks=invert_masks,
        resize_masks=resize_masks,
        allow_outside=allow_outside,
        ignore=ignore,
        max_pixels=max_pixels,
        knowledge=Knowledge(masks, focal, quick, chosen_region(region), sfm, keep_support, mask_model),
    )
    typer.echo(f"run       {summary.run}")
    typer.echo(f"steps     {summary.steps} in {summary.seconds:.0f} s")
    typer.echo(f"last step {summary.last_step}")
    for line in summary.camera_lines:
        typer.echo(line)
    for line in summary.exposure_lines:
        typer.echo(line)
    typer.echo(f"verdict   {summary.verdict}")
    if summary.steps_line:
        typer.echo(f"more      {summary.steps_line}")


def _end(until: str | None) -> float | Literal["converged"] | None:
    """What --until says."""
    if until is None or until == "converged":
        return until
    try:
        return float(until)
    except ValueError:
        wanted = f"{until!r} is neither a number of minutes nor 'converged'"
        raise typer.BadParameter(wanted, param_hint="--until") from None

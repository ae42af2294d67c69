"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from taichi_idr.errors import UsageError

from .failures import note_run

if TYPE_CHECKING:
    from taichi_idr.types import CaptureReading

ArchChoice = Literal["auto", "cpu", "cuda", "vulkan"]
_RUN_HELP = "Folder of a fit. [default: the newest in ./runs]"
RunArgument = Annotated[Path | None, typer.Argument(metavar="RUN", help=_RUN_HELP)]
ArchOption = Annotated[ArchChoice, typer.Option(help="Backend; auto is cuda where there is one, else cpu.")]


def chosen_reading(
    capture: Path,
    *,
    normalize: bool,
    invert_masks: bool,
    resize_masks: bool,
    allow_outside: bool,
    ignore: Path | None,
    max_pixels: int,
) -> CaptureReading:
    """How these options say that a capture is read."""
    from taichi_idr.capture.formats.pairing import ignore_folder
    from taichi_idr.types import CaptureReading

    pictures = ignore_folder(capture, ignore)
    return CaptureReading(
        normalize, invert_masks, resize_masks, allow_outside=allow_outside, ignore=pictures, max_pixels=max_pixels
    )


def chosen_run(run: Path | None) -> Path:
    """`run`, or the newest one, once it is known to be a run. Raises InputMissing, BadInput."""
    from taichi_idr.runs.folder import newest_run, open_run

    path = open_run(newest_run() if run is None else run).path
    note_run(path)
    return path


NormalizeOption = Annotated[bool, typer.Option("--normalize", help="Find the object from the masks anew.")]
InvertMasksOption = Annotated[bool, typer.Option("--invert-masks", help="Black is the object.")]
ResizeMasksOption = Annotated[bool, typer.Option("--resize-masks", help="Accept masks of another size.")]
MaxPixelsOption = Annotated[
    int, typer.Option("--max-pixels", min=1, help="Of one photo; all of them, shrunk, may have 12 times as many.")
]
AllowOutsideOption = Annotated[bool, typer.Option("--allow-outside", help="Photos may be links out of CAPTURE.")]
IgnoreOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Pictures of pixels to ignore. [default: CAPTURE/ignore, if there]"),
]

MasksOption = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Silhouettes, where they lie elsewhere.")]
FocalOption = Annotated[float | None, typer.Option(help="Focal length of plain photos in pixels. [default: found]")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Cameras of plain photos in less time, fewer are found.")]
RegionOption = Annotated[
    str | None, typer.Option(metavar="X,Y,Z,RADIUS", help="Ball that holds the object, where silhouettes are cut.")
]

SfmOption = Annotated[
    Literal["auto", "colmap", "builtin"],
    typer.Option("--sfm", help="What finds cameras; auto is COLMAP where pycolmap is installed."),
]

MaskModelOption = Annotated[
    Path | None,
    typer.Option("--mask-model", metavar="FILE.onnx", help="Network that cuts silhouettes: U2-Net, BiRefNet ..."),
]
KeepSupportOption = Annotated[
    bool, typer.Option("--keep-support", help="A disc of what the object stands on is part of it.")
]

AssignmentsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; may be repeated.")
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Of every random number.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads. [default: all]")]


def chosen_region(text: str | None) -> tuple[float, float, float, float] | None:
    """What --region says. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        x, y, z, radius = (float(word) for word in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not X,Y,Z,RADIUS", param_hint="--region") from None
    return x, y, z, radius


def chosen_bodies(text: str) -> int | Literal["all", "main"]:
    """What --bodies says. Raises UsageError."""
    if text in ("all", "main"):
        return text
    if text == "largest":
        return 1
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(
        "unknown choice of bodies", where=f"--bodies {text}", todo="give main, all, largest or a number from 1"
    )

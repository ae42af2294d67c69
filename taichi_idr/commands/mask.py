"""`tidr mask`: silhouettes of a capture that has cameras but none, and masks as pictures that a person can correct."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..capture.formats.catalogue import find_capture
from ..errors import BadInput, CannotCreate, InputMissing
from ..files.writing import create_folder, replacing_folder
from ..structure.files import is_plain
from ..types import CaptureReading
from .silhouettes import MASKS, cut_masks, looked_at

if TYPE_CHECKING:
    import numpy as np

    from ..capture.formats.source import Layout

CUTOUTS = "cutouts"
"""Folder of a capture: photos whose background is transparent."""
OPAQUE = 128


def mask_capture(
    capture: Path,
    reading: CaptureReading | None = None,
    *,
    mask_model: Path | None = None,
    threads: int | None = None,
) -> Path:
    """Cut silhouettes of the photos of a capture of any format, whose cameras are known, into `CAPTURE/masks`.

    What the object stands on is found too and written beside them, unless it is there. mask_model: ONNX file of a
    network that cuts them. Returns the folder of masks.

    Raises InputMissing, BadInput (also where no object is found), Unavailable without OpenCV or
    onnxruntime, CannotCreate where there are masks already, WriteFailed.
    """
    reading = reading or CaptureReading()
    if is_plain(capture):
        todo = f"tidr prepare {capture} finds them, and cuts masks too"
        raise InputMissing("no cameras", where=capture, why="there are only photos", todo=todo)
    layout = find_capture(capture, reading, need_masks=False)
    if layout.masks != [] or layout.threshold is not None:
        todo = f"correct them with tidr mask {capture} --edit, or move them away"
        raise CannotCreate("the capture has masks", where=capture, todo=todo)
    from .. import runtime

    runtime.init("cpu", threads=threads)
    from ..capture.cut_masks import write_cut
    from ..capture.support import read_support, write_support
    from ..masking.network import MaskNetwork

    network = None if mask_model is None else MaskNetwork(mask_model, threads)
    structure, small, region = looked_at(layout, reading)
    folder = capture / MASKS
    with replacing_folder(folder) as new:
        names = [path.relative_to(new) for path in cut_masks(small, structure, region, new, network)]
    write_cut(capture, [folder / name for name in names])
    if region.support is not None and read_support(capture) is None:
        write_support(capture, region.support)
    print(f"masks     {folder}: look at them; tidr mask {capture} --edit helps to correct them")
    return folder


def write_cutouts(capture: Path, reading: CaptureReading | None = None) -> Path:
    """Write each photo with a transparent background, where its mask says so, into `CAPTURE/cutouts`: erasers and
    brushes of any picture editor correct it, since the colours below are kept. Returns the folder.

    Raises InputMissing, BadInput, CannotCreate where the folder is there, WriteFailed.
    """
    import numpy as np
    from PIL import Image

    from ..capture.images import on_white, opened

    layout, masks = _with_masks(capture, reading)
    folder = capture / CUTOUTS
    if folder.exists():
        todo = f"take over what is in it with tidr mask {capture} --edited, or remove it"
        raise CannotCreate("the folder is there", where=folder, todo=todo)
    with replacing_folder(folder) as new:
        for image, mask in zip(layout.images, masks, strict=True):
            with opened(image) as file:
                colour, _ = on_white(file)
            picture = np.dstack([np.asarray(colour), np.where(mask, 255, 0).astype(np.uint8)])
            place = new / _within(layout, image)
            create_folder(place.parent)
            Image.fromarray(picture).save(place, compress_level=1)
    print(f"cutouts   {folder}: correct what is transparent, then tidr mask {capture} --edited")
    return folder


def read_cutouts(capture: Path, reading: CaptureReading | None = None) -> int:
    """Take over what was corrected in `CAPTURE/cutouts`; returns how many masks are others now.

    These stay as drawn: no fit cuts them anew. Raises InputMissing, BadInput, WriteFailed.
    """
    import numpy as np

    from ..pictures.colours import write_png

    layout, masks = _with_masks(capture, reading)
    folder, changed = capture / CUTOUTS, 0
    if not folder.is_dir():
        raise InputMissing("no cutouts", where=folder, todo=f"write them with tidr mask {capture} --edit")
    for image, file, mask in zip(layout.images, layout.masks or (), masks, strict=True):
        cutout = folder / _within(layout, image)
        if not cutout.is_file():
            continue
        drawn = _alpha(cutout, mask.shape)
        if (drawn != mask).any():
            write_png(file.with_suffix(".png"), np.where(drawn, 255, 0).astype(np.uint8))
            if file.suffix != ".png":
                file.unlink()
            changed += 1
    print(f"masks     {changed} of {len(masks)} corrected")
    return changed


def _with_masks(capture: Path, reading: CaptureReading | None) -> tuple[Layout, list[np.ndarray]]:
    """A capture's files and its masks at full size, as files."""
    from ..capture.formats.source import size_of
    from ..capture.masks import MaskReading, read_masks

    layout = find_capture(capture, reading)
    if not layout.masks:
        why = "its photos carry their silhouettes"
        raise BadInput("no masks to correct", where=capture, why=why, todo="correct the photos' alpha")
    masks, _ = read_masks(layout.masks, [size_of(image) for image in layout.images], MaskReading())
    return layout, masks


def _within(layout: Layout, image: Path) -> Path:
    """Where a photo's cutout is in their folder."""
    from ..capture.formats.source import common_folder

    return image.relative_to(common_folder(layout.images)).with_suffix(".png")


def _alpha(cutout: Path, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: what of a cutout is to be seen. Raises BadInput."""
    import numpy as np

    from ..capture.images import opened

    with opened(cutout) as picture:
        alpha = np.asarray(picture.convert("RGBA").getchannel("A")) >= OPAQUE
    if alpha.shape != shape:
        why = f"it has {alpha.shape[1]}x{alpha.shape[0]} pixels, its photo {shape[1]}x{shape[0]}"
        raise BadInput("cutout of another size", where=cutout, why=why, todo="do not crop or resize it")
    return alpha

"""`tidr convert`: a capture of any format that is read, in one of those that are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..capture.formats.catalogue import find_capture
from ..capture.formats.source import IGNORE_FOLDER
from ..errors import CannotCreate, warn
from ..files.writing import create_folder, gone_if_refused
from ..types import CaptureReading

if TYPE_CHECKING:
    from ..types import Capture

FOLDERS = {"idr": ("image", "mask"), "transforms": ("image", "mask"), "colmap": ("images", "masks")}
"""Of photos and masks, by format."""


def convert_capture(
    capture: Path,
    out: Path,
    *,
    to: Literal["idr", "colmap", "transforms"] = "idr",
    reading: CaptureReading | None = None,
) -> Path:
    """Write photos, masks and what is to be ignored as PNG, straightened where a lens bent them, and cameras in the
    capture's world frame.

    to: "idr" has the object's frame as scale_mat; the others have no place for it, nor for skew. reading: how the
    capture is read. Returns `out`.

    >>> read_capture(convert_capture(capture, run.with_name("converted"), to="colmap")).names
    converted ...
    ['000', '001', '002']

    Raises the TidrErrors of the capture, CannotCreate (`out` holds something already), WriteFailed.
    """
    layout = find_capture(capture, reading)
    if out.is_dir() and any(out.iterdir()):
        raise CannotCreate("the folder is not empty", where=out, todo="name a new one")
    with gone_if_refused(out):
        create_folder(out)
        from ..capture.formats.writing import write_cameras_as
        from ..capture.reading import read_capture
        from ..capture.support import write_support

        read = read_capture(capture, reading, layout=layout)
    for warning in read.warnings:
        warn(warning)
    _write_pictures(read, [create_folder(out / part) for part in FOLDERS[to]])
    names, sizes = [f"{name}.png" for name in read.names], [mask.shape for mask in read.masks]
    write_cameras_as(to, out, read.cameras, read.T_world_normalised, names, sizes)
    if read.support is not None:
        write_support(out, read.support.moved(read.T_world_normalised))
    print(f"converted {layout.format} to {out}: {len(read)} photos")
    return out


def _write_pictures(capture: Capture, folders: list[Path]) -> None:
    import numpy as np

    from ..pictures.colours import write_png

    images, masks = folders
    for name, image, mask in zip(capture.names, capture.images, capture.masks, strict=True):
        write_png(images / f"{name}.png", image)
        write_png(masks / f"{name}.png", np.where(mask, 255, 0).astype(np.uint8))
    for name, ignored in zip(capture.names, capture.ignored, strict=bool(capture.ignored)):
        if ignored is not None:
            folder = create_folder(images.parent / IGNORE_FOLDER)
            write_png(folder / f"{name}.png", np.where(ignored, 255, 0).astype(np.uint8))

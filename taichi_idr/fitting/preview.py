"""What a fit looks like half-way: one view beside its photo."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..cameras.pinhole import every_nth_pixel
from ..files.writing import create_folder
from ..methods.trainer import Preview
from ..pictures.colours import view_strip, write_png
from ..pictures.rendering import render_view

PREVIEW_PIXELS = 320  # longer side


def write_preview(file: Path, preview: Preview, between: Callable[[], None]) -> None:
    """photo | render | normals as a PNG file; `between` is called often and may raise, and nothing is written.

    Raises CannotCreate, WriteFailed.
    """
    every = max(1, math.ceil(max(preview.photo.shape[:2]) / PREVIEW_PIXELS))
    small = preview.photo[::every, ::every].astype(np.float32) / 255
    camera = every_nth_pixel(preview.camera, every)
    rendered = render_view(preview.model, camera, *small.shape[:2], preview=True, between=between)
    create_folder(file.parent)
    write_png(file, view_strip(small, rendered, camera))

"""What a fit looks like half-way: one view beside its photo."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch

from ..files.writing import create_folder
from ..methods.trainer import Trainer
from ..pictures.colours import view_strip, write_png
from ..pictures.rendering import render_view
from ..types import Cameras

PREVIEW_PIXELS = 320  # longer side


def write_preview(folder: Path, trainer: Trainer, view: int, between: Callable[[], None]) -> None:
    """photo | render | normals as STEP_viewNNN.png; `between` is called often and may raise, and nothing is written.

    Raises CannotCreate, WriteFailed.
    """
    photo, _ = trainer.pixels.photo(view)
    every = max(1, math.ceil(max(photo.shape[:2]) / PREVIEW_PIXELS))
    small = photo[::every, ::every]
    camera = _every_nth_pixel(trainer.poses.cameras()[[view]], every)
    rendered = render_view(trainer.model, camera, *small.shape[:2], preview=True, between=between)
    create_folder(folder)
    write_png(folder / f"{trainer.steps_done:08d}_view{view:03d}.png", view_strip(small, rendered, camera))


def _every_nth_pixel(camera: Cameras, every: int) -> Cameras:
    """The camera of a picture made of every n-th row and column: K for u' = u / every."""
    scale = torch.diag(torch.tensor([1 / every, 1 / every, 1.0], dtype=camera.intrinsics.dtype))
    return Cameras(camera.quaternions, camera.centres, scale @ camera.intrinsics)

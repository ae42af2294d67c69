"""How near a painted mesh is to photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..capture.exposure import exposed
from ..measures.images import psnr_masked
from ..types import Capture
from .model import PaintedMesh
from .seen import shown_in, usable_pixels, view_rays
from .settings import SeenConfig


@dataclass(frozen=True)
class PaintScores:
    """Means over photos. seen_db: PSNR over the pixels of the object that meet the mesh; clear_db: over those that are
    sure to show it there, as the network is trained on. NaN where there are none."""

    seen_db: float
    clear_db: float


def paint_scores(painted: PaintedMesh, capture: Capture, lights: Sequence[int], config: SeenConfig) -> PaintScores:
    """Of the photos of a capture in the mesh's normalised frame; lights (V): the lighting condition of each."""
    rows = [_view_scores(painted, capture, view, light, config) for view, light in enumerate(lights)]
    return PaintScores(*(_mean(column) for column in zip(*rows, strict=True)))


def _view_scores(
    painted: PaintedMesh, capture: Capture, view: int, light: int, config: SeenConfig
) -> tuple[float, float]:
    camera, usable = capture.cameras[[view]], usable_pixels(capture, view)
    rays = view_rays(camera, usable.shape)
    shown = shown_in(painted.surface, rays, camera, usable, config)
    painted.light = light
    index = torch.nonzero(shown.seen.flatten())[:, 0]
    points = rays[index].at(shown.depth.flatten()[index])
    rendered = painted.colours(points, rays.directions[index], shown.face.flatten()[index]).cpu().numpy()
    seen, clear = shown.seen.cpu().numpy(), shown.clear.cpu().numpy()
    colour = np.zeros((*usable.shape, 3), np.float32)
    colour[seen] = exposed(rendered, None if capture.stops is None else capture.stops[view])
    photo = capture.images[view].astype(np.float32) / 255
    return psnr_masked(colour, photo, seen), psnr_masked(colour, photo, clear)


def _mean(values: Sequence[float]) -> float:
    measured = [value for value in values if not math.isnan(value)]
    return float(np.mean(measured)) if measured else math.nan

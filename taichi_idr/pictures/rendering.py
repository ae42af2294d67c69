"""Pictures of a fitted model: pixels -> rays -> first hits -> colour, normal, depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..capture.exposure import exposed
from ..fields.model import Look, Looks
from ..ops.raygen import generate_rays
from ..types import Cameras, Rays

RAYS_PER_CHUNK = 32768  # bounds memory whatever the picture's size
EDGE_CONTRAST = 0.1  # of colours in [0, 1]: a pixel that differs more from one beside it is asked again
EDGE_RAYS = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))  # from a pixel's middle


@dataclass(frozen=True)
class RenderedView:
    """One picture. colour (H, W, 3) in [0, 1], white where missed; normals (H, W, 3) unit, normalised frame, 0 where
    missed; depth (H, W) along the unit ray, normalised units, inf where missed; hit (H, W) bool."""

    colour: np.ndarray
    normals: np.ndarray
    depth: np.ndarray
    hit: np.ndarray

    def as_exposed(self, stops: np.ndarray | None) -> np.ndarray:
        """Colours (H, W, 3) as a photo of that exposure (3,) shows them, EV; what was missed stays white."""
        return np.where(self.hit[..., None], exposed(self.colour, stops), self.colour)


def render_view(
    model: Looks,
    camera: Cameras,
    height: int,
    width: int,
    *,
    within: np.ndarray | None = None,
    smooth: bool = False,
    preview: bool = False,
    between: Callable[[], None] | None = None,
) -> RenderedView:
    """Render one camera (a `Cameras` of length 1).

    within (H, W) bool: only these pixels, the others count as missed. smooth: where colours change from pixel to pixel
    several rays of each that is hit are averaged, as a photo's pixel averages what falls on it; normals, depth and hit
    are of its middle. preview: on the coarser training lattice. between: called before each part of the picture, and
    may raise.

    >>> view = render_view(loaded.model, loaded.cameras[[0]], height=24, width=32)
    >>> view.colour.shape, view.normals.shape, view.depth.shape
    ((24, 32, 3), (24, 32, 3), (24, 32))
    """

    def seen(index: np.ndarray, right: float = 0.0, down: float = 0.0) -> Iterator[tuple[slice, Look]]:
        """What is seen beside the middles of pixels (N,), numbered row by row, part by part."""
        for begin in range(0, len(index), size):
            if between:
                between()
            part = slice(begin, begin + size)
            places = np.stack([index[part] % width + right, index[part] // width + down], axis=1)
            yield part, model.look(camera_rays(model, camera, torch.from_numpy(places)), preview=preview)

    size = min(RAYS_PER_CHUNK, model.chunk)
    index = np.arange(height * width) if within is None else np.flatnonzero(within)
    colour = np.ones((height * width, 3), np.float32)
    normals = np.zeros((height * width, 3), np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    for part, look in seen(index):
        here = index[part]
        colour[here], normals[here] = look.colour.cpu().numpy(), look.normal.cpu().numpy()
        depth[here] = look.depth.cpu().numpy()
    shape = (height, width)
    hit = np.isfinite(depth).reshape(shape)
    view = RenderedView(colour.reshape(*shape, 3), normals.reshape(*shape, 3), depth.reshape(shape), hit)
    if smooth:
        _smooth_edges(view, seen)
    return view


def _smooth_edges(view: RenderedView, seen: Callable[..., Iterable[tuple[slice, Look]]]) -> None:
    """Where a picture's neighbours differ, the mean of what several rays of the pixel meet in place of its colour."""
    index = np.flatnonzero(view.hit & (_contrast(view) > EDGE_CONTRAST))
    total, count = np.zeros((len(index), 3), np.float32), np.zeros((len(index), 1), np.float32)
    for right, down in EDGE_RAYS:
        for part, look in seen(index, right, down):
            met = look.hit[:, None]
            total[part] += (look.colour * met).cpu().numpy()
            count[part] += met.cpu().numpy()
    colour = view.colour.reshape(-1, 3)
    colour[index] = np.where(count > 0, total / np.maximum(count, 1), colour[index])


def _contrast(view: RenderedView) -> np.ndarray:
    """Largest difference (H, W) of a pixel from those beside, above and below it; 1 between hit and missed ones."""
    found = np.zeros(view.hit.shape, np.float32)
    for axis in (0, 1):
        differs = np.abs(np.diff(view.colour, axis=axis)).max(axis=-1)
        differs[np.diff(view.hit, axis=axis)] = 1.0
        for before, behind in ((1, 0), (0, 1)):
            pad = [(0, 0), (0, 0)]
            pad[axis] = (before, behind)
            np.maximum(found, np.pad(differs, pad), out=found)
    return found


@torch.no_grad()
def camera_rays(model: Looks, camera: Cameras, pixels: Tensor) -> Rays:
    """Rays (R,) of one camera through pixels (R, 2) u, v, on the model's device."""
    camera = camera.to(torch.float64)
    inverse = torch.linalg.inv(camera.intrinsics)
    move = {"dtype": model.dtype, "device": model.device}
    view = torch.zeros(len(pixels), dtype=torch.int32, device=model.device)
    parts = (camera.quaternions.to(**move), camera.centres.to(**move), inverse.to(**move))
    return Rays(*generate_rays(*parts, view, pixels.to(**move).contiguous()))

"""Pictures of a fitted model: pixels -> rays -> first hits -> colour, normal, depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..capture.exposure import exposed
from ..fields.model import Looks
from ..ops.raygen import generate_rays
from ..types import Cameras, Rays

RAYS_PER_CHUNK = 32768  # bounds memory whatever the picture's size


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
    preview: bool = False,
    between: Callable[[], None] | None = None,
) -> RenderedView:
    """Render one camera (a `Cameras` of length 1).

    within (H, W) bool: only these pixels, the others count as missed. preview: on the coarser training lattice.
    between: called before each part of the picture, and may raise.

    >>> view = render_view(loaded.model, loaded.cameras[[0]], height=24, width=32)
    >>> view.colour.shape, view.normals.shape, view.depth.shape
    ((24, 32, 3), (24, 32, 3), (24, 32))
    """
    wanted = np.ones((height, width), bool) if within is None else within
    index = torch.from_numpy(np.flatnonzero(wanted))
    colour = np.ones((height * width, 3), np.float32)
    normals = np.zeros((height * width, 3), np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    for part in index.split(min(RAYS_PER_CHUNK, model.chunk)):
        if between:
            between()
        rays = camera_rays(model, camera, torch.stack([part % width, part // width], dim=1))
        look = model.look(rays, preview=preview)
        here = part.numpy()
        colour[here], normals[here] = look.colour.cpu().numpy(), look.normal.cpu().numpy()
        depth[here] = look.depth.cpu().numpy()
    shape = (height, width)
    hit = np.isfinite(depth).reshape(shape)
    return RenderedView(colour.reshape(*shape, 3), normals.reshape(*shape, 3), depth.reshape(shape), hit)


@torch.no_grad()
def camera_rays(model: Looks, camera: Cameras, pixels: Tensor) -> Rays:
    """Rays (R,) of one camera through pixels (R, 2) u, v, on the model's device."""
    camera = camera.to(torch.float64)
    inverse = torch.linalg.inv(camera.intrinsics)
    move = {"dtype": model.dtype, "device": model.device}
    view = torch.zeros(len(pixels), dtype=torch.int32, device=model.device)
    parts = (camera.quaternions.to(**move), camera.centres.to(**move), inverse.to(**move))
    return Rays(*generate_rays(*parts, view, pixels.to(**move).contiguous()))

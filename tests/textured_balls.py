"""Textured balls, photographed exactly: rays meet them in closed form, so that every sighting has a true place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ball_run import HEIGHT, RADIUS, WIDTH, around
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.cameras.rotations import rotated, rotation_matrices
from taichi_idr.capture.pixels import Photos
from taichi_idr.types import Cameras, Capture, Hits, HitStatus, Rays

SCALE = 4  # of the photos of ball_run
SIZE = (SCALE * HEIGHT, SCALE * WIDTH)
FINEST, COARSEST = 70.0, 20.0  # radians per unit of the texture's waves, of which a pixel is about 1/110
WAVES = 80


class Balls:
    """What sightings ask of a model; the nearer of the balls (centre, radius) is seen."""

    def __init__(self, *balls: tuple[tuple[float, float, float], float]) -> None:
        self.centres = torch.tensor([centre for centre, _ in balls], dtype=torch.float64)
        self.radii = torch.tensor([radius for _, radius in balls], dtype=torch.float64)

    @property
    def dtype(self) -> torch.dtype:
        return runtime.current().dtype

    @property
    def device(self) -> torch.device:
        return runtime.current().device

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        origins, directions = rays.origins.double().cpu(), rays.directions.double().cpu()
        apart = origins[:, None] - self.centres
        along = (apart * directions[:, None]).sum(dim=2)
        radicand = along**2 - (apart**2).sum(dim=2) + self.radii**2
        depth = torch.where(radicand > 0, -along - radicand.clamp(min=0).sqrt(), torch.inf).amin(dim=1)
        status = torch.where(depth.isfinite(), int(HitStatus.CONVERGED), int(HitStatus.MISSED)).int()
        depth = depth.nan_to_num(posinf=0.0).to(rays.origins)
        return Hits(depth, depth, status.to(depth.device))

    def gradient(self, points: Tensor) -> Tensor:
        apart = points.double().cpu()[:, None] - self.centres
        nearest = (apart.norm(dim=2) - self.radii).abs().argmin(dim=1)
        normals = torch.nn.functional.normalize(apart[torch.arange(len(points)), nearest], dim=1)
        return normals.to(points)


def ball() -> Balls:
    return Balls(((0.0, 0.0, 0.0), RADIUS))


def twelve() -> Cameras:
    """Three rows of four cameras, 15 degrees apart, 256 x 192 pixels."""
    rows = [around(24, elevation=elevation)[[0, 1, 2, 3]] for elevation in (-0.1, 0.15, 0.4)]
    names = ("quaternions", "centres", "intrinsics")
    quaternions, centres, intrinsics = (torch.cat([getattr(row, name) for row in rows]) for name in names)
    return enlarged(Cameras(quaternions, centres, intrinsics))


def enlarged(cameras: Cameras) -> Cameras:
    """For photos of SIZE instead of those of ball_run."""
    resize = torch.tensor([[SCALE, 0, (SCALE - 1) / 2], [0, SCALE, (SCALE - 1) / 2], [0, 0, 1.0]]).double()
    return Cameras(cameras.quaternions, cameras.centres, resize @ cameras.intrinsics)


def random_texture(points: Tensor) -> Tensor:
    """Smooth, in [0, 1]: as many waves in random directions."""
    generator = torch.Generator().manual_seed(7)
    directions = torch.nn.functional.normalize(torch.randn(WAVES, 3, generator=generator).double(), dim=1)
    numbers = COARSEST + (FINEST - COARSEST) * torch.rand(WAVES, generator=generator).double()
    phases = 2 * np.pi * torch.rand(WAVES, generator=generator).double()
    waves = torch.sin(points @ (numbers[:, None] * directions).T + phases)
    return (0.5 + 0.15 * waves.mean(dim=1) * WAVES**0.5).clamp(0, 1)


def shading(points: Tensor) -> Tensor:
    """No texture: light that falls from one side."""
    return 0.5 + 0.6 * points @ torch.tensor([0.3, 0.5, 0.8], dtype=points.dtype)


def photograph(balls: Balls, cameras: Cameras, texture: Callable[[Tensor], Tensor] = random_texture) -> Photos:
    """Photos, 8 bit, of what has a texture (N,) at points (N, 3), before a white background."""
    return Photos(pictured(balls, cameras, texture), torch.device("cpu"))


def pictured(balls: Balls, cameras: Cameras, texture: Callable[[Tensor], Tensor] = random_texture) -> Capture:
    """The same as a capture."""
    images, masks = [], []
    for view in range(len(cameras)):
        rays = pixel_rays(cameras, view)
        hits = balls.trace(rays)
        shade = torch.where(hits.hit, texture(rays.at(hits.depth)), 1.0)
        tinted = shade[:, None] * torch.tensor([0.9, 1.0, 0.8])
        images.append((255 * tinted).round().byte().view(*SIZE, 3).numpy())
        masks.append(hits.hit.view(SIZE).numpy())
    names = [f"{view:03d}" for view in range(len(cameras))]
    return Capture(Path(), names, images, masks, cameras, np.eye(4))


def from_all_around(balls: Balls, shade: Callable[[Tensor, Tensor], Tensor]) -> Capture:
    """Two rings of sixteen photos of what a camera at (3,) sees in a shade (N,) at points (N, 3)."""
    rings = [around(16, elevation=elevation) for elevation in (-0.1, 0.4)]
    names = ("quaternions", "centres", "intrinsics")
    cameras = enlarged(Cameras(*(torch.cat([getattr(ring, name) for ring in rings]) for name in names)))
    photos = []
    for view, centre in enumerate(cameras.centres):
        photos.append(pictured(balls, cameras[[view]], lambda points, centre=centre: shade(points, centre)))
    images, masks = ([getattr(photo, name)[0] for photo in photos] for name in ("images", "masks"))
    return replace(photos[0], names=[f"{view:03d}" for view in range(32)], images=images, masks=masks, cameras=cameras)


def pixel_rays(cameras: Cameras, view: int) -> Rays:
    """All pixels of one view, row by row, float64."""
    row, column = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in SIZE), indexing="ij")
    pixels = torch.stack([column, row, torch.ones_like(row)], dim=-1).view(-1, 3)
    camera = cameras[[view]]
    to_frame = rotation_matrices(camera.quaternions)[0] @ torch.linalg.inv(camera.intrinsics[0])
    directions = torch.nn.functional.normalize(pixels @ to_frame.T, dim=1)
    return Rays(camera.centres.expand_as(directions), directions)


def disturbed(cameras: Cameras, degrees: float, shift: float, generator: torch.Generator) -> Cameras:
    """Each camera turned and shifted by about that much, every component of its own."""
    turn, away = torch.randn(2, len(cameras), 3, generator=generator).double()
    quaternions = rotated(cameras.quaternions, np.radians(degrees) * turn)
    return Cameras(quaternions, cameras.centres + shift * away, cameras.intrinsics)

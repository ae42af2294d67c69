"""A textured ellipsoid of which everything is known: photos are functions, rays meet it in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_idr.poses.parameters import Poses
from taichi_idr.types import Cameras, Rays

RADII = (0.55, 0.4, 0.65)
WAVES = ((5.0, 1.0, 2.0), (-2.0, 6.0, 1.0), (1.0, -2.0, 4.0))
"""Wave vectors of the three channels: a wave is several times as long as poses are off."""


@dataclass(frozen=True)
class Batch:
    """view (R,) int32, position (R, 2) pixels, colour (R, 3) that the true cameras see there, of rays that hit."""

    view: Tensor
    position: Tensor
    colour: Tensor


def meet(rays: Rays) -> tuple[Tensor, Tensor]:
    """Nearest points (R, 3), differentiable in the rays, and whether there are any (R,)."""
    radii = rays.origins.new_tensor(RADII)
    o, v = rays.origins / radii, rays.directions / radii
    a, b, c = (v * v).sum(1), (o * v).sum(1), (o * o).sum(1) - 1
    radicand = b * b - a * c
    hit = radicand > 1e-3  # away from the outline, where points run off to it infinitely fast
    depth = (-b - torch.sqrt(radicand.clamp(min=1e-3))) / a
    return rays.origins + depth[:, None] * rays.directions, hit


def colour(points: Tensor) -> Tensor:
    return torch.sin(points @ points.new_tensor(WAVES).T)


def photograph(cameras: Poses, view: Tensor, position: Tensor) -> Batch:
    """Pixels that see the ellipsoid."""
    points, hit = meet(cameras.rays(view, position))
    return Batch(view[hit], position[hit], colour(points[hit]).detach())


def draw(true: Poses, count: int, size: tuple[int, int], generator: torch.Generator) -> Batch:
    """Uniform pixels of photos of `size` (height, width), places between pixels included; every view has some."""
    views = len(true.quaternions)
    view = torch.arange(count, dtype=torch.int32) % views
    position = torch.rand(count, 2, generator=generator, dtype=torch.float64) * torch.tensor([size[1], size[0]])
    return photograph(true, view, position.to(true.dtype))


def colour_error(poses_rays: Rays, batch: Batch) -> Tensor:
    """Mean absolute difference of what rays (R,) see from the batch's colours: LOSS-1 of rays that all hit."""
    points, hit = meet(poses_rays)
    return ((colour(points) - batch.colour).abs().sum(dim=1) * hit).sum() / len(batch.view)


def disturbed(cameras: Cameras, degrees: float, length: float, generator: torch.Generator) -> Cameras:
    """Each camera turned by that angle about an axis of its own and shifted by that length."""
    turn, shift = torch.nn.functional.normalize(torch.randn(2, len(cameras), 3, generator=generator).double(), dim=2)
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    w, xyz = cameras.quaternions[:, :1], cameras.quaternions[:, 1:]
    axis = turn * torch.sin(angle / 2)
    scalar = torch.cos(angle / 2) * w - (axis * xyz).sum(1, keepdim=True)
    vector = torch.cos(angle / 2) * xyz + w * axis + torch.linalg.cross(axis, xyz)
    return Cameras(torch.cat([scalar, vector], dim=1), cameras.centres + length * shift, cameras.intrinsics)

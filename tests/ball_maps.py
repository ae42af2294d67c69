"""Depth maps of a ball, exact."""

from __future__ import annotations

import numpy as np
import torch
from captures import scale_mat, viewpoints
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.cameras.pinhole import cameras_from_projections, transform_cameras
from taichi_idr.ops.patch_consistency import PosedPhotos, posed_photos
from taichi_idr.types import Cameras

RADIUS, VIEWS, SIZE = 0.5, 12, (80, 70)


def ball_cameras(views: int = VIEWS, size: tuple[int, int] = SIZE) -> Cameras:
    """Around the origin, some 3.5 away; photos of size (width, height)."""
    world = cameras_from_projections(np.stack([view.world_mat[:3] for view in viewpoints(views, size)]))
    return transform_cameras(np.linalg.inv(scale_mat()), world)


def ball_maps() -> tuple[Tensor, PosedPhotos]:
    """Tangent planes (P, 3) of every pixel that sees the ball, and the photos (black)."""
    current = runtime.current()
    width, height = SIZE
    sizes = torch.tensor([[height, width]] * VIEWS)
    shades = torch.zeros(VIEWS * height * width, dtype=torch.int16)
    photos = posed_photos(shades.to(current.device), sizes.to(current.device), ball_cameras())
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixel = torch.stack([column, row, torch.ones_like(row)], dim=-1).reshape(-1, 3).to(photos.cameras)
    maps = [_planes(camera, pixel) for camera in photos.cameras]
    return torch.cat(maps), photos


def _planes(camera: Tensor, pixel: Tensor) -> Tensor:
    centre = camera[6]
    d = torch.nn.functional.normalize(pixel @ camera[:3].T, dim=1)
    b = d @ centre
    radicand = b**2 - (centre @ centre - RADIUS**2)
    points = centre + (-b - radicand.clamp(min=0).sqrt())[:, None] * d
    planes = points / ((points - centre) * points).sum(dim=1, keepdim=True)
    return torch.where((radicand > 0)[:, None], planes, 0)

"""Rays and shapes that several tests trace."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.reference.analytic_sdf import capsule, rounded_box, sphere, torus, two_spheres
from taichi_idr.types import Rays, Sdf

MAJOR, MINOR = 0.5, 0.2
SHAPES: dict[str, Sdf] = {
    "sphere": partial(sphere, radius=0.6),
    "torus": partial(torus, major=MAJOR, minor=MINOR),
    "capsule": partial(capsule, half_length=0.4, radius=0.2),
    "two_spheres": partial(two_spheres, offset=0.4, radius=0.3),
}


def box(points: Tensor) -> Tensor:
    return rounded_box(points, points.new_tensor([0.4, 0.3, 0.2]), 0.05)


SHAPES["rounded_box"] = box


def rays_towards(count: int, generator: torch.Generator, *, distance: float = 2.5, spread: float = 0.5) -> Rays:
    """Rays from the sphere of radius `distance` to points scattered normally around the centre."""
    settings = runtime.current()
    origins, targets = torch.randn(2, count, 3, generator=generator, dtype=torch.float64)
    origins = distance * torch.nn.functional.normalize(origins, dim=1)
    directions = torch.nn.functional.normalize(spread * targets - origins, dim=1)
    return Rays(*(x.to(settings.device, settings.dtype) for x in (origins, directions)))


def lines(origins: Tensor, directions: Tensor) -> Rays:
    """Rays through origins (R, 3) along directions (R, 3) of any length."""
    now = runtime.current()
    unit = torch.nn.functional.normalize(directions, dim=1)
    return Rays(origins.to(now.device, now.dtype), unit.to(now.device, now.dtype))


def cameras(views: int, generator: torch.Generator, *, distance: float = 2.5) -> tuple[Tensor, Tensor, Tensor]:
    """Quaternions (V, 4) of arbitrary length, centres (V, 3) and K^-1 (V, 3, 3) with skew."""
    settings = runtime.current()
    quaternions = torch.randn(views, 4, generator=generator, dtype=torch.float64)
    centres = distance * torch.nn.functional.normalize(
        torch.randn(views, 3, generator=generator, dtype=torch.float64), dim=1
    )
    intrinsics = torch.tensor([[420.0, 3.0, 160.5], [0, 410, 119.0], [0, 0, 1]], dtype=torch.float64)
    inverse = torch.linalg.inv(intrinsics).repeat(views, 1, 1)
    return tuple(x.to(settings.device, settings.dtype) for x in (quaternions, centres, inverse))  # pyright: ignore

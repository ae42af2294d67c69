"""Where a fit starts: the visual hull's signed distance, taught to the geometry network.

NET-4's geometric initialisation makes no ball on a small network behind a hash grid (its mean radius wanders between
0.48 and 0.85 over seeds), and a ball far from the object's size lets trained cameras swing out before they settle.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...stereo.surface_points import SurfacePoints
from ...tracing.lattice import interpolate
from ...types import Plane
from ..hash_optimiser import Optimiser
from ..losses import eikonal_loss
from .model import FastModel
from .settings import ScheduleConfig

BATCH = 4096
NEAR_SHARE = 0.75  # of the points of a batch lie near the hull's surface
NEAR_SPREAD = 0.1  # normalised units
EIKONAL_WEIGHT = 0.01
POINTS = 2048  # of the surface, known ones in a batch
POINTS_WEIGHT, NORMAL_WEIGHT = 1.0, 0.02
BALL_RADIUS = 0.5  # where no hull is to be had (masks that contradict each other)


def hull_distance(occupancy: Tensor) -> Tensor:
    """Signed distance (M, M, M), negative inside, of a carved lattice over [-1, 1]^3; a ball where it is empty."""
    inside = occupancy.cpu().numpy().astype(bool)
    m = inside.shape[0]
    if not inside.any():
        axis = np.linspace(-1, 1, m)
        radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
        return torch.from_numpy((radius - BALL_RADIUS).astype(np.float32))
    cell = 2 / (m - 1)
    outward, inward = (np.asarray(ndimage.distance_transform_edt(side)) for side in (~inside, inside))
    steps = np.where(inside, 0.5 - inward, outward - 0.5)
    return torch.from_numpy(ndimage.gaussian_filter(steps * cell, 1.0).astype(np.float32))


def above_support(distance: Tensor, support: Plane | None, allowance: float = 0.0) -> Tensor:
    """A signed distance lattice (M, M, M) of what does not reach below the plane that it stands on.

    allowance: what a bound will be widened by, which the plane needs no more than half a cell of.
    """
    if support is None:
        return distance
    axis = torch.linspace(-1, 1, len(distance), dtype=torch.float64)
    places = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    below = (support.offset - places @ torch.from_numpy(support.normal)).to(distance)
    slack = min(allowance, 1 / (len(distance) - 1))
    return torch.maximum(distance, below + allowance - slack)


def teach_distance(
    model: FastModel,
    distance: Tensor,
    schedule: ScheduleConfig,
    generator: torch.Generator,
    between_steps: Callable[[], None] = lambda: None,
    surface_points: SurfacePoints | None = None,
) -> float:
    """Fit the geometry to a signed distance lattice (M, M, M); the last batch's mean error, normalised units.

    between_steps is called after each step and may raise, to stop. surface_points: where the distance is zero, known
    better than from a lattice, and what its gradient is there.
    """
    device = model.device
    optimiser = Optimiser(model.geometry, model.geometry.parameters(), schedule)
    cell = 2 / (distance.shape[0] - 1)
    surface = (distance.abs() < 1.5 * cell).nonzero() * cell - 1
    error = torch.zeros(())
    for step in range(schedule.hull_steps):
        points = _draw(surface, generator)
        target = interpolate(distance, points).to(device)
        known = surface_points.drawn(POINTS, generator) if surface_points else None
        places = [points.to(device), *([known.points] if known else [])]
        sdf, gradient = model.geometry.value_and_gradient(model.geometry.encode(torch.cat(places)))
        error = (sdf[:BATCH] - target).abs().mean()
        loss = error + EIKONAL_WEIGHT * eikonal_loss(gradient[:BATCH])
        if known:
            loss = loss + POINTS_WEIGHT * off_surface(sdf[BATCH:], gradient[BATCH:], known)
        optimiser.zero_gradients()
        loss.backward()
        optimiser.step(step / schedule.hull_steps)
        between_steps()
    return float(error.detach())


def off_surface(sdf: Tensor, gradient: Tensor, known: SurfacePoints, normal_weight: float = NORMAL_WEIGHT) -> Tensor:
    """How far known surface points are from it, f (N,) there, and grad f (N, 3) from their normals; mean, weighted by
    confidence."""
    turned = (gradient - known.normals).square().sum(dim=1)
    return (known.confidence * (sdf.abs() + normal_weight * turned)).mean()


def _draw(surface: Tensor, generator: torch.Generator) -> Tensor:
    """Points (BATCH, 3) in [-1, 1]^3, most of them around the surface points (S, 3)."""
    near = int(BATCH * NEAR_SHARE)
    chosen = surface[torch.randint(len(surface), (near,), generator=generator)]
    chosen = chosen + NEAR_SPREAD * torch.randn(near, 3, generator=generator)
    anywhere = torch.rand(BATCH - near, 3, generator=generator) * 2 - 1
    return torch.cat([chosen, anywhere]).clamp(-1, 1)

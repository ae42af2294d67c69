"""The flat underside of what stands on a support."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from taichi_idr.meshes.extraction import extract_mesh
from taichi_idr.meshes.standing import FOOT, standing
from taichi_idr.types import Cameras, Plane

RADIUS, VIEWS = 0.4, 24


def cameras(up: np.ndarray, elevation: float = 0.5) -> Cameras:
    """All around, above the support."""
    x = np.cross(up, [0.3, 0.9, 0.1])
    x /= np.linalg.norm(x)
    y, turns = np.cross(up, x), np.arange(VIEWS) * 2 * np.pi / VIEWS
    outward = np.cos(elevation) * (np.cos(turns)[:, None] * x + np.sin(turns)[:, None] * y) + np.sin(elevation) * up
    centres = torch.from_numpy(3 * outward)
    K = torch.eye(3, dtype=torch.float64).expand(VIEWS, 3, 3)
    return Cameras(torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64).expand(VIEWS, 4), centres, K)


def crumbly(up: np.ndarray, offset: float):
    """A ball that touches the support, with crumbs where no camera looks."""
    middle, axis = torch.from_numpy((offset + RADIUS) * up).float(), torch.from_numpy(up).float()

    def sdf(points: Tensor) -> Tensor:
        away = points - middle.to(points)
        height = points @ axis.to(points) - offset
        noise = 0.02 * torch.sin(150 * points).sum(dim=1) * (height < 0.5 * FOOT)
        return away.norm(dim=1) - RADIUS + noise

    return sdf


UPS = [np.array([0.0, 0.0, 1.0]), np.array([0.36, -0.48, 0.8])]


@pytest.mark.parametrize("up", UPS, ids=["z", "slanted"])
def test_hidden_air_is_filled_and_nothing_is_below(up):
    plane = Plane(up, -0.35)
    sdf = crumbly(up, -0.35)
    flat = standing(sdf, plane, cameras(up))
    points = torch.from_numpy(np.random.default_rng(0).uniform(-0.6, 0.6, (20_000, 3))).float()
    height = torch.from_numpy(plane.height(points.numpy())).float()
    before, after = sdf(points), flat(points)
    assert (after[height < 0] > 0).all()
    assert torch.equal(after[height > FOOT * 1.01], before[height > FOOT * 1.01])
    beside = points - torch.from_numpy(up).float() * (points @ torch.from_numpy(up).float())[:, None]
    under = (height > 0.002) & (height < 0.02) & (beside.norm(dim=1) < 0.06)
    assert under.any() and (after[under] < 0).all()
    seen = (height > 0) & (height < FOOT) & (beside.norm(dim=1) > RADIUS)
    assert seen.any() and (after[seen] > 0).all()


def test_the_mesh_has_a_flat_underside_without_handles():
    up, plane = UPS[1], Plane(UPS[1], -0.35)
    sdf = crumbly(up, -0.35)
    options = {"resolution": 96, "T_world_normalised": np.eye(4)}
    _, before = extract_mesh(sdf, **options)
    mesh, after = extract_mesh(standing(sdf, plane, cameras(up)), **options)
    assert after.topology.closed
    assert before.topology.handles + before.dropped > 2 * (after.topology.handles + after.dropped)
    assert plane.height(mesh.vertices).min() == pytest.approx(0, abs=2e-3)
    low = plane.height(mesh.vertices) < 3e-3
    assert low.sum() > 0.005 * len(mesh.vertices)


def test_legs_keep_the_air_between_them():
    """Cameras see it: a table of two legs."""
    up, plane = UPS[0], Plane(UPS[0], -0.35)

    def sdf(points: Tensor) -> Tensor:
        top = torch.maximum((points[:, 2] - 0.1).abs() - 0.05, points[:, :2].norm(dim=1) - 0.4)
        legs = torch.maximum((points[:, 0].abs() - 0.3).abs() - 0.04, points[:, 1].abs() - 0.04)
        return torch.minimum(top, torch.maximum(legs, points[:, 2].abs() - 0.4))

    flat = standing(sdf, plane, cameras(up, elevation=0.15))
    between = torch.tensor([[0.0, 0.0, -0.33], [0.1, 0.05, -0.34]])
    assert (flat(between) > 0).all()
    assert (flat(torch.tensor([[0.3, 0.0, -0.34], [-0.3, 0.0, -0.34]])) < 0).all()

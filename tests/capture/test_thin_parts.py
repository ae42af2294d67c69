"""Rings thinner than a lattice's cells stay in the hull, and nothing else comes with them."""

from __future__ import annotations

import numpy as np
import torch
from captures import scale_mat, viewpoints

from taichi_idr.cameras.pinhole import cameras_from_projections, projections
from taichi_idr.capture.hulls import Silhouettes
from taichi_idr.capture.thin_parts import with_thin_parts
from taichi_idr.ops.visual_hull import visual_hull
from taichi_idr.types import Cameras

SIZE, VIEWS, RESOLUTION = (240, 240), 16, 64
CELL = 2 / (RESOLUTION - 1)
RADIUS, TUBE = 0.55, 0.2 * CELL
VOTES = {"min_fraction": 0.95}


def ring(count: int = 4000) -> np.ndarray:
    """Points (N, 3) on a slanted circle."""
    angle = np.linspace(0, 2 * np.pi, count)
    flat = np.stack([np.cos(angle), np.sin(angle), 0.4 * np.cos(angle)], axis=1)
    return RADIUS * flat / np.linalg.norm(flat, axis=1, keepdims=True)


def tube() -> np.ndarray:
    generator = np.random.default_rng(0)
    around = generator.normal(size=(40, 1, 3))
    return (ring() + TUBE * around / np.linalg.norm(around, axis=2, keepdims=True)).reshape(-1, 3)


def ball() -> np.ndarray:
    generator = np.random.default_rng(1)
    points = generator.normal(size=(60_000, 3))
    return 0.25 * points / np.linalg.norm(points, axis=1, keepdims=True) * generator.random((60_000, 1)) ** (1 / 3)


def photographed(points: np.ndarray) -> tuple[Silhouettes, Cameras]:
    """Silhouettes of points close to each other, in the normalised frame."""
    shots = viewpoints(VIEWS, SIZE)
    cameras = cameras_from_projections(np.stack([(shot.world_mat @ scale_mat())[:3] for shot in shots]))
    masks = []
    for matrix in projections(cameras).numpy():
        image = np.column_stack([points, np.ones(len(points))]) @ matrix.T
        column, row = np.rint(image[:, :2] / image[:, 2:]).astype(int).T
        mask = np.zeros(SIZE, bool)
        inside = (column >= 0) & (row >= 0) & (column < SIZE[1]) & (row < SIZE[0])
        mask[row[inside], column[inside]] = True
        masks.append(mask)
    return Silhouettes(masks, [f"{view}" for view in range(VIEWS)]), cameras


def distances(hull: torch.Tensor, points: np.ndarray) -> np.ndarray:
    """Of points (N, 3) from the nearest occupied one, cells."""
    occupied = (hull.cpu().nonzero() * CELL - 1).double()
    return torch.cdist(torch.from_numpy(points), occupied).amin(dim=1).numpy() / CELL


def test_a_ring_thinner_than_a_cell_is_in_the_hull() -> None:
    views, cameras = photographed(np.concatenate([tube(), ball()]))
    hull = visual_hull(views.masks, cameras, RESOLUTION, **VOTES)
    assert (distances(hull, ring(400)) > 2).mean() > 0.2, "the lattice alone has it too: the test says nothing"
    whole = with_thin_parts(hull, views, cameras, **VOTES)
    assert distances(whole, ring(400)).max() < 2
    added = (whole & ~hull).nonzero() * CELL - 1
    apart = torch.cdist(added.double(), torch.from_numpy(ring(1000))).amin(dim=1) / CELL
    assert apart.max() < 4, "what is far from the ring has come back with it"


def test_a_solid_object_gets_nothing() -> None:
    views, cameras = photographed(ball())
    hull = visual_hull(views.masks, cameras, RESOLUTION, **VOTES)
    assert torch.equal(with_thin_parts(hull, views, cameras, **VOTES), hull)

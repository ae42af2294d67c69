"""What no photo shows of a shape, and that it stays where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_run import HEIGHT, RADIUS, WIDTH, around, distance_of_ball
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.cameras.pinhole import inverse_intrinsics
from taichi_idr.cameras.rotations import rotation_matrices
from taichi_idr.capture.pixels import Photos
from taichi_idr.methods.fast.initial_shape import off_surface
from taichi_idr.methods.fast.unseen import FEWEST, LEAST_FACING, MANY, drawn_beside, onto_silhouettes, unseen_points
from taichi_idr.stereo.surface_points import SurfacePoints
from taichi_idr.types import Cameras, Capture

ABOVE, BESIDE = 1.2, 0.1  # elevations of cameras, radians
SLACK = 0.03  # of cosines: the lattice's normals


def unseen(distance: Tensor, cameras: Cameras, height: int = HEIGHT) -> SurfacePoints:
    sizes = torch.tensor([[height, WIDTH]] * len(cameras), device=taichi_runtime.current().device)
    found = unseen_points(distance, cameras, sizes)
    assert found is not None
    return found


def facing(found: SurfacePoints, cameras: Cameras) -> Tensor:
    """Cosines (V, N)."""
    towards = torch.nn.functional.normalize(cameras.centres.to(found.points)[:, None] - found.points, dim=2)
    return (towards * found.normals).sum(dim=2)


@pytest.mark.parametrize("elevation", [ABOVE, BESIDE])
def test_what_no_camera_faces_is_unseen(elevation):
    cameras = around(6, elevation=elevation)
    found = unseen(distance_of_ball(), cameras)
    torch.testing.assert_close(found.points.norm(dim=1), torch.full_like(found.confidence, RADIUS), atol=2e-3, rtol=0)
    torch.testing.assert_close(found.normals, found.points / RADIUS, atol=SLACK, rtol=0)
    assert ((facing(found, cameras) > LEAST_FACING + SLACK).sum(dim=0) < FEWEST).all()
    poles = found.points[:, 2].abs() > 0.9 * RADIUS
    assert poles.any() and (elevation == BESIDE or (found.points[:, 2] < 0.5 * RADIUS).all())


def test_a_hollow_has_no_surface():
    cameras = around(6, elevation=BESIDE)
    ball = distance_of_ball()
    whole, hollow = (unseen(distance, cameras) for distance in (ball, torch.maximum(ball, -0.3 - ball)))
    assert torch.equal(whole.points, hollow.points)


def test_a_few_points_have_less_weight():
    """And each as much as one of many, up to the whole weight."""
    many, few = (unseen(distance_of_ball(resolution), around(6, elevation=BESIDE)) for resolution in (64, 40))
    assert len(few) < MANY < len(many)
    assert (many.confidence == 1).all()
    torch.testing.assert_close(few.confidence, torch.full_like(few.confidence, len(few) / MANY))


def test_what_another_part_hides_is_unseen():
    """A plate above the ball, seen from above."""
    axis = torch.linspace(-1, 1, 64)
    plate = torch.maximum(
        (axis[None, None] - 0.7).abs() - 0.06, axis[:, None, None].square() + axis[:, None] ** 2 - 0.7
    )
    cameras = around(6, elevation=1.5)
    alone, below = (
        unseen(distance, cameras) for distance in (distance_of_ball(), torch.minimum(distance_of_ball(), plate))
    )
    assert not (alone.points[:, 2] > 0.3).any()
    top_of_ball = (below.points[:, 2] > 0.3) & (below.points.norm(dim=1) < RADIUS + 0.01)
    assert top_of_ball.sum() > 50


def test_what_photos_cut_off_is_unseen():
    cameras = around(6, elevation=BESIDE)
    whole, cut = (unseen(distance_of_ball(), cameras, height) for height in (HEIGHT, HEIGHT // 2))
    assert (whole.points[:, 2] < -0.1).sum() < 0.5 * (cut.points[:, 2] < -0.1).sum()


def test_points_beside_know_how_far_off_they_are():
    """About half a cell away to all sides, in a plane's distance, which is a ball's but for its curvature."""
    cell = 2 / 63
    found = unseen(distance_of_ball(), around(6, elevation=BESIDE))
    beside, values = drawn_beside(found, cell, torch.Generator().manual_seed(0))
    moved = (beside.points - found.points) / cell
    torch.testing.assert_close(moved.std(dim=0), torch.full((3,), 0.5).to(moved), atol=0.05, rtol=0)
    bent = beside.points.norm(dim=1) - RADIUS - values
    assert bent.min() > -SLACK * cell and (bent < (cell * moved).square().sum(dim=1) / RADIUS + SLACK * cell).all()
    assert values.min() < -0.5 * cell and values.max() > 0.5 * cell


def test_a_flat_field_costs_something_beside_the_surface():
    """On the surface alone it would be right where it is zero."""
    found = unseen(distance_of_ball(), around(6, elevation=BESIDE))
    beside, values = drawn_beside(found, 2 / 63, torch.Generator().manual_seed(0))
    costs = [off_surface(share * values - values, share * beside.normals, beside, 0.2) for share in (1.0, 0.5)]
    assert float(costs[0]) == 0 and float(costs[1]) > 0.2 * 0.25


CELL = 2 / 31
VIEWS = 48


def photographed(cameras: Cameras) -> Capture:
    """The ball's exact masks."""
    row, column = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    pixels = torch.stack([column, row, torch.ones_like(row)], dim=-1).to(torch.float64)
    through = rotation_matrices(cameras.quaternions) @ inverse_intrinsics(cameras)
    directions = torch.nn.functional.normalize(torch.einsum("vij,hwj->vhwi", through, pixels), dim=-1)
    nearest = torch.linalg.cross(directions, cameras.centres[:, None, None].expand_as(directions)).norm(dim=-1)
    masks = list((nearest < RADIUS).numpy())
    images = [np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in masks]
    return Capture(Path(), [str(view) for view in range(len(masks))], images, masks, cameras, np.eye(4))


def moved(capture: Capture, off: float) -> tuple[Tensor, Tensor]:
    """Radii (N,) of points at the ball's upper pole that were `off` outside of it, and their moves (N, 3)."""
    found = unseen(distance_of_ball(), capture.cameras)
    found = found[found.points[:, 2] > 0]
    begun = replace(found, points=found.points + off * found.normals)
    photos = Photos(capture, begun.points.device)
    points = onto_silhouettes(begun, capture.cameras, photos, CELL).points
    return points.norm(dim=1), points - begun.points


@pytest.mark.parametrize("off", [-0.4 * CELL, 0.5 * CELL, CELL])
def test_silhouettes_say_where_unseen_points_lie(off):
    """To a third of a pixel, which is half a cell here."""
    radius, _ = moved(photographed(around(VIEWS, elevation=BESIDE)), off)
    assert (radius - RADIUS).abs().mean() < 0.012 < abs(off) / 2


def test_one_wrong_silhouette_does_not_say_it():
    capture = photographed(around(VIEWS, elevation=BESIDE))
    right, _ = moved(capture, CELL)
    capture.masks[5][: HEIGHT // 2] = False
    wrong, _ = moved(capture, CELL)
    assert (wrong - right).abs().max() < 0.01


def test_what_silhouettes_do_not_end_at_stays():
    """Deep inside; or where all pixels beside the object are ignored."""
    capture = photographed(around(VIEWS, elevation=BESIDE))
    _, inside = moved(capture, -3 * CELL)
    capture = replace(capture, ignored=tuple(~mask for mask in capture.masks))
    _, unsaid = moved(capture, CELL)
    assert not inside.any() and not unsaid.any()

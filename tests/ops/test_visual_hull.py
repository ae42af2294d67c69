"""Carving agrees with its twin and keeps what all photos show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captures import BALLS, SCALE, SIZE, photograph, scale_mat, viewpoints

from taichi_idr.cameras.pinhole import cameras_from_projections
from taichi_idr.ops.visual_hull import first_occupied, hull_votes, visual_hull
from taichi_idr.reference.visual_hull import first_occupied as first_occupied_twin
from taichi_idr.reference.visual_hull import hull_votes as votes_twin
from taichi_idr.reference.visual_hull import visual_hull as twin
from taichi_idr.types import Cameras, Rays

FLIPPED = 2e-4
"""Share of lattice points that single precision may put into the neighbouring pixel; measured on the CPU: none."""


def scene(views: int = 12, size: tuple[int, int] = SIZE) -> tuple[list[np.ndarray], Cameras]:
    shots = viewpoints(views, size)
    masks = [photograph(view, size)[1] for view in shots]
    return masks, cameras_from_projections(np.stack([(view.world_mat @ scale_mat())[:3] for view in shots]))


def lattice(resolution: int) -> torch.Tensor:
    axis = torch.linspace(-1, 1, resolution, dtype=torch.float64)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)


def inside_balls(points: torch.Tensor, margin: float) -> torch.Tensor:
    """Whether points (..., 3) lie in a ball shrunk by `margin` (normalised units)."""
    distances = [(points - torch.from_numpy(offset / SCALE)).norm(dim=-1) - radius / SCALE for offset, radius in BALLS]
    return torch.stack(distances).amin(dim=0) < -margin


RULES = [(1.0, 0.25), (0.95, 0.25), (0.8, 0.5), (0.0, 0.9), (0.0, 0.0)]


@pytest.mark.precision("float64")
@pytest.mark.parametrize(("min_fraction", "min_inside"), RULES)
def test_value_against_the_twin(min_fraction, min_inside):
    masks, cameras = scene()
    expected = twin(masks, cameras, 25, min_fraction=min_fraction, min_inside=min_inside)
    assert 0 < expected.sum() < expected.numel()
    found = visual_hull(masks, cameras, 25, min_fraction=min_fraction, min_inside=min_inside)
    assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize(("min_fraction", "min_inside"), RULES)
def test_single_precision_flips_few_points(min_fraction, min_inside):
    masks, cameras = scene()
    expected = twin(masks, cameras, 40, min_fraction=min_fraction, min_inside=min_inside)
    found = visual_hull(masks, cameras, 40, min_fraction=min_fraction, min_inside=min_inside).cpu()
    assert (found != expected).float().mean() <= FLIPPED


def test_the_hull_holds_the_object_and_little_more():
    masks, cameras = scene(views=40, size=(120, 100))
    hull, points = visual_hull(masks, cameras, 48, min_fraction=1.0).cpu(), lattice(48)
    pixel = 0.03  # what one pixel spans at the object, normalised units
    assert hull[inside_balls(points, pixel)].all()
    assert not hull[~inside_balls(points, -0.3)].any()
    assert hull.sum() < 1.3 * inside_balls(points, -pixel).sum()


def test_axes_are_x_y_z_and_both_ends_belong_to_the_lattice():
    masks, cameras = scene()
    hull = visual_hull(masks, cameras, 33).cpu()
    centre = lattice(33)[hull].mean(dim=0)
    assert centre[0] > 0.05 > 0.02 > centre[2] and centre[1] > 0.02
    full = visual_hull([np.ones_like(mask) for mask in masks], cameras, 2, min_views=1)
    assert full.shape == (2, 2, 2) and full.any()


def test_views_that_do_not_see_a_point_do_not_carve_it():
    masks, cameras = scene()
    whole = visual_hull(masks, cameras, 32, min_fraction=1.0)
    # The first photo, cut to a corner that shows next to nothing, must not remove what lies beside it.
    cut = [masks[0][:4, :4], *masks[1:]]
    without_first = visual_hull(masks[1:], cameras[1:], 32, min_fraction=1.0)
    assert visual_hull(cut, cameras, 32, min_fraction=1.0).sum() >= whole.sum()
    assert (visual_hull(cut, cameras, 32, min_fraction=1.0) & ~without_first).sum() == 0
    behind = transformed_behind(cameras)
    assert not visual_hull(masks, behind, 32, min_fraction=0.0).any()


def transformed_behind(cameras: Cameras) -> Cameras:
    """The same cameras, turned by half a turn about their own y axis: they look away."""
    w, x, y, z = cameras.quaternions.unbind(1)
    return Cameras(torch.stack([-y, -z, w, x], dim=1), cameras.centres, cameras.intrinsics)


def test_one_wrong_mask_is_outvoted():
    masks, cameras = scene(views=24)
    strict = visual_hull(masks, cameras, 32, min_fraction=1.0)
    masks[5] = np.zeros_like(masks[5])
    assert not visual_hull(masks, cameras, 32, min_fraction=1.0).any()
    tolerant = visual_hull(masks, cameras, 32, min_fraction=0.95)
    assert (tolerant & strict).sum() == strict.sum()
    assert tolerant.sum() < 1.3 * strict.sum()


def test_photos_of_mixed_sizes_and_widths_that_fill_no_words():
    masks, cameras = scene(views=12)
    bits = [np.pad(mask, ((0, extra), (0, 2 * extra))) for extra, mask in enumerate(masks)]
    expected = twin(bits, cameras, 24)
    assert (visual_hull(bits, cameras, 24).cpu() != expected).float().mean() <= FLIPPED


def test_more_points_than_one_launch_takes(monkeypatch):
    masks, cameras = scene()
    expected = visual_hull(masks, cameras, 24)
    monkeypatch.setattr("taichi_idr.ops.visual_hull.POINTS_PER_LAUNCH", 1000)
    assert torch.equal(visual_hull(masks, cameras, 24), expected)


def test_a_mask_is_needed_for_each_camera():
    masks, cameras = scene()
    with pytest.raises(ValueError, match="got 11 masks, 12 cameras"):
        visual_hull(masks[:-1], cameras, 16)


@pytest.mark.precision("float64")
def test_ignored_pixels_neither_carve_nor_count():
    masks, cameras = scene()
    ignored = [
        None if view % 3 else np.random.default_rng(view).random(mask.shape) < 0.4 for view, mask in enumerate(masks)
    ]
    expected = twin(masks, cameras, 25, ignored=ignored)
    found = visual_hull(masks, cameras, 25, ignored=ignored).cpu()
    assert torch.equal(found, expected) and not torch.equal(found, twin(masks, cameras, 25))
    blind = [np.ones_like(mask) if view == 5 else None for view, mask in enumerate(masks)]
    masks[5] = np.zeros_like(masks[5])
    others = [view for view in range(12) if view != 5]
    without = visual_hull([masks[view] for view in others], cameras[others], 32, min_inside=0.3 * 12 / 11)
    assert torch.equal(visual_hull(masks, cameras, 32, ignored=blind, min_inside=0.3), without)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("some_ignored", [False, True])
def test_votes_against_the_twin(some_ignored):
    masks, cameras = scene()
    random = np.random.default_rng(0)
    ignored = [random.random(mask.shape) < 0.3 for mask in masks] if some_ignored else []
    found, expected = (votes(masks, cameras, 25, ignored=ignored) for votes in (hull_votes, votes_twin))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.max() > 3 and torch.equal(ours.cpu(), theirs)


def test_votes_are_what_a_hull_is_carved_by():
    masks, cameras = scene()
    inside, outside = hull_votes(masks, cameras, 24)
    assert torch.equal((outside == 0) & (inside >= 3), visual_hull(masks, cameras, 24, min_fraction=1.0))
    masks[0] = masks[0][:4, :4]  # photos that show little: some points are seen by few others
    inside, outside = hull_votes(masks, cameras, 24)
    assert torch.equal((outside == 0) & (inside >= 9), visual_hull(masks, cameras, 24, min_fraction=1.0, min_views=9))


def looks(count: int, dtype: torch.dtype) -> Rays:
    """Rays from all around, some past the lattice, some from within it."""
    generator = torch.Generator().manual_seed(0)
    origins = 3 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    aims = 0.6 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return Rays(origins.to(dtype), torch.nn.functional.normalize(aims - origins, dim=1).to(dtype))


@pytest.mark.precision("float64")
@pytest.mark.parametrize("radius", [1.0, 2.0])
def test_first_occupied_against_the_twin(radius):
    hull, rays = visual_hull(*scene(), 25).cpu(), looks(3000, torch.float64)
    expected = first_occupied_twin(hull, rays, radius=radius)
    assert 300 < (expected >= 0).sum() < 2700
    torch.testing.assert_close(first_occupied(hull, rays, radius=radius).cpu(), expected, rtol=0, atol=1e-9)


def test_rays_meet_a_ball_of_cells_where_the_ball_is():
    points = lattice(65)
    ball, rays = points.norm(dim=-1) < 0.5, looks(3000, torch.float32)
    depth = first_occupied(ball, rays).cpu()
    middle = -(rays.origins * rays.directions).sum(dim=1)
    apart = (rays.origins + middle[:, None] * rays.directions).norm(dim=1)
    cell, outside = 2 / 64, rays.origins.norm(dim=1) > 0.6
    assert (depth[outside & (middle > 0) & (apart < 0.5 - cell)] >= 0).all()
    assert (depth[(apart > 0.5 + cell) & outside] < 0).all()
    direct = outside & (middle > 0) & (apart < 0.3)
    entry = middle - (0.25 - apart**2).clamp(min=0).sqrt()
    assert (depth - entry)[direct].abs().max() < 2.5 * cell

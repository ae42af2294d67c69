"""What depth maps say of points: kernel against twin, and the maps of a ball."""

from __future__ import annotations

import pytest
import torch
from ball_maps import RADIUS, ball_maps
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.ops import depth_maps as bridge
from taichi_idr.ops.depth_maps import Looks, look_at_points
from taichi_idr.ops.patch_consistency import PosedPhotos
from taichi_idr.reference import depth_maps as reference

DOUBLE = 1e-11
SINGLE, FLIPS = 1e-4, 0.01  # of points that are next to a pixel's edge, or to a limit, within rounding
PIXEL = 0.03  # width of one at the ball; of the distance, measured: 0.6 of it at most, an eighth on average
LIMITS = {"at_most": 1.0, "through": 1.5, "thickness": 0.1}


def asked(generator: torch.Generator, views: int, count: int = 400) -> tuple[Tensor, Tensor, Tensor]:
    """Points in and around the ball, their groups, and who is asked about each group."""
    current = runtime.current()
    points = 2 * RADIUS * (2 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 1)
    group = torch.randint(2, (count,), generator=generator).int()
    lookers = torch.tensor([[*range(views)], [*range(views - 3), -1, -1, -1]], dtype=torch.int32)
    return points.to(current.device, current.dtype), group.to(current.device), lookers.to(current.device)


def both(inputs: tuple[Tensor, PosedPhotos], where: tuple[Tensor, ...]) -> tuple[Looks, Looks]:
    ours, theirs = (f(*inputs, *where, **LIMITS) for f in (look_at_points, reference.look_at_points))
    return ours, theirs


@pytest.mark.precision("float64")
def test_value_equals_twin(generator):
    maps, photos = ball_maps()
    ours, theirs = both((maps, photos), asked(generator, len(photos.layout)))
    assert int(ours.through.sum()) > 10 < int(ours.at.sum())
    assert torch.equal(ours.at, theirs.at) and torch.equal(ours.through, theirs.through)
    torch.testing.assert_close(ours.distance, theirs.distance, atol=DOUBLE, rtol=DOUBLE)
    torch.testing.assert_close(ours.weight, theirs.weight, atol=DOUBLE, rtol=DOUBLE)


def test_value_equals_twin_in_single_precision(generator):
    maps, photos = ball_maps()
    ours, theirs = both((maps, photos), asked(generator, len(photos.layout)))
    for name in ("at", "through", "distance", "weight"):
        apart = (getattr(ours, name) - getattr(theirs, name)).abs() > SINGLE
        assert float(apart.double().mean()) < FLIPS, name


@pytest.mark.precision("float64")
def test_truth_the_mean_is_the_distance_from_the_ball(generator):
    """Tangent planes lie outside a ball, by less the nearer a point is to where they touch it."""
    maps, photos = ball_maps()
    direction = torch.nn.functional.normalize(torch.randn(300, 3, generator=generator, dtype=torch.float64), dim=1)
    off = 0.06 * torch.rand(300, generator=generator, dtype=torch.float64) - 0.03
    points = ((RADIUS + off)[:, None] * direction).to(maps)
    everyone = torch.arange(len(photos.layout), dtype=torch.int32, device=maps.device)[None]
    group = torch.zeros(300, dtype=torch.int32, device=maps.device)
    looks = look_at_points(maps, photos, points, group, everyone, **LIMITS)
    seen = looks.weight > 0.5
    assert float(seen.double().mean()) > 0.9
    error = (looks.distance / looks.weight - off.to(maps))[seen]
    assert float(error.abs().max()) < PIXEL
    assert float(error.abs().mean()) < PIXEL / 6


@pytest.mark.precision("float64")
def test_truth_maps_see_through_the_air_and_never_through_the_ball(generator):
    maps, photos = ball_maps()
    points, _, lookers = asked(generator, len(photos.layout))
    looks = look_at_points(maps, photos, points, torch.zeros(len(points)).int().to(maps.device), lookers, **LIMITS)
    far = points.norm(dim=1) - RADIUS
    assert int(looks.through[far < 0].max()) == 0
    assert int(looks.at[far.abs() > 0.3].max()) == 0
    assert int(looks.at[far.abs() < 0.005].min()) > 0


def test_in_parts_as_in_one(monkeypatch, generator):
    maps, photos = ball_maps()
    where = asked(generator, len(photos.layout))
    whole = look_at_points(maps, photos, *where, **LIMITS)
    monkeypatch.setattr(bridge, "POINTS_PER_LAUNCH", 33)
    parts = look_at_points(maps, photos, *where, **LIMITS)
    assert torch.equal(whole.distance, parts.distance) and torch.equal(whole.at, parts.at)


def test_no_maps_no_points_and_wrong_shapes(generator):
    maps, photos = ball_maps()
    points, group, lookers = asked(generator, len(photos.layout))
    unknown = look_at_points(torch.zeros_like(maps), photos, points, group, lookers, **LIMITS)
    assert not unknown.at.any() and not unknown.through.any() and not unknown.weight.any()
    assert look_at_points(maps, photos, points[:0], group[:0], lookers, **LIMITS).at.shape == (0,)
    with pytest.raises(ValueError, match=r"expected group \(400,\)"):
        look_at_points(maps, photos, points, group[:3], lookers, **LIMITS)

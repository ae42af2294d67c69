"""What exposure does to stored colours, and what the hull's points say of the photos' exposures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import make_capture
from exposures import differently_exposed, photographed

from taichi_idr.capture.exposure import exposed, exposure_line, stops_between
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.pixels import Photos
from taichi_idr.capture.reading import read_capture
from taichi_idr.capture.shared_points import EstimatedStops, estimated_stops, spread_beside_neighbours
from taichi_idr.ops.visual_hull import visual_hull
from taichi_idr.types import Capture, CaptureReading

EIGHT_BITS = 0.5 / 255
VIEWS = 24
STEPS = np.random.default_rng(0).uniform(-1, 1, VIEWS)
BY_POINTS = 0.25  # EV, mean of the channels; measured: 0.19, for the hull lies outside a surface of many colours


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Balls whose colour is their normal's, whatever the direction that they are seen from."""
    folder, reading = make_capture(tmp_path / "balls", views=VIEWS, size=(96, 80)), CaptureReading()
    return read_capture(folder, reading, layout=find_capture(folder, reading))


def estimated(capture: Capture) -> EstimatedStops:
    hull = visual_hull(capture.masks, capture.cameras, 48)
    return estimated_stops(Photos(capture, torch.device("cpu")), capture.cameras, hull)


def estimate(capture: Capture) -> torch.Tensor:
    return estimated(capture).stops


@pytest.mark.parametrize("stops", [-1.0, 0.5, 1.0])
def test_light_is_multiplied(stops):
    """As by a camera that stores sRGB: exactly, where neither toe nor white is reached."""
    colour = np.linspace(0.25, 0.7, 50)[:, None].repeat(3, axis=1)
    np.testing.assert_allclose(exposed(colour, np.full(3, stops)), photographed(colour, stops), atol=1e-6)


def test_no_exposure_is_no_change():
    colour = np.linspace(0, 1, 30).reshape(10, 3)
    assert exposed(colour, None) is colour
    np.testing.assert_allclose(exposed(colour, np.zeros(3)), colour, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_stops_between_pictures_are_found_whatever_is_clipped(seed):
    random = np.random.default_rng(seed)
    rendered, stops = random.uniform(0, 1, (2000, 3)), np.array([1.0, 0.8, -0.3])
    photo = np.round(255 * exposed(rendered, stops)) / 255
    assert (photo == 1).mean() > 0.05
    np.testing.assert_allclose(stops_between(rendered, photo), stops, atol=0.02)
    assert not stops_between(rendered[:0], photo[:0]).any()


def test_points_tell_exposures(capture):
    dimmed = replace(capture, images=differently_exposed(capture.images, STEPS))
    found = estimate(dimmed).mean(dim=1).numpy()
    np.testing.assert_allclose(found, STEPS - np.median(STEPS), atol=BY_POINTS)
    assert spread_beside_neighbours(estimate(dimmed), capture.cameras) > 0.4


def test_points_tell_white_balance(capture):
    images = [image.copy() for image in capture.images]
    images[3] = differently_exposed([images[3]], [0.0], balance=(0.6, 0.0, -0.6))[0]
    found = estimate(replace(capture, images=images))[3].numpy()
    np.testing.assert_allclose(found - found.mean(), (0.6, 0.0, -0.6), atol=1.2 * BY_POINTS)


def test_photos_of_other_sides_are_no_exposures(capture):
    medians = [np.median(image[mask]) for image, mask in zip(capture.images, capture.masks, strict=True)]
    assert max(medians) > 1.15 * min(medians)  # 0.4 EV
    assert estimate(capture).mean(dim=1).abs().max() < BY_POINTS
    assert spread_beside_neighbours(estimate(capture), capture.cameras) < BY_POINTS


def test_what_is_ignored_says_nothing(capture):
    """The lower half of a photo is darkened, and ignored."""
    images = [image.copy() for image in capture.images]
    ignored = np.zeros(images[2].shape[:2], bool)
    ignored[40:] = True
    images[2][ignored] //= 3
    told = replace(capture, images=images, ignored=(None, None, ignored, *[None] * (VIEWS - 3)))
    assert abs(estimate(told)[2].mean()) < BY_POINTS < abs(estimate(replace(capture, images=images))[2].mean())


def test_more_photos_make_exposures_surer(capture):
    """Every fourth shows other sides than the next."""
    few = replace(
        capture,
        cameras=capture.cameras[range(0, VIEWS, 4)],
        **{part: getattr(capture, part)[::4] for part in ("images", "masks", "names")},
    )
    assert 0 < estimated(capture).error < 0.7 * estimated(few).error < 1


def test_photos_of_opposite_sides_are_not_compared(capture):
    third = replace(
        capture,
        cameras=capture.cameras[range(0, VIEWS, 8)],
        images=differently_exposed(capture.images[::8], [1.0, 0.0, -1.0]),
        **{part: getattr(capture, part)[::8] for part in ("masks", "names")},
    )
    assert spread_beside_neighbours(estimate(third), third.cameras) == 0


def test_photos_that_share_few_points_tell_nothing(capture):
    pair = replace(
        capture, cameras=capture.cameras[[0, 1]], **{p: getattr(capture, p)[:2] for p in ("images", "masks", "names")}
    )
    assert estimated(pair).error == np.inf and not estimate(pair).any()


def test_two_photos_are_too_few_to_differ():
    assert spread_beside_neighbours(torch.tensor([[0.0] * 3, [1.0] * 3]), _cameras(2)) == 0


def test_the_ends_are_named():
    stops = np.array([[0.1] * 3, [-0.9] * 3, [0.84] * 3])
    line = exposure_line(stops, ["a", "b", "c"])
    assert line == "fitted for each photo: -0.9 EV (view b) to +0.8 EV (view c)"


def _cameras(count: int):
    from taichi_idr.types import Cameras

    return Cameras(torch.zeros(count, 4), torch.eye(3)[:count], torch.eye(3).repeat(count, 1, 1))

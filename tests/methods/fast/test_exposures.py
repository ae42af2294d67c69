"""Exposures of photos as a term of the fit: they are found, they keep to the gauge, what is clipped says nothing."""

from __future__ import annotations

import pytest
import torch

from taichi_idr.capture.exposure import LIFT, gains_of
from taichi_idr.methods.fast.exposures import PhotoExposures
from taichi_idr.methods.fast.settings import ExposureConfig

VIEWS = 5
TRUE = torch.tensor([0.0, 0.7, -0.6, 1.0, -0.9])[:, None] + torch.tensor([0.1, 0.0, -0.1])
TRUE = TRUE - TRUE.quantile(0.5, dim=0)
KEPT = 0.05  # EV, by what prior and noise move them; measured: 0.041


def fitted(stops: torch.Tensor | None = None, **settings: float) -> PhotoExposures:
    exposures = PhotoExposures(ExposureConfig(mode="on", start=0.0, **settings))  # pyright: ignore[reportArgumentType]
    exposures._begin(torch.zeros(VIEWS, 3) if stops is None else stops)
    return exposures


def stops_of(exposures: PhotoExposures) -> torch.Tensor:
    assert exposures.stops is not None
    return exposures.stops


def photos_of(predicted: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """What photos of the TRUE exposures show, [-1, 1] and clipped."""
    lifted = 1 + 2 * LIFT
    return ((predicted + lifted) * gains_of(TRUE)[view] - lifted).clamp(-1, 1)


def visit(exposures: PhotoExposures, generator: torch.Generator, noise: float = 0.1) -> None:
    view = torch.randint(VIEWS, (400,), generator=generator)
    colour = torch.rand(400, 3, generator=generator) * 2 - 1
    error = noise * torch.randn(400, 3, generator=generator)
    exposures.learn(view, (colour + error).clamp(-1, 1), photos_of(colour, view), 0.5)


def test_photos_are_taken_as_they_are_where_exposures_are_not_fitted():
    exposures, colour = PhotoExposures(ExposureConfig()), torch.zeros(2, 3)
    exposures.learn(torch.zeros(2), colour, colour + 0.5, 0.5)
    assert exposures.shown(torch.zeros(2), colour, colour) is colour
    assert exposures.stops is None and exposures.state() == {}


def test_exposures_are_found_from_a_wrong_start(generator):
    """A third of what the brightest photo shows is white."""
    exposures = fitted(-0.5 * TRUE)
    for _ in range(300):
        visit(exposures, generator)
    torch.testing.assert_close(stops_of(exposures), TRUE, atol=KEPT, rtol=0)


def test_the_median_photo_is_as_rendered(generator):
    exposures = fitted()
    for _ in range(3):
        visit(exposures, generator)
        assert stops_of(exposures).quantile(0.5, dim=0).abs().max() < 1e-6


def test_the_first_estimate_stands_until_the_renderer_knows_colours(generator):
    exposures = PhotoExposures(ExposureConfig(mode="on", start=0.1))
    exposures._begin(TRUE)
    colour = torch.rand(50, 3, generator=generator)
    exposures.learn(torch.arange(50) % VIEWS, colour, -colour, 0.09)
    assert torch.equal(stops_of(exposures), TRUE)
    exposures.learn(torch.arange(50) % VIEWS, colour, -colour, 0.1)
    assert not torch.equal(stops_of(exposures), TRUE)


def test_a_photo_without_pixels_keeps_its_exposure(generator):
    """But for the gauge, which is the others' as well."""
    exposures = fitted(TRUE)
    view = torch.zeros(100, dtype=torch.int64)
    colour = torch.rand(100, 3, generator=generator) - 0.5
    for _ in range(20):
        exposures.learn(view, colour, photos_of(colour, view), 0.5)
    difference = stops_of(exposures)[1:] - TRUE[1:]
    torch.testing.assert_close(difference, torch.zeros(4, 3), atol=KEPT, rtol=0)


def test_wrong_pixels_are_outvoted(generator):
    """One in ten shows something else, black or bright."""
    exposures = fitted(TRUE)
    for _ in range(100):
        view = torch.randint(VIEWS, (400,), generator=generator)
        colour = torch.rand(400, 3, generator=generator) - 0.5
        seen = photos_of(colour, view)
        seen[:40] = torch.where(torch.rand(40, 1, generator=generator) < 0.7, 0.9, -0.9)
        exposures.learn(view, colour, seen, 0.5)
    torch.testing.assert_close(stops_of(exposures), TRUE, atol=2 * KEPT, rtol=0)


def test_what_is_not_finite_teaches_nothing():
    exposures = fitted(TRUE)
    colour = torch.full((3, 3), torch.nan)
    exposures.learn(torch.arange(3), colour, torch.zeros(3, 3), 0.5)
    torch.testing.assert_close(stops_of(exposures), TRUE, atol=KEPT, rtol=0)


@pytest.mark.parametrize(("observed", "beyond", "short"), [(1.0, 0.99, 0.2), (-1.0, -0.99, 0.2)])
def test_beyond_white_and_black_is_no_error(observed, beyond, short):
    """In a photo of twice the light, or half; a prediction that falls short of white is one."""
    exposures = fitted(torch.full((VIEWS, 3), 2.0 if observed > 0 else -2.0))
    predicted = torch.tensor([[beyond] * 3, [short] * 3], requires_grad=True)
    seen = torch.full((2, 3), observed)
    loss = (exposures.shown(torch.zeros(2), predicted, seen) - seen).abs().sum()
    loss.backward()
    assert predicted.grad is not None
    assert not predicted.grad[0].any()
    if observed < 0:
        assert predicted.grad[1].all()


def test_a_rendering_is_exposed_as_the_photo_is(generator):
    colour = torch.rand(60, 3, generator=generator) - 0.8
    view = torch.arange(60) % VIEWS
    seen = photos_of(colour, view)
    torch.testing.assert_close(fitted(TRUE).shown(view, colour, seen), seen)


def test_another_session_goes_on(generator):
    one, other = fitted(), PhotoExposures(ExposureConfig(mode="on", start=0.0))
    visit(one, generator)
    other.load_state(one.state(), torch.device("cpu"))
    torch.testing.assert_close(stops_of(other), stops_of(one), atol=0, rtol=0)
    seed = generator.get_state()
    visit(one, generator)
    visit(other, generator.set_state(seed))
    assert torch.equal(stops_of(one), stops_of(other))
    other.load_state({}, torch.device("cpu"))
    assert other.stops is None

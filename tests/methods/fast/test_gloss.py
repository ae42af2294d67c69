"""Which directions colours follow, and that a fit tells its renderer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_run import RADIUS, distance_of_ball
from captures import make_capture
from textured_balls import ball, from_all_around, random_texture
from tiny_fits import SMALL
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr import runtime
from taichi_idr.capture.exposure import exposed
from taichi_idr.capture.pixels import Photos
from taichi_idr.capture.reading import read_capture
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast import trainer as trainers
from taichi_idr.methods.fast.gloss import FEWEST_PHOTOS, FOLDS, ShownColours, follows_mirror, foretold
from taichi_idr.methods.fast.trainer import GLOSSY, POSES_KNOWN, FastTrainer
from taichi_idr.pictures.colours import eight_bit
from taichi_idr.types import Cameras, Capture

STEPS = 10
SHORT = [*SMALL, "schedule.hull_steps=40", f"schedule.steps={STEPS}", "stereo.enabled=false"]
WINDOW = normalize(torch.tensor([0.4, -0.7, 0.6], dtype=torch.float64), dim=0)


def painted(points: Tensor, centre: Tensor) -> Tensor:
    """No gloss."""
    return 0.6 * random_texture(points)


def varnished(points: Tensor, centre: Tensor) -> Tensor:
    """Paint, and the reflection of a window that stays where it is."""
    normals, towards = points / RADIUS, normalize(centre - points, dim=1)
    mirrored = 2 * (normals * towards).sum(dim=1, keepdim=True) * normals - towards
    return painted(points, centre) + 0.3 * torch.exp(8 * (mirrored @ WINDOW - 1))


def lit_by_the_camera(points: Tensor, centre: Tensor) -> Tensor:
    """Paint under a lamp that the camera carries, a little above it."""
    lamp = normalize(centre, dim=0) + centre.new_tensor([0, 0, 0.5])
    return painted(points, centre) * (0.6 + 0.4 * (points / RADIUS) @ lamp).clamp(0, 1.5)


@cache
def capture(shade) -> Capture:
    return from_all_around(ball(), shade)


@pytest.mark.parametrize(("shade", "glossy"), [(varnished, True), (painted, False), (lit_by_the_camera, False)])
def test_highlights_under_lights_that_stay_follow_the_mirror(shade, glossy: bool):
    shown = capture(shade)
    assert follows_mirror(Photos(shown, runtime.current().device), shown.cameras, distance_of_ball()) == glossy


def test_exposures_that_differ_hide_nothing():
    shown = capture(varnished)
    stops = -1.2 * torch.rand(len(shown.images), generator=torch.Generator().manual_seed(2))
    images = [exposed_photo(photo, float(stop)) for photo, stop in zip(shown.images, stops, strict=True)]
    photos = Photos(replace(shown, images=images), runtime.current().device)
    assert follows_mirror(photos, shown.cameras, distance_of_ball())


def exposed_photo(photo: np.ndarray, stop: float) -> np.ndarray:
    return eight_bit(exposed(photo / 255, np.full(3, stop)))


def test_photos_too_few_to_foretell_others_say_nothing():
    shown = capture(varnished)
    few = [0, 1, 2, 3]
    images, masks = ([getattr(shown, name)[view] for view in few] for name in ("images", "masks"))
    photos = Photos(replace(shown, images=images, masks=masks), runtime.current().device)
    assert not follows_mirror(photos, shown.cameras[few], distance_of_ball())


def test_neither_does_space_without_a_surface():
    shown = capture(varnished)
    photos = Photos(shown, runtime.current().device)
    assert not follows_mirror(photos, shown.cameras, torch.ones_like(distance_of_ball()))


def followed(points: int, views: int) -> ShownColours:
    """Colours that are a smooth function of `towards`; each point has one of its own besides."""
    generator = torch.Generator().manual_seed(1)
    towards = normalize(torch.randn(points, views, 3, generator=generator), dim=2)
    own = torch.rand(points, 1, 3, generator=generator)
    colours = own + 0.1 * torch.sin(towards)
    return ShownColours(colours, torch.ones(points, views, dtype=torch.bool), towards, own[:, 0])


def test_what_directions_decide_is_foretold_and_chance_is_not():
    seen, fold = followed(200, 4 * FEWEST_PHOTOS), torch.arange(4 * FEWEST_PHOTOS) % FOLDS
    assert foretold(seen, seen.towards, fold) > 0.95
    assert foretold(seen, seen.towards.flip(0), fold) < 0.05
    same = seen._replace(colours=seen.colours[:, :1].expand_as(seen.colours))
    assert foretold(same, seen.towards, fold) == pytest.approx(0, abs=1e-6)


@pytest.fixture
def found_glossy(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Photos are glossy, whenever they are looked at; how many points the lattices had along an axis."""
    asked = []

    def answer(_photos: Photos, _cameras: Cameras, distance: Tensor) -> bool:
        asked.append(len(distance))
        return True

    monkeypatch.setattr(trainers, "follows_mirror", answer)
    return asked


def trainer(folder: Path, *more: str) -> FastTrainer:
    photos = read_capture(make_capture(folder / "balls", views=6))
    made = FastTrainer(make_config("fast", [*SHORT, *more]), photos, runtime.current().device)
    made.start(photos, lambda: None)
    return made


def told(fit: FastTrainer) -> bool:
    assert fit.model.radiance.mirrors is not None
    return bool(fit.model.radiance.mirrors)


def test_the_renderer_is_told_at_the_start(tmp_path: Path, found_glossy: list[int]):
    fit = trainer(tmp_path)
    assert told(fit) and fit.found == (GLOSSY,) and len(found_glossy) == 1


def test_with_trained_poses_once_they_are_known(tmp_path: Path, found_glossy: list[int]):
    fit = trainer(tmp_path, "cameras.train=true")
    known = round(POSES_KNOWN * STEPS)
    for _ in range(known):
        fit.step()
    assert not told(fit) and not found_glossy
    fit.step()
    assert told(fit) and found_glossy == [len(fit.model.lattice.values)]
    fit.step()
    assert len(found_glossy) == 1


def test_other_modes_are_not_asked(tmp_path: Path, found_glossy: list[int]):
    fit = trainer(tmp_path, "radiance.mode=idr")
    assert fit.model.radiance.mirrors is None and not fit.found and not found_glossy

"""Each photo is judged beside its neighbours: what is wrong is said, and of sound photos nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from captures import make_capture
from scipy import ndimage

from taichi_idr.capture.coverage import coverage
from taichi_idr.capture.quality import judged_views, said_of_views, sharpness
from taichi_idr.capture.reading import read_capture
from taichi_idr.types import Capture

VIEWS, SIZE = 24, (144, 120)
VIEW = 9


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Two balls with texture."""
    capture = read_capture(make_capture(tmp_path_factory.mktemp("quality") / "balls", views=VIEWS, size=SIZE))
    random = np.random.default_rng(0)
    grain = [ndimage.gaussian_filter(random.normal(size=mask.shape), 1.2) for mask in capture.masks]
    images = [
        np.clip(0.6 * image + 90 * noise[..., None] / noise.std() / 3 + 30, 0, 250).astype(np.uint8)
        for image, noise in zip(capture.images, grain, strict=True)
    ]
    return replace(capture, images=images)


def changed(capture: Capture, **lists: np.ndarray) -> Capture:
    """With another photo or mask of VIEW."""
    parts = {name: [*getattr(capture, name)] for name in lists}
    for name, value in lists.items():
        parts[name][VIEW] = value
    return replace(capture, **parts)


def found(capture: Capture) -> dict[int, tuple[str, ...]]:
    return {view: one.findings for view, one in enumerate(judged_views(capture)) if one.findings}


def test_sound_photos_are_not_blamed(sound: Capture) -> None:
    assert found(sound) == {}
    assert said_of_views(judged_views(sound), 3) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda image: ndimage.gaussian_filter(image.astype(float), (1.5, 1.5, 0)), "blurred"),
        (lambda image: 0.4 * image, "darker than its neighbours"),
        (lambda image: 1.6 * image.astype(float), "brighter than its neighbours"),
        (lambda image: np.where(image.mean(axis=2, keepdims=True) > 90, 255, image), "overexposed"),
    ],
)
def test_what_is_wrong_with_a_photo_is_said_of_it_alone(sound: Capture, change, said: str) -> None:
    bad = changed(sound, images=np.clip(change(sound.images[VIEW]), 0, 255).astype(np.uint8))
    findings = found(bad)
    assert list(findings) == [VIEW] and any(text.startswith(said) for text in findings[VIEW])
    (line,) = [line for line in said_of_views(judged_views(bad), 9) if line.startswith(said)]
    assert line.endswith(f"1 of {VIEWS} photos ({VIEW:03d})")


def test_sharpness_hardly_depends_on_contrast_and_size(sound: Capture) -> None:
    image, mask = sound.images[VIEW], sound.masks[VIEW]
    assert sharpness(image // 2, mask) == pytest.approx(sharpness(image, mask), rel=0.1)
    part = mask.copy()
    part[:, : SIZE[0] // 2] = False
    assert sharpness(image, part) == pytest.approx(sharpness(image, mask), rel=0.15)
    assert np.isnan(sharpness(image, np.zeros_like(mask)))


def test_sides_that_nobody_photographed(sound: Capture) -> None:
    around = coverage(sound.cameras)
    assert not around.one_sided and around.gap < 60 and around.seen > 0.8
    side = [view for view in range(VIEWS) if abs((around.azimuth[view] - around.azimuth[0] + 180) % 360 - 180) < 60]
    part = coverage(sound.cameras[side])
    assert part.one_sided and 200 < part.gap < 360 and part.seen < 0.6
    middle = (part.azimuth + (part.gap_middle - part.azimuth + 180) % 360) % 360  # the gap's middle is far from all
    assert np.all(abs((part.gap_middle - part.azimuth + 180) % 360 - 180) > part.gap / 2 - 1e-6), middle
    assert np.ptp(around.elevation) > 50 and around.elevation.max() < 90


def test_a_single_photo_is_looked_at_without_neighbours(tmp_path: Path) -> None:
    capture = read_capture(make_capture(tmp_path / "balls", views=3))
    assert len(judged_views(capture)) == 3

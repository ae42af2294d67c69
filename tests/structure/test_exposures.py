"""Exposures by the points that photos share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from table_scene import make_scene

from taichi_idr.capture.exposure import LIFT, POWER
from taichi_idr.masking.small_photos import cameras_of, small_photos
from taichi_idr.structure.exposures import track_stops

VIEWS = 12


def stops_of(folder: Path, gains: np.ndarray | None, points: int = 600) -> np.ndarray | None:
    structure = make_scene(folder, views=VIEWS, gains=gains).structure(np.random.default_rng(0), points=points)
    small = small_photos(structure)
    colours = [photo.colours_at(structure.points[structure.seen_by(view)]) for view, photo in enumerate(small)]
    return track_stops(structure, colours, cameras_of(small, np.eye(4)))


def test_gains_are_found_to_a_percent(tmp_path):
    gains = 2.0 ** np.random.default_rng(4).uniform(-0.6, 0.3, VIEWS)
    found = stops_of(tmp_path / "photos", gains)
    assert found is not None and found.shape == (VIEWS, 3)
    # The scene's gains multiply stored values, not lifted ones: compare what is shown of a grey.
    grey = 0.5
    shown = (grey + LIFT) * 2 ** (found.mean(axis=1) / POWER) - LIFT
    true = grey * gains / np.median(gains)
    assert np.abs(shown / true - 1).std() < 0.03
    assert np.corrcoef(shown, true)[0, 1] > 0.998


def test_like_photos_have_none(tmp_path):
    assert stops_of(tmp_path / "photos", None) is None


def test_few_points_tell_nothing(tmp_path):
    assert stops_of(tmp_path / "photos", np.linspace(0.5, 1.1, VIEWS), points=6) is None

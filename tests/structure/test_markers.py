"""Printed markers in photos of known cameras: their sides are known, and have to be found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marked_table import Printed, photograph, projections, views_of_table
from PIL import Image

from taichi_idr.capture.formats.source import Lens
from taichi_idr.errors import Unavailable
from taichi_idr.meshes.units import MARKER_KINDS, MarkerKind
from taichi_idr.structure.markers import DICTIONARIES, PlacedMarker, placed_markers, seen_markers

cv2 = pytest.importorskip("cv2")
GOOD = 0.002
BENT = Lens((-0.2, 0.05, 0.001, -0.001))


def sides(marker: PlacedMarker) -> np.ndarray:
    return np.linalg.norm(np.roll(marker.corners, -1, axis=0) - marker.corners, axis=1)


def placed(found: list, kind: MarkerKind = "aruco4x4") -> list[PlacedMarker]:
    return placed_markers(seen_markers(found, kind), projections(found))


@pytest.mark.parametrize(
    ("kind", "marker", "around", "light"),
    [
        ("aruco4x4", {}, {}, {}),
        ("aruco4x4", {}, {}, {"noise": 10.0}),
        ("aruco4x4", {}, {}, {"gamma": 1.0}),
        ("aruco4x4", {}, {"slope": 0.35}, {"noise": 4.0}),
        ("aruco4x4", {"side": 0.15}, {}, {}),
        ("aruco4x4", {}, {"lens": BENT}, {}),
        ("apriltag36h11", {"dictionary": "DICT_APRILTAG_36h11"}, {"slope": 0.5}, {}),
    ],
    ids=["as it is", "noise", "linear light", "oblique", "small", "lens", "april"],
)
def test_a_side_is_found(kind: Any, marker: Any, around: Any, light: Any, tmp_path: Path) -> None:
    """Within 0.2 %, each of its four sides within twice that. Blur and bent tones shift edges by 0.3 pixels here."""
    found, printed = views_of_table(5, tmp_path, **around), Printed(**marker)
    photograph(found, [printed], **light)
    (one,) = placed(found, kind)
    assert one.photos == 5 and one.residual < 0.2
    assert sides(one).mean() == pytest.approx(printed.side, rel=GOOD)
    assert sides(one) == pytest.approx(printed.side, rel=2 * GOOD)
    assert one.corners.mean(axis=0) == pytest.approx([*printed.centre, 0], abs=2e-3)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[list, list[Printed]]:
    """Two of them have the same code."""
    found = views_of_table(6, tmp_path_factory.mktemp("three"))
    markers = [Printed(3, 0.2, (0.3, 0.3)), Printed(5, 0.2, (-0.3, 0.2)), Printed(5, 0.2, (0.1, -0.3))]
    photograph(found, markers)
    return found, markers


def test_several_are_told_apart(three: Any) -> None:
    found = placed(three[0])
    assert sorted(one.number for one in found) == [3, 5, 5]
    centres = np.array([one.corners.mean(axis=0)[:2] for one in found])
    for printed in three[1]:
        assert np.linalg.norm(centres - printed.centre, axis=1).min() < 2e-3
    assert np.mean([sides(one) for one in found]) == pytest.approx(0.2, rel=GOOD)


def test_a_photo_whose_camera_is_off_is_left_out(three: Any) -> None:
    found, _ = three
    seen = [one for one in seen_markers(found, "aruco4x4") if one.number == 3]
    for off in (2.0, 30.0):  # near enough to be taken for the same place, and not
        P = projections(found)
        P[2, 0] += off * P[2, 2]
        (one,) = placed_markers(seen, P)
        assert one.photos == 5 and sides(one).mean() == pytest.approx(0.2, rel=GOOD)


def test_one_photo_or_one_place_tells_no_size(three: Any) -> None:
    found, _ = three
    seen = [one for one in seen_markers(found, "aruco4x4") if one.number == 3]
    assert placed_markers(seen[:1], projections(found)) == []
    twice = [seen[0], replace(seen[0], view=1)]
    assert placed_markers(twice, projections([found[0], found[0]])) == []


def test_what_is_not_square_is_no_marker(three: Any) -> None:
    """A quarter longer than wide."""
    found, _ = three
    P = projections(found) @ np.diag([1, 0.8, 1, 1])
    assert placed_markers(seen_markers(found, "aruco4x4"), projections(found))
    assert placed_markers(seen_markers(found, "aruco4x4"), P) == []


def test_what_is_transparent_counts(three: Any, tmp_path: Path) -> None:
    """A photo cut out along its silhouette keeps the table in its hidden colours."""
    view = three[0][0]
    with Image.open(view.image) as image:
        image.putalpha(0)
        image.save(tmp_path / "cut.png")
    cut = replace(view, image=tmp_path / "cut.png")
    for whole, hidden in zip(seen_markers([view], "aruco4x4"), seen_markers([cut], "aruco4x4"), strict=True):
        assert whole.number == hidden.number
        np.testing.assert_array_equal(whole.corners, hidden.corners)


def test_without_opencv(three: Any, no_opencv: Any) -> None:
    no_opencv()
    with pytest.raises(Unavailable, match=r"markers in photos need it; pip install 'taichi-idr\[photos\]'"):
        seen_markers(three[0], "aruco4x4")


def test_every_kind_can_be_asked_for() -> None:
    assert tuple(DICTIONARIES) == MARKER_KINDS
    for name in DICTIONARIES.values():
        assert cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name)).markerSize >= 4

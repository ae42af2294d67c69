"""What is pointed at arrives in `tidr mesh` as it was meant."""

from __future__ import annotations

import numpy as np
import pytest
from ball_run import RADIUS
from ball_scene import ball

from taichi_idr.meshes.scale import parsed_distance
from taichi_idr.meshes.wanted import parsed_cut
from taichi_idr.viewer.picking import CropBox, box_around, distance_option, first_hit

SAGITTA = 0.006  # of the faces of a ball of 1,280


@pytest.mark.parametrize("size", [1e-3, 2.0, 300.0])
@pytest.mark.parametrize("middle", [0.0, -4e3])
def test_a_box_is_read_as_it_was_drawn(size: float, middle: float):
    low, high = middle - np.array([0.5, 0.4, 0.3]) * size, middle + np.array([0.1, 0.2, 0.3]) * size
    box = parsed_cut(CropBox(low, high).option(size).removeprefix("--box="), ()).box
    assert box is not None
    np.testing.assert_allclose(box, [*low, *high], rtol=0, atol=1e-3 * size)


def test_a_distance_is_read_as_it_was_picked():
    one, other = np.array([-0.25, 1e-7, 3.0]), np.array([1.5, 2.0, -1e-9])
    option = distance_option(one, other, "12.5cm", 2.0)
    assert "-0.000," not in option
    known = parsed_distance(option.removeprefix('--scale-points "').removesuffix('"'))
    np.testing.assert_allclose([known.one, known.other], [one, other], atol=1e-3)
    assert known.metres == 0.125


def test_a_box_around_points_holds_them_and_has_twelve_edges():
    points = np.array([[0.0, 0, 0], [1, 2, 4]])
    box = box_around(points)
    assert (box.low < points.min(axis=0)).all()
    assert (box.high > points.max(axis=0)).all()
    edges = box.edges()
    assert len({tuple(sorted(map(tuple, edge))) for edge in edges.tolist()}) == 12
    assert (np.count_nonzero(edges[:, 0] != edges[:, 1], axis=1) == 1).all()


def test_a_click_meets_the_near_side():
    mesh, origin = ball(), np.array([0.1, -2.0, 0.2])
    hit = first_hit(mesh, origin, np.array([0.0, 3.0, 0.0]))
    assert hit is not None
    expected = [0.1, -np.sqrt(RADIUS**2 - 0.05), 0.2]
    np.testing.assert_allclose(hit, expected, atol=SAGITTA)


def test_a_click_beside_or_behind_meets_nothing():
    mesh = ball()
    assert first_hit(mesh, np.array([0.6, -2.0, 0.0]), np.array([0.0, 1.0, 0.0])) is None
    assert first_hit(mesh, np.array([0.0, -2.0, 0.0]), np.array([0.0, -1.0, 0.0])) is None

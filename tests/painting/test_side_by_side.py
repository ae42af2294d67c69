"""Pictures of coloured meshes beside each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from moving_meshes import ball, box

from taichi_idr.painting.side_by_side import side_by_side, watching

SIZE = 64


def test_each_is_seen_in_its_own_colours_and_fits():
    red = replace(ball(0.5), colours=np.full((642, 3), [255, 0, 0], np.uint8))
    camera = watching(red.vertices, SIZE)
    picture = side_by_side([red, ball(0.5)], camera, SIZE)
    assert picture.shape == (SIZE, 2 * SIZE, 3) and picture.dtype == np.uint8
    left, right = picture[:, :SIZE].astype(int), picture[:, SIZE:].astype(int)
    middle = SIZE // 2
    assert left[middle, middle, 0] > 240 and left[middle, middle, 1] == 0  # what faces the camera has its full colour
    assert (right[middle, middle] == right[middle, middle, 0]).all() and 170 < right[middle, middle, 0] < 200
    for half in (left, right):
        assert (half[[0, -1]] == 255).all() and (half[:, [0, -1]] == 255).all()
        rows = (half < 255).any(axis=(1, 2)).nonzero()[0]
        assert np.ptp(rows) > 0.8 * SIZE


def test_edges_are_darker_than_what_faces_the_camera():
    picture = side_by_side([ball(0.5, subdivisions=4)], watching(ball(0.5).vertices, SIZE), SIZE)[SIZE // 2, :, 0]
    inside = picture[picture < 255].astype(int)
    assert inside[0] < 0.7 * inside.max() and inside[-1] < 0.7 * inside.max()


def test_the_broadest_side_is_looked_at():
    """A flat box in any position shows most of its area."""
    for axis in range(3):
        extents = np.full(3, 1.0)
        extents[axis] = 0.1
        plate = box((extents[0], extents[1], extents[2]))
        seen = (side_by_side([plate], watching(plate.vertices, SIZE), SIZE) < 255).any(axis=2).mean()
        assert seen > 0.35

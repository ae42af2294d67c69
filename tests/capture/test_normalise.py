"""The object is found from silhouettes and cameras alone."""

from __future__ import annotations

import numpy as np
import pytest
from captures import BALLS, ORIGIN, SCALE, SIZE, edit_cameras, make_capture, viewpoints
from PIL import Image

from taichi_idr.cameras.rotations import rotation_matrices
from taichi_idr.capture.reading import read_capture
from taichi_idr.types import CaptureReading

EXACT = 1e-9
CENTRE, SCALE_ERROR = 0.01, 0.01
"""Of the normalised unit: how well the released capture's frame must be found again."""


def found_frame(capture) -> tuple[np.ndarray, float]:
    return capture.T_world_normalised[:3, 3], capture.T_world_normalised[0, 0]


@pytest.mark.parametrize("how", ["no scale_mat", "normalize", "broken scale_mat and normalize"])
def test_the_object_is_found_from_the_masks(tmp_path, how):
    folder = make_capture(tmp_path / "capture", views=16)
    if how == "no scale_mat":
        edit_cameras(folder, **{f"scale_mat_{index}": None for index in range(16)})
    else:
        edit_cameras(folder, scale_mat_0=np.diag([1e-3, 1e-3, 1e-3, 1]) if how == "normalize" else np.zeros((4, 4)))
    capture = read_capture(folder, CaptureReading(normalize="normalize" in how))
    centre, scale = found_frame(capture)
    reach = max(np.linalg.norm(ORIGIN + offset - centre) + radius for offset, radius in BALLS)
    assert 0.5 * scale < reach < scale
    assert len(capture.warnings) == (how == "no scale_mat")
    R = rotation_matrices(capture.cameras.quaternions)[5]
    assert np.allclose(R, viewpoints(16)[5].R_world_camera, atol=EXACT)


def test_the_object_is_found_wherever_the_world_begins(tmp_path):
    """The released code loses an object that is near the world's origin, or far from it (section 7)."""
    frames = []
    for name, shift in (("near", -ORIGIN), ("far", np.array([3e4, -2e5, 1e4]))):
        folder = make_capture(tmp_path / name, views=16)
        move = np.eye(4)
        move[:3, 3] = -shift
        moved = {f"world_mat_{i}": view.world_mat @ move for i, view in enumerate(viewpoints(16))}
        edit_cameras(folder, **moved)
        centre, scale = found_frame(read_capture(folder, CaptureReading(normalize=True)))
        frames.append([*(centre - shift - ORIGIN), scale])
    assert np.allclose(frames[0], frames[1], atol=0.02 * SCALE)


def test_photos_that_show_parts_of_the_object_bound_it_together(tmp_path):
    folder = make_capture(tmp_path / "capture", views=16)
    whole = found_frame(read_capture(folder, CaptureReading(normalize=True)))
    for index in range(0, 16, 3):
        for kind in ("image", "mask"):
            path = folder / kind / f"{index:03d}.png"
            with Image.open(path) as image:
                image.crop((0, 0, 30, SIZE[1])).save(path)
    part = found_frame(read_capture(folder, CaptureReading(normalize=True)))
    assert np.allclose(whole[0], part[0], atol=0.1 * SCALE)
    assert part[1] == pytest.approx(whole[1], rel=0.1)


def test_scan_65_gets_its_released_frame_again(capture_data):
    folder = capture_data("dtu_scan65")
    released, computed = (read_capture(folder, CaptureReading(normalize=flag), downscale=2) for flag in (False, True))
    (centre, scale), (found_centre, found_scale) = found_frame(released), found_frame(computed)
    assert np.abs(found_centre - centre).max() < CENTRE * scale
    assert found_scale == pytest.approx(scale, rel=SCALE_ERROR)

"""What the object stands on, as a file of the capture and in the frame of a fit."""

from __future__ import annotations

import numpy as np
import pytest
from captures import make_capture

from taichi_idr.capture.fingerprints import fingerprints
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.reading import read_capture
from taichi_idr.capture.support import FILE, read_support, write_support
from taichi_idr.errors import BadInput
from taichi_idr.types import Plane


def test_it_comes_back(tmp_path):
    assert read_support(tmp_path) is None
    write_support(tmp_path, Plane(np.array([0.0, 0.6, 0.8]), -2.5))
    found = read_support(tmp_path)
    assert found is not None and found.offset == -2.5
    np.testing.assert_array_equal(found.normal, (0, 0.6, 0.8))


def test_any_length_will_do(tmp_path):
    (tmp_path / FILE).write_text('{"normal": [0, 0, 2], "offset": 3}')
    found = read_support(tmp_path)
    assert found is not None and found.offset == 1.5 and found.normal.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"normal": [0, 0, 0], "offset": 1}', '{"normal": [0, 1], "offset": 1}', '{"normal": [0, 0, 1]}',
     '{"normal": [0, 0, 1], "offset": NaN}', '{"normal": [0, 0, 1], "offset": "1"}'],
)  # fmt: skip
def test_damage_is_refused(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(BadInput, match=FILE):
        read_support(tmp_path)


def test_a_capture_has_it_in_its_own_frame(tmp_path):
    folder = make_capture(tmp_path / "balls", views=6)
    assert read_capture(folder).support is None
    plane = Plane(np.array([0.0, 0.0, 1.0]), -40.0)
    write_support(folder, plane)
    capture = read_capture(folder)
    assert capture.support is not None
    points = np.random.default_rng(0).normal(size=(5, 3))
    T = capture.T_world_normalised
    scale = np.cbrt(np.linalg.det(T[:3, :3]))
    in_world = points @ T[:3, :3].T + T[:3, 3]
    np.testing.assert_allclose(scale * capture.support.height(points), plane.height(in_world), rtol=1e-9)


def test_a_fit_knows_when_it_has_changed(tmp_path):
    folder = make_capture(tmp_path / "balls", views=6)
    layout = find_capture(folder)
    before = fingerprints(folder, layout)
    write_support(folder, Plane(np.array([0.0, 0.0, 1.0]), -40.0))
    first = fingerprints(folder, layout)
    write_support(folder, Plane(np.array([0.0, 0.0, 1.0]), -30.0))
    assert set(first) - set(before) == {FILE} and first[FILE] != fingerprints(folder, layout)[FILE]

"""`exposures.json`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from captures import make_capture

from taichi_idr.capture.fingerprints import fingerprints
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.known_exposures import read_exposures, write_exposures
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "balls", views=4)


def test_what_is_written_is_read_with_the_capture(folder):
    layout, stops = find_capture(folder), np.array([[0.5, 0.25, 0], [0, 0, 0], [-1, -1, -1], [2, 0, 0]], np.float32)
    assert read_capture(folder).stops is None
    before = fingerprints(folder, layout)
    write_exposures(folder, layout.images, stops)
    np.testing.assert_array_equal(read_capture(folder).stops, stops)
    assert set(fingerprints(folder, layout)) - set(before) == {"exposures.json"}
    np.testing.assert_array_equal(read_exposures(folder, layout.images[2:]), stops[2:])
    assert read_exposures(folder, [folder / "heldout" / "other.png"]) is None


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"exposures": 3}', '{"exposures": {}}', "two numbers", "not a number", "too much"],
)
def test_what_is_wrong_is_refused(folder, text):
    images = find_capture(folder).images
    rows = {"two numbers": [0, 0], "not a number": [0, "a", 0], "too much": [0, 99, 0]}
    if text in rows:
        text = json.dumps({"exposures": {image.name: rows[text] for image in images}})
    (folder / "exposures.json").write_text(text)
    with pytest.raises(BadInput, match=r"exposures\.json"):
        read_capture(folder)

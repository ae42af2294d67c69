"""`lights.json`: in which light each photo was taken (LIGHT-1)."""

from __future__ import annotations

import json

import pytest

from taichi_idr.capture.lights import LIGHTS, read_lights
from taichi_idr.errors import BadInput


def test_a_name_for_each_photo(tmp_path):
    assert read_lights(tmp_path, ["a.png"]) is None
    table = {"b.png": "evening", "a.png": "morning", "c.png": "noon"}
    (tmp_path / LIGHTS).write_text(json.dumps({"lights": table}))
    assert read_lights(tmp_path, ["a.png", "b.png"]) == ["morning", "evening"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "expected an object"),
        ("{}", "no table"),
        ('{"lights": {"b.png": "noon"}}', "no name for a.png"),
        ('{"lights": {"a.png": 3}}', "no name for a.png"),
        ('{"lights": {"a.png": ""}}', "no name for a.png"),
        ('{"lights": {', "not JSON"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    (tmp_path / LIGHTS).write_text(text)
    with pytest.raises(BadInput, match=said):
        read_lights(tmp_path, ["a.png"])

"""The page that needs no program: whole, small, and nothing from elsewhere."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ball_scene import make_ball_scene
from pages import Addresses

from taichi_idr.meshes.wanted import parsed_cut
from taichi_idr.viewer.page import MOST_BYTES, page_html
from taichi_idr.viewer.scene import Scene, read_scene

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRAWS = ("--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return read_scene(make_ball_scene(tmp_path).folder)


def contents(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="scene">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])


def test_it_points_to_nothing_outside(scene: Scene):
    page = page_html(scene)
    parser = Addresses()
    parser.feed(page)
    assert parser.found == []
    assert "http:" not in page
    assert "https:" not in page
    assert len(page) < MOST_BYTES


def test_the_mesh_in_it_is_the_scenes(scene: Scene):
    assert scene.mesh is not None
    held = contents(page_html(scene))["mesh"]
    positions = np.frombuffer(base64.b64decode(held["positions"]), "<u2").reshape(-1, 4)[:, :3]
    np.testing.assert_allclose(held["low"] + held["step"] * positions, scene.mesh.vertices, atol=held["step"])
    faces = np.frombuffer(base64.b64decode(held["faces"]), "<u4").reshape(-1, 3)
    assert np.array_equal(faces, scene.mesh.faces)
    colours = np.frombuffer(base64.b64decode(held["paint"]), np.uint8).reshape(-1, 4)[:, :3]
    assert np.array_equal(colours, scene.mesh.colours)


def test_photos_shrink_until_it_is_small_enough(scene: Scene):
    whole = page_html(scene)
    smaller = page_html(scene, most=len(whole) - 1)
    assert len(smaller) < len(whole)
    assert [camera["photo"] is None for camera in contents(page_html(scene, most=1))["cameras"]] == [True] * 6
    assert all(camera["photo"].startswith("data:image/jpeg") for camera in contents(whole)["cameras"])


def test_a_name_cannot_end_the_script(scene: Scene):
    name = "</script><script>alert(1)</script>"
    page = page_html(replace(scene, name=name))
    assert contents(page)["name"] == name
    assert "alert(1)</script>" not in page


def test_it_is_whole_without_a_mesh(scene: Scene):
    assert contents(page_html(replace(scene, mesh=None)))["mesh"] is None


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_opens_the_file(scene: Scene, tmp_path: Path):
    """Its script ends with the option for the box, which `tidr mesh` reads."""
    file = tmp_path / "index.html"
    file.write_text(page_html(scene), encoding="utf-8")
    command = [str(BROWSER), *DRAWS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    option = re.search(r'<code id="box_option">tidr mesh --box=([^<]+)</code>', shown)
    assert option
    box = parsed_cut(option[1], ()).box
    assert box is not None
    assert scene.mesh is not None
    world = scene.in_world(scene.mesh.vertices)
    assert (np.array(box[:3]) < world.min(axis=0)).all()
    assert (np.array(box[3:]) > world.max(axis=0)).all()

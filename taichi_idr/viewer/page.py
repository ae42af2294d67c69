"""A scene as one file of HTML, which shows it without a server, without Python and without a network."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import BadInput, warn
from ..meshes.mesh import Mesh
from .picking import box_around, places
from .pictures import small_jpeg, small_photo
from .scene import Frustum, PreviewFile, Scene

MOST_BYTES = 10_000_000
TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Detail:
    """Pixels along the longer side: of photos (0: none are shown), of the texture; and how many previews there are."""

    photo: int
    texture: int
    previews: int


DETAILS = (Detail(240, 2048, 40), Detail(160, 2048, 20), Detail(112, 1024, 12), Detail(64, 1024, 6), Detail(0, 512, 1))


def page_html(scene: Scene, most: int = MOST_BYTES) -> str:
    """The whole document, in the first of DETAILS in which it has not more bytes than `most`, or in the last.

    Photos that cannot be read are left out, with a warning.
    """
    text = ""
    for detail in DETAILS:
        text = _document(scene, detail)
        if len(text.encode()) <= most:
            break
    return text


def _document(scene: Scene, detail: Detail) -> str:
    data = json.dumps(_contents(scene, detail), separators=(",", ":")).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("{{title}}", escape(scene.name)).replace("{{scene}}", data)


def _contents(scene: Scene, detail: Detail) -> dict[str, Any]:
    vertices = scene.mesh.vertices if scene.mesh else np.array([-np.ones(3), np.ones(3)])
    world = scene.in_world(vertices)
    size, box = float(np.ptp(world, axis=0).max()), box_around(world)
    return {
        "name": scene.name,
        "about": f"{len(scene.cameras)} photos, step {scene.step:,}",
        "mesh": scene.mesh and _mesh(scene.mesh, detail),
        "cameras": [_camera(scene, camera, detail) for camera in scene.cameras],
        "before": [_corners(scene, camera) for camera in scene.before],
        "previews": [_preview(preview) for preview in _thinned(scene.previews, detail.previews)],
        "up": scene.up.tolist(),
        "T_world_normalised": scene.T_world_normalised.tolist(),
        "T_normalised_world": np.linalg.inv(scene.T_world_normalised).tolist(),
        "box": {"low": box.low.tolist(), "high": box.high.tolist()},
        "size": size,
        "places": places(size),
    }


def _mesh(mesh: Mesh, detail: Detail) -> dict[str, Any]:
    """Positions in 65,535ths of the box, padded to 8 bytes; normals in 127ths and colours, padded to 4."""
    vertex, faces = np.arange(len(mesh.vertices)), mesh.faces
    if mesh.texture is not None:
        vertex, faces = mesh.texture.atlas.vertex, mesh.texture.atlas.corners
    low = mesh.vertices.min(axis=0)
    step = float(np.ptp(mesh.vertices, axis=0).max()) / 65535
    positions = np.round((mesh.vertices[vertex] - low) / step)
    if mesh.texture is not None:
        paint = np.round(np.clip(mesh.texture.atlas.uv, 0, 1) * 65535).astype("<u2")
    else:
        grey = np.full((len(vertex), 3), 200, np.uint8)
        paint = _padded(grey if mesh.colours is None else mesh.colours[vertex], np.uint8)
    return {
        "low": low.tolist(),
        "step": step,
        "positions": _base64(_padded(positions, "<u2")),
        "normals": _base64(_padded(np.round(mesh.normals[vertex] * 127), np.int8)),
        "paint": _base64(paint),
        "faces": _base64(faces.astype("<u4")),
        "texture": mesh.texture and _picture(mesh.texture.colours, detail.texture),
    }


def _camera(scene: Scene, camera: Frustum, detail: Detail) -> dict[str, Any]:
    photo = None
    if camera.photo is not None and detail.photo:
        try:
            photo = _picture(small_photo(camera.photo, detail.photo), detail.photo)
        except BadInput as error:
            warn(f"{error}")
    return {"name": camera.name, "corners": _corners(scene, camera), "photo": photo}


def _corners(scene: Scene, camera: Frustum) -> list[list[float]]:
    return camera.corners(scene.depth(camera)).round(5).tolist()


def _preview(preview: PreviewFile) -> dict[str, str]:
    with Image.open(preview.file) as image:
        picture = _picture(np.asarray(image.convert("RGB")), 640)
    return {"name": f"Step {preview.step:,}, view {preview.view}: photo, rendering, normals", "picture": picture}


def _thinned(previews: Sequence[PreviewFile], most: int) -> list[PreviewFile]:
    """Evenly, the last one among them."""
    kept = np.unique(np.linspace(len(previews) - 1, 0, min(most, len(previews))).round().astype(int))
    return [previews[index] for index in kept]


def _padded(columns: np.ndarray, kind: Any) -> np.ndarray:
    """(N, 3) as (N, 4): graphics cards read whole words."""
    return np.concatenate([columns, np.zeros((len(columns), 1))], axis=1).astype(kind)


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _picture(picture: np.ndarray, pixels: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(picture, pixels)).decode()

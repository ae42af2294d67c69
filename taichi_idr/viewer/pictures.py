"""Small pictures for a viewer: photos, and colours of normals."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..capture.images import opened
from ..meshes.mesh import Mesh

PHOTO_PIXELS = 240  # longer side
JPEG_QUALITY = 80


def small_photo(file: Path, pixels: int = PHOTO_PIXELS) -> np.ndarray:
    """(H, W, 3) uint8, its longer side at most that many pixels. Raises BadInput."""
    with opened(file) as image:
        return np.asarray(shrunk_picture(image.convert("RGB"), pixels))


def shrunk_picture(image: Image.Image, pixels: int) -> Image.Image:
    """Its longer side at most that many pixels."""
    scale = pixels / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0) if scale < 1 else image


def small_jpeg(picture: np.ndarray, pixels: int) -> bytes:
    """Of (H, W, 3) uint8."""
    data = io.BytesIO()
    shrunk_picture(Image.fromarray(picture), pixels).save(data, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return data.getvalue()


def with_normal_colours(mesh: Mesh) -> Mesh:
    """Coloured by its normals: red, green and blue are x, y and z of its frame."""
    colours = np.round((mesh.normals / 2 + 0.5) * 255).astype(np.uint8)
    return replace(mesh, colours=colours, texture=None)

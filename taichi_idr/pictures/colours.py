"""Rendered views as pictures for people: colours for normals and depth, strips, PNG files, films."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ..cameras.pinhole import shrunk
from ..cameras.rotations import rotation_matrices
from ..files.writing import write_filled
from ..types import Cameras
from .rendering import RenderedView

FARTHEST_GREY = 0.15


def picture_shape(cameras: Cameras, size: int | None, downscale: int) -> tuple[int, int]:
    """Height, width of pictures that are no photo's: those of the first photo, taken to be centred, then as asked."""
    middle = cameras.intrinsics[0, :2, 2].tolist()
    return resizer(size, downscale)(cameras[[0]], (round(2 * middle[1]) + 1, round(2 * middle[0]) + 1))[1]


def view_pictures(rendered: RenderedView, camera: Cameras) -> dict[str, np.ndarray]:
    """Pictures (H, W, 3) in [0, 1] of one view: colour, normals, depth."""
    return {
        "colour": rendered.colour,
        "normals": normal_colours(rendered, camera),
        "depth": depth_colours(rendered),
    }


def view_strip(photo: np.ndarray, rendered: RenderedView, camera: Cameras) -> np.ndarray:
    """photo | render | normals (H, 3 W, 3) in [0, 1]."""
    return np.concatenate([photo, rendered.colour, normal_colours(rendered, camera)], axis=1)


def normal_colours(rendered: RenderedView, camera: Cameras) -> np.ndarray:
    """Normals (H, W, 3) in camera axes: red right, green up, blue towards the viewer; white where missed."""
    R_normalised_camera = rotation_matrices(camera.quaternions.double().cpu())[0].numpy()
    seen = rendered.normals @ (R_normalised_camera @ np.diag([1.0, -1.0, -1.0]))
    return np.where(rendered.hit[..., None], seen / 2 + 0.5, 1.0).astype(np.float32)


def depth_colours(rendered: RenderedView) -> np.ndarray:
    """Depth (H, W, 3) in grey, nearest white, black where missed."""
    grey = np.zeros(rendered.depth.shape, np.float32)
    if rendered.hit.any():
        depth = rendered.depth[rendered.hit]
        near, far = depth.min(), depth.max()
        grey[rendered.hit] = 1 - (1 - FARTHEST_GREY) * (depth - near) / max(far - near, 1e-6)
    return np.repeat(grey[..., None], 3, axis=2)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write (H, W, 3), uint8 or in [0, 1], whole or not at all. Raises WriteFailed."""
    image = Image.fromarray(eight_bit(picture))
    write_filled(path, lambda data: image.save(data, "PNG", compress_level=4))


def eight_bit(picture: np.ndarray) -> np.ndarray:
    """uint8 of a picture in [0, 1]; uint8 stays."""
    return picture if picture.dtype == np.uint8 else np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def resizer(size: int | None, downscale: int) -> Callable[[Cameras, tuple[int, ...]], tuple[Cameras, tuple[int, int]]]:
    """Maps a camera and the height, width of its photo to those of the wanted picture."""

    def resized(camera: Cameras, shape: tuple[int, ...]) -> tuple[Cameras, tuple[int, int]]:
        factor = max(shape) / size if size else float(downscale)
        height, width = (max(round(n / factor), 1) for n in shape)
        return shrunk(camera, factor), (height, width)

    return resized

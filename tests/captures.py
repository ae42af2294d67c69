"""Small captures that tests make and damage: two balls of different size, seen from all around, in millimetres."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

VIEWS = 8
SIZE = (48, 40)
"""Width and height of the photos."""
BALLS = ((np.array([0.0, 0.0, 0.0]), 40.0), (np.array([35.0, 20.0, -10.0]), 25.0))
"""Centres, relative to ORIGIN, and radii, mm."""
ORIGIN = np.array([-60.0, 150.0, 420.0])
SCALE = 90.0
"""Millimetres per normalised unit: the balls reach to 0.75."""
DISTANCE = 320.0


@dataclass(frozen=True)
class View:
    """K (3, 3), rotation world <- camera (3, 3), centre (3,) in mm."""

    K: np.ndarray
    R_world_camera: np.ndarray
    centre: np.ndarray

    @property
    def world_mat(self) -> np.ndarray:
        R = self.R_world_camera.T
        return np.vstack([self.K @ np.column_stack([R, -R @ self.centre]), [0.0, 0.0, 0.0, 1.0]])


def scale_mat() -> np.ndarray:
    T = np.diag([SCALE, SCALE, SCALE, 1.0])
    T[:3, 3] = ORIGIN
    return T


def viewpoints(count: int = VIEWS, size: tuple[int, int] = SIZE) -> list[View]:
    """Cameras on a spiral around ORIGIN, with skew and a principal point off the centre."""
    width, height = size
    K = np.array([[1.35 * width, 0.4, 0.52 * width], [0, 1.3 * width, 0.47 * height], [0, 0, 1.0]])
    heights = np.linspace(-0.7, 0.8, count)
    return [_look(K, angle, z) for angle, z in zip(2.4 * np.arange(count), heights, strict=True)]


def photograph(view: View, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) uint8, shaded by the normal, and mask (H, W) bool."""
    directions = _directions(view, size)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    nearest = np.full(directions.shape[:2], np.inf)
    colour = np.full(directions.shape, 90, dtype=np.uint8)
    for offset, radius in BALLS:
        away = view.centre - (ORIGIN + offset)
        depth = _ball_depth(directions, away, radius)
        normals = (away + np.where(np.isfinite(depth), depth, 0)[..., None] * directions) / radius
        shown = depth < nearest
        colour[shown] = (127.5 + 100 * np.clip(normals, -1, 1))[shown].astype(np.uint8)
        nearest = np.minimum(nearest, depth)
    return colour, np.isfinite(nearest)


def depth_map(view: View, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Depth (H, W) along the optical axis, mm; 0 beside the balls."""
    directions = _directions(view, size)
    length = np.linalg.norm(directions, axis=-1)
    unit = directions / length[..., None]
    depth = np.min([_ball_depth(unit, view.centre - (ORIGIN + offset), radius) for offset, radius in BALLS], axis=0)
    return np.where(np.isfinite(depth), depth, 0) / length


def write_depths(folder: Path, *, views: int = VIEWS, size: tuple[int, int] = SIZE) -> None:
    """Exact maps as NPY into `depth/`."""
    (folder / "depth").mkdir()
    for index, view in enumerate(viewpoints(views, size)):
        np.save(folder / "depth" / f"{index:03d}.npy", depth_map(view, size).astype(np.float32))


def make_capture(folder: Path, *, views: int = VIEWS, size: tuple[int, int] = SIZE) -> Path:
    """Write image/, mask/ and cameras.npz."""
    (folder / "image").mkdir(parents=True)
    (folder / "mask").mkdir()
    shots = viewpoints(views, size)
    for index, view in enumerate(shots):
        colour, mask = photograph(view, size)
        Image.fromarray(colour).save(folder / "image" / f"{index:03d}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "mask" / f"{index:03d}.png")
    write_cameras(folder / "cameras.npz", [view.world_mat for view in shots])
    return folder


def write_cameras(path: Path, world_mats: list[np.ndarray], scale: np.ndarray | None = None) -> None:
    arrays: dict[str, Any] = {f"world_mat_{index}": matrix for index, matrix in enumerate(world_mats)}
    T = scale_mat() if scale is None else scale
    np.savez(path, **arrays, **{f"scale_mat_{index}": T for index in range(len(world_mats))})


def edit_cameras(folder: Path, **changes: Any) -> None:
    """Replace arrays of cameras.npz; None removes one."""
    with np.load(folder / "cameras.npz") as archive:
        arrays = dict(archive)
    arrays.update(changes)
    np.savez(folder / "cameras.npz", **{key: array for key, array in arrays.items() if array is not None})


def edit_images(folder: Path, change: Any) -> None:
    """Replace every image of image/ or mask/ by `change(pixels)`, an array or a Pillow image."""
    for path in sorted(folder.iterdir()):
        changed = change(np.array(Image.open(path)))
        (changed if isinstance(changed, Image.Image) else Image.fromarray(changed)).save(path)


def png_bytes(width: int, height: int, depth: int, data: bytes) -> bytes:
    """An RGB PNG file: header, the compressed lines in `data`, end."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    packed = [struct.pack(">I", len(part)) + name + part + _crc(name + part) for name, part in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def _directions(view: View, size: tuple[int, int]) -> np.ndarray:
    """World directions (H, W, 3) of pixels, one unit deep in the camera."""
    column, row = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    pixels = np.stack([column, row, np.ones_like(row)], axis=-1).astype(float)
    return pixels @ (view.R_world_camera @ np.linalg.inv(view.K)).T


def _ball_depth(directions: np.ndarray, away: np.ndarray, radius: float) -> np.ndarray:
    """Along unit directions (H, W, 3) from a camera that is `away` from a ball's centre; infinite past it."""
    b = directions @ away
    radicand = b**2 - (away @ away - radius**2)
    return np.where(radicand > 0, -b - np.sqrt(np.maximum(radicand, 0)), np.inf)


def _look(K: np.ndarray, angle: float, height: float) -> View:
    """A camera at DISTANCE that looks past ORIGIN by a little, tilted."""
    outward = np.array([np.cos(angle), np.sin(angle), height])
    outward /= np.linalg.norm(outward)
    centre = ORIGIN + DISTANCE * outward
    forward = -outward + 0.02 * np.array([np.sin(3 * angle), np.cos(2 * angle), np.sin(angle)])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.1, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return View(K, np.column_stack([right, np.cross(forward, right), forward]), centre)

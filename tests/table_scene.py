"""Plain photos whose truth is known: a mottled ball on a mottled table, before a plain wall."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from taichi_idr.cameras.rotations import facing
from taichi_idr.capture.formats.source import FoundView, Pinhole
from taichi_idr.structure.model import Structure

RADIUS, TABLE = 0.5, 2.0  # of the ball, which touches the table z = 0 at the origin; half of the table's side
DISTANCE, FOCAL = 2.6, 1.1  # of the cameras from the ball's middle; focal length in the photos' longer side
MIDDLE = np.array([0.0, 0.0, RADIUS])
WALL = (150, 160, 190)


@dataclass(frozen=True)
class TableScene:
    """photos: V of (H, W, 3) uint8; masks: V of (H, W) bool; views: their true cameras, of files in `folder`."""

    folder: Path
    photos: list[np.ndarray]
    masks: list[np.ndarray]
    views: list[FoundView]

    def structure(self, generator: np.random.Generator, points: int = 1500, stray: int = 0) -> Structure:
        """True cameras, points of ball and table without error but for some `stray` ones, seen where nothing hides
        them."""
        direction = generator.normal(size=(points, 3))
        ball = MIDDLE + RADIUS * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        table = np.column_stack([generator.uniform(-TABLE, TABLE, (points, 2)), np.zeros(points)])
        places = np.concatenate([ball, table, MIDDLE + generator.uniform(-3, 3, (stray, 3))])
        observing, observed, seen_at = [], [], []
        for view, (found, mask) in enumerate(zip(self.views, self.masks, strict=True)):
            pixel = project(found, places)
            inside = (pixel >= 0).all(axis=1) & (pixel <= np.array(mask.shape[::-1]) - 1).all(axis=1)
            free = inside & ~_hidden(places, np.array(found.centre))
            observing.append(np.full(free.sum(), view))
            observed.append(np.flatnonzero(free))
            seen_at.append(pixel[free])
        parts = (np.concatenate(part) for part in (observing, observed, seen_at))
        return Structure(tuple(self.views), places, np.zeros(len(places)), *parts)


def make_scene(
    folder: Path,
    *,
    views: int = 12,
    size: tuple[int, int] = (120, 160),
    gains: np.ndarray | None = None,
    table: bool = True,
) -> TableScene:
    """Photos as PNG files. size: height, width. gains (V,): brightness of each photo. table: else the ball hangs before
    the wall."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(3)
    bright = np.ones(views) if gains is None else gains
    textures = _mottled(generator, (64, 64, 64), (0.2, 0.75, 0.35)), _mottled(generator, (256, 256), (0.6, 0.45, 0.3))
    photos, masks, found = [], [], []
    for view in range(views):
        camera = _camera(folder / f"photo_{view:02d}.png", 2 * np.pi * view / views, view % 2, size)
        colour, mask = _photograph(camera, textures, table=table)
        photo = np.rint(255 * np.clip(bright[view] * colour, 0, 1)).astype(np.uint8)
        Image.fromarray(photo).save(camera.image)
        photos.append(photo)
        masks.append(mask)
        found.append(camera)
    return TableScene(folder, photos, masks, found)


def project(view: FoundView, points: np.ndarray) -> np.ndarray:
    """Column and row (N, 2)."""
    x, y, z = ((points - view.centre) @ np.array(view.rotation)).T
    p = view.pinhole
    return np.stack([p.fx * x / z + p.cx, p.fy * y / z + p.cy], axis=1)


def _camera(file: Path, turn: float, ring: int, size: tuple[int, int]) -> FoundView:
    height, width = size
    elevation = (0.35, 0.75)[ring]
    outward = np.array([np.cos(turn) * np.cos(elevation), np.sin(turn) * np.cos(elevation), np.sin(elevation)])
    centre = MIDDLE + DISTANCE * outward
    a, b, c = facing(-outward, np.array([0.0, 0, 1])).tolist()
    focal = FOCAL * max(size)
    pinhole = Pinhole(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
    return FoundView(file, (tuple(a), tuple(b), tuple(c)), tuple(centre.tolist()), pinhole)


def _photograph(
    view: FoundView, textures: tuple[np.ndarray, np.ndarray], *, table: bool
) -> tuple[np.ndarray, np.ndarray]:
    p = view.pinhole
    u, v = np.meshgrid(np.arange(p.width), np.arange(p.height))
    local = np.stack([(u - p.cx) / p.fx, (v - p.cy) / p.fy, np.ones(u.shape)], axis=-1)
    rays = local @ np.array(view.rotation).T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    centre = np.array(view.centre)
    depth = _ball_depth(centre, rays)
    mask = np.isfinite(depth)
    on_table = centre + rays * (-centre[2] / np.where(rays[..., 2] < -1e-6, rays[..., 2], np.nan))[..., None]
    colour = np.empty((*u.shape, 3))
    colour[:] = np.array(WALL) / 255
    tabled = (np.abs(on_table[..., :2]) < TABLE).all(axis=-1) & table
    colour[tabled] = _looked_up(textures[1], on_table[tabled][:, :2] / TABLE)
    on_ball = centre + rays[mask] * depth[mask][:, None]
    colour[mask] = _looked_up(textures[0], (on_ball - MIDDLE) / RADIUS)
    return colour, mask


def _ball_depth(centre: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Infinite where rays miss the ball."""
    away = centre - MIDDLE
    half = rays @ away
    square = half**2 - (away @ away - RADIUS**2)
    return np.where(square > 0, -half - np.sqrt(np.maximum(square, 0)), np.inf)


def _hidden(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Points (N,) bool that the ball hides from a camera."""
    towards = points - centre
    away = np.linalg.norm(towards, axis=1)
    return _ball_depth(centre, towards / away[:, None]) < away - 1e-3


def _mottled(generator: np.random.Generator, shape: tuple[int, ...], colour: tuple[float, float, float]) -> np.ndarray:
    """Noise of several sizes about a colour."""
    layers = [gaussian_filter(generator.normal(size=shape), width, mode="wrap") for width in (0.6, 1.5, 4)]
    noise = sum(layer / layer.std() for layer in layers)
    return np.array(colour) * (1 + 0.16 * np.asarray(noise)[..., None])


def _looked_up(texture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """At places (N, D) in [-1, 1]."""
    indices = ((places + 1) / 2 * (np.array(texture.shape[:-1]) - 1)).T
    return np.stack([map_coordinates(texture[..., k], indices, order=1) for k in range(3)], axis=-1)

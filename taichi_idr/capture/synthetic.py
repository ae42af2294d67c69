"""A capture of our own in the IDR format: path-traced photos of an ewer, silhouettes, cameras, exact mesh.

Three frames: *object* (kernels/ewer.py, z up), *world* (millimetres, y up, off the origin) and *normalised*
(`scale_mat_i`). What a reader must get right is visible: unit, offset, axes, an off-centre principal point.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from PIL import Image
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes
from trimesh.exchange.ply import export_ply

from .. import runtime
from ..cameras.rotations import facing
from ..errors import UsageError
from ..files.writing import atomic_write, create_folder, write_filled
from ..kernels import ewer, path_tracer

UP = np.array([0.0, 0.0, 1.0])
OBJECT_UNIT = 105.0
"""Millimetres per object unit: the ewer is about 15 cm high."""
OBJECT_ORIGIN = np.array([210.0, -60.0, 540.0])
"""World position of the object frame's origin, mm."""
NORMALISED_UNIT = 124.0
"""Millimetres per normalised unit: the ewer's radius is then 0.73."""
ROUGH_DEGREES, ROUGH_MILLIMETRES = 1.4, 5.0
"""Root-mean-square error of the poses of `cameras_noisy.npz`."""

_LIGHTS = [  # centre, radius, radiance: a warm key, a cool fill, a rim
    [2.2, -2.0, 2.6, 0.42, 42.0, 39.0, 35.0],
    [-2.8, -1.4, 1.2, 0.54, 9.7, 11.7, 15.3],
    [-0.6, 2.8, 1.8, 0.36, 22.0, 18.0, 15.3],
]
_SKY = [[0.55, 0.60, 0.68], [0.28, 0.25, 0.22], [1.0, 1.0, 1.0]]
_PALETTE = [
    [0.78, 0.70, 0.55],
    [0.03, 0.09, 0.34],
    [0.03, 0.20, 0.20],
    [0.72, 0.42, 0.09],
    [0.50, 0.05, 0.04],
    [0.50, 0.18, 0.08],
]
_COAT = [0.05, 60.0]
_PIXELS_PER_LAUNCH = 16384
_FOCAL = 1.62
_DISTANCE = 3.3
_ELEVATIONS = (-38.0, 78.0)


@dataclass(frozen=True)
class Photo:
    """`colour` (H, W, 3) uint8 sRGB, `mask` (H, W) bool, `world_mat` (4, 4) = K [R|t] over 0 0 0 1."""

    colour: np.ndarray
    mask: np.ndarray
    world_mat: np.ndarray


@dataclass(frozen=True)
class _View:
    """K (3, 3) in pixels; R (3, 3) camera to object axes; centre (3,) in the object's frame."""

    K: np.ndarray
    R: np.ndarray
    centre: np.ndarray


def make_capture(
    folder: Path,
    *,
    views: int = 24,
    heldout: int = 4,
    size: tuple[int, int] = (320, 320),
    samples: int = 12,
    bounces: int = 2,
    mesh_resolution: int = 256,
    seed: int = 0,
    on_view: Callable[[int, int], None] | None = None,
) -> Path:
    """Write image/, mask/, cameras.npz, cameras_noisy.npz, heldout/ and gt_mesh.ply to `folder`; return it.

    `size`: height, width in pixels; `samples`: paths per pixel; `on_view(done, total)` follows each photo.
    A folder that already holds the capture of the same settings is left as it is.

    >>> folder = make_capture(capture.with_name("another"), views=3, heldout=0, size=(16, 16), samples=1)
    >>> sorted(path.name for path in folder.iterdir())
    ['cameras.npz', 'cameras_noisy.npz', 'gt_mesh.ply', 'image', 'made_with.json', 'mask']

    Raises UsageError for numbers that make no capture, CannotCreate where the folder cannot be written.
    """
    if views < 3 or heldout < 0 or min(size) < 16 or samples < 1:
        text = f"views={views}, heldout={heldout}, size={size}, samples={samples}"
        why = "expected 3 views, 16 pixels and 1 sample at least"
        raise UsageError("no capture can be made", where=text, why=why)
    settings = {
        "views": views,
        "heldout": heldout,
        "size": list(size),
        "samples": samples,
        "bounces": bounces,
        "mesh_resolution": mesh_resolution,
        "seed": seed,
    }
    folder = Path(folder)
    stamp = folder / "made_with.json"
    text = json.dumps(settings, indent=1) + "\n"
    if stamp.is_file() and stamp.read_bytes() == text.encode():
        return folder
    create_folder(folder)
    stamp.unlink(missing_ok=True)
    generator = np.random.default_rng(seed)
    photos = _Photographer(size, samples, bounces, seed, views + heldout, on_view)
    training = [photos.take(view) for view in _viewpoints(views, size, generator)]
    _write_views(folder, training)
    _write_cameras(folder / "cameras_noisy.npz", [_roughened(photo.world_mat, generator) for photo in training])
    if heldout:
        _write_views(folder / "heldout", [photos.take(view) for view in _viewpoints(heldout, size, generator, 0.5)])
    atomic_write(folder / "gt_mesh.ply", export_ply(exact_mesh(mesh_resolution)))
    atomic_write(stamp, text)
    return folder


def exact_mesh(resolution: int = 256) -> trimesh.Trimesh:
    """The ewer in the world frame, mm: marching cubes of `resolution` samples per axis, vertices on f = 0.

    Vertex colours are sRGB reflectance.
    """
    half = ewer.BOUND * 1.02
    vertices, faces, _, _ = marching_cubes(_lattice(half, resolution), 0.0)
    points = _tensor(vertices * (2 * half / (resolution - 1)) - half)
    palette, normals, colours = _tensor(_PALETTE), torch.empty_like(points), torch.empty_like(points)
    value = points.new_empty(len(points))
    for _ in range(3):
        runtime.launch(ewer.ewer_distance, points, value)
        runtime.launch(ewer.ewer_surface, points, palette, normals, colours)
        points = points - value[:, None] * normals
    world = transformed(T_world_object(), points.double().cpu().numpy())
    return trimesh.Trimesh(world, faces, vertex_colors=to_srgb(colours.cpu().numpy()), process=False)


def T_world_object() -> np.ndarray:
    """(4, 4) similarity: object z becomes world y, turned by 25 degrees about it."""
    T = np.eye(4)
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    T[:3, :3] = OBJECT_UNIT * Rotation.from_euler("y", 25.0, degrees=True).as_matrix() @ axes
    T[:3, 3] = OBJECT_ORIGIN
    return T


def scale_mat() -> np.ndarray:
    """(4, 4) normalised to world, as the IDR format has it: a scale and an offset."""
    T = np.diag([NORMALISED_UNIT, NORMALISED_UNIT, NORMALISED_UNIT, 1.0])
    T[:3, 3] = OBJECT_ORIGIN
    return T


def transformed(T: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) through the affine T (4, 4)."""
    return points @ T[:3, :3].T + T[:3, 3]


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB bytes (IEC 61966-2-1), clipped."""
    clipped = np.clip(linear, 0.0, 1.0)
    encoded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.round(255.0 * encoded).astype(np.uint8)


class _Photographer:
    """Takes photos with fixed settings; counts them, so that each has random numbers of its own."""

    def __init__(
        self,
        size: tuple[int, int],
        samples: int,
        bounces: int,
        seed: int,
        total: int,
        on_view: Callable[[int, int], None] | None,
    ) -> None:
        self.size, self.samples, self.bounces, self.seed = size, samples, bounces, seed
        self.done, self.total, self.on_view = 0, total, on_view
        self.scene = [_tensor(_LIGHTS), _tensor(_SKY), _tensor(_PALETTE), _tensor(_COAT)]
        v, u = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
        # Kernel threads take contiguous pixels: shuffled, each gets its share of the object.
        self.order = torch.randperm(u.numel(), generator=torch.Generator().manual_seed(seed))
        self.pixels = torch.stack([u.flatten(), v.flatten()], dim=1)[self.order]

    def take(self, view: _View) -> Photo:
        radiance, inside = self._expose(view)
        self.done += 1
        if self.on_view:
            self.on_view(self.done, self.total)
        height, width = self.size
        colour = to_srgb(radiance.double().numpy()).reshape(height, width, 3)
        return Photo(colour, inside.bool().numpy().reshape(height, width), _world_mat(view))

    def _expose(self, view: _View) -> tuple[torch.Tensor, torch.Tensor]:
        """Radiance (H W, 3) and silhouette (H W,), row by row."""
        camera = _tensor(np.vstack([view.R @ np.linalg.inv(view.K), view.centre]))
        radiance, inside = torch.empty(len(self.order), 3), torch.empty(len(self.order), dtype=torch.int32)
        for order, pixels in zip(
            self.order.split(_PIXELS_PER_LAUNCH), self.pixels.split(_PIXELS_PER_LAUNCH), strict=True
        ):
            where = _tensor(pixels)
            out, hit = where.new_empty(len(where), 3), where.new_empty(len(where), dtype=torch.int32)
            numbers = (self.samples, self.bounces, 1000 * self.seed + self.done)
            runtime.launch(path_tracer.photograph, camera, where, *self.scene, *numbers, out, hit)
            radiance[order], inside[order] = out.to("cpu", torch.float32), hit.cpu()
        return radiance, inside


def _viewpoints(count: int, size: tuple[int, int], generator: np.random.Generator, shift: float = 0.0) -> list[_View]:
    """A spiral in even steps of elevation, so that a third of the photos look into the mouth.

    Hands are not steady: distance and aim vary.
    """
    low, high = (math.radians(angle) for angle in _ELEVATIONS)
    golden = math.pi * (3.0 - math.sqrt(5.0))
    views = []
    for index in range(count):
        rise = math.sin(low + (high - low) * (index + 0.5) / count)
        turn = golden * (index + shift) + 2.0 * shift
        level = math.sqrt(1.0 - rise * rise)
        direction = np.array([level * math.cos(turn), level * math.sin(turn), rise])
        centre = _DISTANCE * generator.uniform(0.95, 1.05) * direction
        views.append(_View(_intrinsics(size), facing(generator.uniform(-0.03, 0.03, 3) - centre, UP), centre))
    return views


def _intrinsics(size: tuple[int, int]) -> np.ndarray:
    """K (3, 3); the principal point is off the middle by about a hundredth of the photo."""
    height, width = size
    focal = _FOCAL * min(size)
    cx, cy = (width - 1) / 2 + 0.011 * width, (height - 1) / 2 - 0.014 * height
    return np.array([[focal, 0.0, cx], [0.0, focal, cy], [0.0, 0.0, 1.0]])


def _world_mat(view: _View) -> np.ndarray:
    """K [R|t] over 0 0 0 1, world to pixel."""
    T = T_world_object()
    R_world_camera = T[:3, :3] / OBJECT_UNIT @ view.R
    centre = transformed(T, view.centre[None])[0]
    return _projection(view.K, R_world_camera, centre)


def _projection(K: np.ndarray, R_world_camera: np.ndarray, centre: np.ndarray) -> np.ndarray:
    P = np.eye(4)
    P[:3, :3] = K @ R_world_camera.T
    P[:3, 3] = -P[:3, :3] @ centre
    return P


def _roughened(world_mat: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same camera, turned and moved by normal errors."""
    turn = Rotation.from_rotvec(np.radians(ROUGH_DEGREES) / math.sqrt(3.0) * generator.standard_normal(3)).as_matrix()
    centre = -np.linalg.solve(world_mat[:3, :3], world_mat[:3, 3])
    moved = centre + ROUGH_MILLIMETRES / math.sqrt(3.0) * generator.standard_normal(3)
    return _projection(world_mat[:3, :3] @ turn, np.eye(3), moved)


def _write_views(folder: Path, photos: list[Photo]) -> None:
    for kind in ("image", "mask"):
        for old in create_folder(folder / kind).glob("[0-9][0-9][0-9].png"):
            old.unlink()
    for index, photo in enumerate(photos):
        for kind, picture in (("image", photo.colour), ("mask", photo.mask.astype(np.uint8) * 255)):
            write_filled(folder / kind / f"{index:03d}.png", partial(Image.fromarray(picture).save, format="PNG"))
    _write_cameras(folder / "cameras.npz", [photo.world_mat for photo in photos])


def _write_cameras(file: Path, world_mats: list[np.ndarray]) -> None:
    named: dict[str, Any] = {f"world_mat_{index}": matrix for index, matrix in enumerate(world_mats)}
    named |= {f"scale_mat_{index}": scale_mat() for index in range(len(world_mats))}
    write_filled(file, lambda data: np.savez(data, **named))


def _lattice(half: float, resolution: int) -> np.ndarray:
    """f on resolution^3 points of [-half, half]^3, a slab at a time."""
    axis = _tensor(np.linspace(-half, half, resolution))
    y, z = torch.meshgrid(axis, axis, indexing="ij")
    slab = torch.stack([torch.zeros_like(y), y, z], dim=2).reshape(-1, 3)
    values = np.empty((resolution, resolution, resolution), dtype=np.float32)
    for index in range(resolution):
        slab[:, 0] = axis[index]
        out = slab.new_empty(len(slab))
        runtime.launch(ewer.ewer_distance, slab, out)
        values[index] = out.reshape(resolution, resolution).float().cpu().numpy()
    return values


def _tensor(values: object) -> torch.Tensor:
    running = runtime.current()
    return torch.as_tensor(values, dtype=running.dtype, device=running.device).contiguous()

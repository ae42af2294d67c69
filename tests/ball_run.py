"""A run whose field is known: a coloured ball, photographed exactly, so that every measurement has a true
value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.cameras.rotations import facing, quaternions_from_rotations
from taichi_idr.capture.formats.matrices import write_idr_cameras
from taichi_idr.config import TracerConfig
from taichi_idr.fields.model import Model
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.pictures.colours import eight_bit
from taichi_idr.pictures.rendering import render_view
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import LoadedRun
from taichi_idr.tracing.exact import trace
from taichi_idr.types import Cameras, CaptureReading, Hits, Rays

RADIUS = 0.5
HEIGHT, WIDTH = 48, 64
SCALE, SHIFT = 100.0, (10.0, -20.0, 600.0)


def distance_of_ball(resolution: int = 64) -> Tensor:
    """Signed distance (M, M, M) at the points of a lattice over [-1, 1]^3."""
    axis = torch.linspace(-1, 1, resolution)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).norm(dim=-1) - RADIUS


class BallModel(Model):
    """A ball whose colours say where a point is."""

    def __init__(self, radius: float = RADIUS) -> None:
        super().__init__()
        self.ball = radius

    @property
    def dtype(self) -> torch.dtype:
        return runtime.current().dtype

    @property
    def device(self) -> torch.device:
        return runtime.current().device

    @property
    def radius(self) -> float:
        return 1.0

    def surface(self, points: Tensor) -> Tensor:
        return points.norm(dim=1) - self.ball

    def gradient(self, points: Tensor) -> Tensor:
        return 2 * points

    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        return 0.5 + 0.4 * torch.nn.functional.normalize(points, dim=1)

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        return trace(rays, self.surface, TracerConfig())


@dataclass
class BallRun:
    """`loaded` may be replaced: what loads the run then finds another."""

    folder: Path
    capture: Path
    loaded: LoadedRun


def make_ball_run(base: Path, radius: float = RADIUS) -> BallRun:
    """A capture with six photos and two held out of a ball of RADIUS, and a run whose model is a ball of
    `radius`."""
    photographed: Any = BallModel()
    fitted: Any = BallModel(radius)
    cameras = around(6, elevation=0.4)
    capture = base / "ball"
    _photograph(photographed, cameras, capture)
    _photograph(photographed, around(2, elevation=-0.3), capture / "heldout")
    folder = RunFolder(base / "run")
    folder.create()
    folder.write_config(FastConfig())
    (folder.checkpoints / "00000001.tidr").write_bytes(b"")
    loaded = LoadedRun(folder.path, fitted, FastConfig(), cameras, T_world_normalised(), capture, 1, CaptureReading())
    return BallRun(folder.path, capture, loaded)


def T_world_normalised() -> np.ndarray:
    T = np.diag([SCALE, SCALE, SCALE, 1.0])
    T[:3, 3] = SHIFT
    return T


def around(count: int, *, elevation: float, distance: float = 2.5) -> Cameras:
    """Cameras (float64) on a circle that look at the origin, z upward."""
    turns = 2 * np.pi * np.arange(count) / count
    level = np.stack([np.cos(turns), np.sin(turns), np.full(count, np.tan(elevation))], axis=1)
    centres = distance * np.cos(elevation) * level
    rotations = np.stack([facing(-centre, np.array([0.0, 0, 1])) for centre in centres])
    K = torch.tensor([[70.0, 0, (WIDTH - 1) / 2], [0, 70, (HEIGHT - 1) / 2], [0, 0, 1]], dtype=torch.float64)
    quaternions = quaternions_from_rotations(torch.from_numpy(rotations))
    return Cameras(quaternions, torch.from_numpy(centres), K.repeat(count, 1, 1))


def _photograph(model: Any, cameras: Cameras, folder: Path) -> None:
    for name in ("image", "mask"):
        (folder / name).mkdir(parents=True)
    for view in range(len(cameras)):
        rendered = render_view(model, cameras[[view]], HEIGHT, WIDTH, smooth=True)
        Image.fromarray(eight_bit(rendered.colour)).save(folder / "image" / f"{view:03d}.png")
        Image.fromarray(rendered.hit).save(folder / "mask" / f"{view:03d}.png")
    write_idr_cameras(folder / "cameras.npz", cameras, T_world_normalised())

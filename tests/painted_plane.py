"""Two photos of the plane z = 0: painted in waves, or rough."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from taichi_idr import runtime
from taichi_idr.cameras.pinhole import inverse_intrinsics
from taichi_idr.cameras.rotations import rotation_matrices
from taichi_idr.ops.patch_consistency import ABSENT, SHADES, PosedPhotos, posed_photos
from taichi_idr.types import Cameras

SIZES = ((60, 80), (70, 64))


def cameras() -> Cameras:
    """Two views of the plane z = 0 from z = -3, some 20 degrees apart; the second a little closer."""
    turned = np.radians([6.0, -14.0])
    centres = np.stack([[3 * np.sin(-a), 0.1 * a, -3 * np.cos(a) * s] for a, s in zip(turned, (1, 0.9), strict=True)])
    quaternions = np.stack([[np.cos(a / 2), 0, np.sin(a / 2), 0] for a in turned])
    K = np.stack([[[120.0, 0.3, w / 2], [0, 118, h / 2], [0, 0, 1]] for h, w in SIZES])
    return Cameras(torch.from_numpy(quaternions), torch.from_numpy(centres), torch.from_numpy(K))


def posed(shades: list[np.ndarray]) -> PosedPhotos:
    """Photos of values in units of 1 / SHADES in the cameras' views."""
    flat = torch.from_numpy(np.concatenate([s.reshape(-1) for s in shades]).astype(np.int16))
    device = runtime.current().device
    return posed_photos(flat.to(device), torch.tensor(SIZES, device=device), cameras())


def rough_photos(generator: torch.Generator) -> PosedPhotos:
    rough = [torch.rand(*size, generator=generator, dtype=torch.float64).numpy() for size in SIZES]
    smooth = [ndimage.gaussian_filter(x, 2.0) for x in rough]
    shades = [0.9 * SHADES * (x - x.min()) / np.ptp(x) for x in smooth]
    shades[1][:20, :15] = ABSENT
    return posed(shades)


def plane_pixels() -> tuple[np.ndarray, np.ndarray]:
    """Points (x, y) of the plane z = 0 that each pixel of either view sees."""
    views = cameras()
    inverse = (rotation_matrices(views.quaternions) @ inverse_intrinsics(views)).numpy()
    seen = []
    for (height, width), F, c in zip(SIZES, inverse, views.centres.numpy(), strict=True):
        v, u = np.mgrid[:height, :width]
        d = np.stack([u, v, np.ones_like(u)], axis=-1) @ F.T
        seen.append((c - c[2] / d[..., 2:] * d)[..., :2])
    return seen[0], seen[1]


def painted_plane() -> PosedPhotos:
    """Waves several pixels long on the plane z = 0: bilinear photos show them within a few thousandths."""

    def paint(place: np.ndarray) -> np.ndarray:
        x, y = place[..., 0], place[..., 1]
        return SHADES * (0.2 * np.sin(9 * x + 3 * y) + 0.15 * np.sin(10 * y - 4 * x) + 0.08 * np.sin(7 * x - 7 * y))

    return posed([paint(place) for place in plane_pixels()])

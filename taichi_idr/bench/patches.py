"""Patches of photos: sought in another photo, and compared along the tangent plane of a surface."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..config import StereoConfig
from ..methods.fast.settings import QUALITY
from ..ops.depth_maps import Looks, look_at_points
from ..ops.patch_align import align_patches
from ..ops.patch_consistency import SHADES, PosedPhotos, patch_likeness, posed_photos, tangent_planes
from ..ops.plane_sweep import Sweep, plane_sweep
from ..reference import depth_maps as looks_twin
from ..reference import patch_align as align_twin
from ..reference import patch_consistency as likeness_twin
from ..reference import plane_sweep as sweep_twin
from ..types import Cameras
from .case import Case, Gate, Work
from .scene import Scene

REACH, STEPS = 4, 5  # patches of 9 x 9 pixels
CONSISTENCY = QUALITY.consistency
SETTINGS = {"reach": CONSISTENCY.reach, "spacing": CONSISTENCY.spacing, "least_contrast": CONSISTENCY.least_contrast}
PIXELS = (2 * CONSISTENCY.reach + 1) ** 2
STEREO, TRIED = StereoConfig(), 8
VIEWS, FOCAL, SIZE = 12, 400.0, (300, 400)
APART, BALL, MIDDLE = 0.3, 0.6, 60  # spread of the cameras' directions; radius; pixels around a photo's centre


def align(scene: Scene, size: int) -> Case:
    """Patches of 9 x 9 pixels sought in a photo by Lucas and Kanade, five steps."""
    photo = _photo(scene)
    side = torch.arange(-REACH, REACH + 1.0)
    square = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).view(-1, 2).to(photo)
    room = torch.tensor(photo.shape[::-1]).to(photo) - 4 * REACH
    there = 2 * REACH + room * scene.uniform(size, 1, 2) + square
    values, _ = align_twin.bilinear(photo, there)
    centred = values - values.mean(dim=1, keepdim=True)
    sought = centred / centred.square().mean(dim=1, keepdim=True).sqrt()
    start = 2 * scene.uniform(size, 2) - 1
    arguments, settings = (photo, sought, there, start), {"spread": 1.0, "steps": STEPS}
    pixels = len(square)
    # Each pixel's place and value once; a step reads four neighbours, two of them together, and adds to 13 sums.
    work = Work(bytes=12 * pixels + 40, gathers=2 * STEPS * pixels, operations=60 * STEPS * pixels)
    ours = lambda: align_patches(*arguments, **settings)  # noqa: E731
    twin = lambda: align_twin.align_patches(*arguments, **settings)  # noqa: E731
    # Where a patch is nearly flat its steps multiply what sums differ by.
    return Case(ours, twin, (Gate(2e-3, 5e-3), Gate(1e-3, 5e-3), Gate(1e-3, 5e-3), Gate(2e-3, 5e-3)), work=work)


def likeness(scene: Scene, size: int) -> Case:
    """How alike each patch is to what six other photos show of its tangent plane."""
    planes, *rest = _on_a_ball(scene, size)
    ours = lambda: (patch_likeness(planes, *rest, **SETTINGS),)  # noqa: E731
    twin = lambda: (likeness_twin.patch_likeness(planes, *rest, **SETTINGS),)  # noqa: E731
    return Case(ours, twin, (Gate(1e-4, 1e-3),), work=_likeness_work(operations=35))  # measured 1.1e-5


def likeness_adjoint(scene: Scene, size: int) -> Case:
    """The same with its adjoint to the planes: one pass over the patches gives both."""
    planes, *rest = _on_a_ball(scene, size)
    leaf = planes.requires_grad_()
    bar = scene.normal(size, CONSISTENCY.sources)
    ours = lambda: torch.autograd.grad(patch_likeness(leaf, *rest, **SETTINGS), leaf, bar)  # noqa: E731
    twin = lambda: torch.autograd.grad(likeness_twin.patch_likeness(leaf, *rest, **SETTINGS), leaf, bar)  # noqa: E731
    return Case(ours, twin, (Gate(1e-2, 1e-3),), work=_likeness_work(operations=70))  # measured 1.1e-3, of the largest


def sweep(scene: Scene, size: int) -> Case:
    """The best of eight planes around each pixel's, by patches of 5 x 5 pixels in six other photos."""
    planes, photos, view, pixel, _ = _on_a_ball(scene, size)
    sources = (
        torch.arange(VIEWS, device=view.device)[:, None] + 1 + torch.arange(STEREO.sources, device=view.device)
    ) % VIEWS
    ones = torch.ones_like(planes[:, 0])
    tried = Sweep(planes, 0.97 * ones, 0.01 * ones, torch.full_like(view, TRIED))
    settings = {"reach": STEREO.reach, "best": STEREO.best, "least_contrast": STEREO.least_contrast}
    arguments = (photos, sources.int(), view, pixel, tried)
    patches, values = TRIED * STEREO.sources, (2 * STEREO.reach + 1) ** 2
    work = Work(bytes=32 + 2 * values, gathers=2 * patches * values, operations=30 * patches * values)
    ours = lambda: plane_sweep(*arguments, **settings)  # noqa: E731
    twin = lambda: sweep_twin.plane_sweep(*arguments, **settings)  # noqa: E731
    # Two planes may be equally alike within rounding.
    return Case(ours, twin, (Gate(1e-3, 5e-3), Gate(1e-3, 5e-3)), work=work)


def depths(scene: Scene, size: int) -> Case:
    """What the depth maps of twelve views of a ball say about points around it."""
    photos = _posed(scene, scene.cameras(scene.normal(1, 3) + APART * scene.normal(VIEWS, 3), FOCAL, SIZE))
    maps = torch.cat([_ball_planes(camera) for camera in photos.cameras])
    points = scene.points(size)
    group = torch.zeros(size, dtype=torch.int32, device=points.device)
    everyone = torch.arange(VIEWS, dtype=torch.int32, device=points.device)[None]
    arguments, limits = (maps, photos, points, group, everyone), {"at_most": 1.0, "through": 1.5, "thickness": 0.1}
    ours = lambda: _told(look_at_points(*arguments, **limits))  # noqa: E731
    twin = lambda: _told(looks_twin.look_at_points(*arguments, **limits))  # noqa: E731
    work = Work(bytes=32, gathers=2 * VIEWS, operations=60 * VIEWS)
    # Points next to a pixel's edge, or to a limit, are on its other side within rounding.
    return Case(ours, twin, (Gate(0.0, 5e-3), Gate(0.0, 5e-3), Gate(1e-3, 5e-3), Gate(1e-3, 5e-3)), work=work)


def _told(looks: Looks) -> tuple[Tensor, ...]:
    return looks.at, looks.through, looks.distance, looks.weight


def _ball_planes(camera: Tensor) -> Tensor:
    """Tangent planes of the ball at every pixel of a photo (H W, 3), 0 beside it."""
    row, column = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    pixel = torch.stack([column, row, torch.ones_like(row)], dim=-1).view(-1, 3).to(camera)
    directions = torch.nn.functional.normalize(pixel @ camera[:3].T, dim=1)
    middle = directions @ camera[6]
    radicand = middle**2 - camera[6] @ camera[6] + BALL**2
    points = camera[6] - (middle + radicand.clamp(min=0).sqrt())[:, None] * directions
    return torch.where(radicand[:, None] > 0, tangent_planes(points, points, camera[6:]), 0)


def _likeness_work(operations: float) -> Work:
    """operations: of a pixel in one other photo; it reads four neighbours there, two of them together."""
    pairs = CONSISTENCY.sources * PIXELS
    return Work(bytes=2 * PIXELS + 24 + 8 * CONSISTENCY.sources, gathers=2 * pairs, operations=operations * pairs)


def _on_a_ball(scene: Scene, size: int) -> tuple[Any, ...]:
    """Arguments of `patch_likeness` at points of a ball that neighbouring cameras see."""
    towards = scene.normal(1, 3) + APART * scene.normal(VIEWS, 3)
    cameras = scene.cameras(towards, FOCAL, SIZE)
    photos = _posed(scene, cameras)
    view = scene.integers(VIEWS, size)
    centre = torch.tensor([SIZE[1] // 2, SIZE[0] // 2], dtype=torch.int32, device=view.device)
    pixel = centre - MIDDLE + scene.integers(2 * MIDDLE, 2 * size).view(-1, 2)
    sources = ((view[:, None] + 1 + torch.arange(CONSISTENCY.sources, device=view.device)) % VIEWS).int()
    to_frame, origins = photos.cameras[view.long(), :3], photos.cameras[view.long(), 6]
    directions = torch.einsum("nij,nj->ni", to_frame, torch.cat([pixel, torch.ones_like(pixel[:, :1])], 1).to(origins))
    directions = torch.nn.functional.normalize(directions, dim=1)
    middle = -(origins * directions).sum(dim=1, keepdim=True)
    nearest = origins + middle * directions
    points = nearest - (BALL**2 - nearest.square().sum(dim=1, keepdim=True)).clamp(min=0).sqrt() * directions
    return tangent_planes(points, points, origins), photos, view, pixel, sources


def _posed(scene: Scene, cameras: Cameras) -> PosedPhotos:
    shades = torch.cat([(SHADES * _photo(scene)).flatten() for _ in range(VIEWS)]).to(torch.int16)
    return posed_photos(shades, torch.tensor([SIZE] * VIEWS, device=shades.device), cameras)


def _photo(scene: Scene) -> Tensor:
    """Smooth noise (300, 400)."""
    coarse = scene.uniform(1, 1, 60, 80)
    fine = torch.nn.functional.interpolate(coarse, size=(300, 400), mode="bicubic", align_corners=True)
    return fine[0, 0].contiguous()

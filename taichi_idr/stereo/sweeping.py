"""Depth of every object pixel, from coarse to fine: parallel planes across the hull, then slanted ones around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.ndimage import binary_dilation
from torch import Tensor

from ..config import StereoConfig
from ..ops.patch_consistency import TO_PIXEL, UNSEEN, PosedPhotos
from ..ops.plane_sweep import Sweep, plane_sweep
from ..ops.visual_hull import first_occupied
from ..types import Rays
from .local_planes import fitted_planes
from .small_photos import SmallPhotos, halved

COARSE_STEP = 1.25  # of pixels at that depth, between planes
WIDE_STEP, WIDE_PLANES = 0.7, 3  # each way
SHARP = ((0.25, 2), (0.15, 1))
WINDOW = 2  # pixels from the middle of the window that a plane is fitted to
ALIKE = 3.0  # pixels in depth within which neighbours are of one surface
FAR = 4.0  # beyond the hull on any ray
SPREAD = ((2, 0), (-2, 0), (0, 2), (0, -2))  # pixels from which planes are taken over
Between = Callable[[], None]


@dataclass(frozen=True)
class Depths:
    """Of N object pixels: planes (N, 3), v of the surface's tangent plane there; likeness (N,), UNSEEN without one."""

    photos: SmallPhotos
    planes: Tensor
    likeness: Tensor

    @property
    def inverse(self) -> Tensor:
        """Inverse depth (N,); 0 where none is known."""
        inverse = (self.planes * self.photos.directions).sum(dim=1)
        return torch.where(self.likeness > UNSEEN, inverse, 0)


def sweep_depths(
    photos: SmallPhotos, sharp: PosedPhotos, sources: Tensor, hull: Tensor, config: StereoConfig, between: Between
) -> Depths:
    """Depths of the photos' object pixels, sought within a hull (M, M, M) bool over [-1, 1]^3.

    sharp: the same photos at twice the resolution, which have the last word.
    """
    depths = _across(halved(photos), sources, hull, config)
    between()
    depths = _around(_finer(photos, depths), sources, config, WIDE_STEP, WIDE_PLANES)
    for offset in SPREAD:
        between()
        depths = _spread(depths, offset, sources, config)
    for step, planes in SHARP:
        between()
        depths = _around(depths, sources, config, step, planes, sharp)
    return depths


def _across(photos: SmallPhotos, sources: Tensor, hull: Tensor, config: StereoConfig) -> Depths:
    """The best of all planes parallel to the photo that meet the hull on the ray of every other pixel, as on
    a chessboard: their neighbours see the same."""
    near, far = _inverse_interval(photos, hull)
    step = COARSE_STEP * photos.pitch * (near + far) / 2
    meets = (near > 0) & (photos.pixel.sum(dim=1) % 2 == 0)
    count = torch.where(meets, (near - far) / torch.where(meets, step, 1) + 1, 0).ceil().int()
    axis = photos.of_camera(TO_PIXEL + 2)
    return _tried(photos, sources, Sweep(axis, far, step, count), config)


def _inverse_interval(photos: SmallPhotos, hull: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse depths (N,) at which the object pixels' rays enter and leave a hull; 0 where they miss it."""
    grown = torch.from_numpy(binary_dilation(hull.cpu().numpy(), iterations=1))
    rays, long = photos.rays(), photos.directions.norm(dim=1)
    middle = -(rays.origins * rays.directions).sum(dim=1)
    end = middle + FAR / 2
    back = Rays(rays.at(end), -rays.directions)
    enter, leave = first_occupied(grown, rays), first_occupied(grown, back)
    meets = (enter > 0) & (leave >= 0)
    near = torch.where(meets, long / enter.clamp(min=1e-3), 0)
    return near, torch.where(meets, long / (end - leave).clamp(min=1e-3), 0)


def _around(
    depths: Depths,
    sources: Tensor,
    config: StereoConfig,
    step: float,
    planes: int,
    sharp: PosedPhotos | None = None,
) -> Depths:
    """Planes fitted to the depths around each pixel, moved a few steps each way."""
    photos, inverse = depths.photos, depths.inverse
    size = photos.pitch * inverse
    fitted = fitted_planes(photos, inverse, ALIKE * size, WINDOW)
    own = (fitted * photos.directions).sum(dim=1)
    known = own > 0
    base = torch.where(known[:, None], fitted / torch.where(known, own, 1)[:, None], 0)
    step_there = step * photos.pitch * own
    count = torch.where(known, 2 * planes + 1, 0).int()
    return _tried(photos, sources, Sweep(base, own - planes * step_there, step_there, count), config, sharp)


def _finer(photos: SmallPhotos, coarse: Depths) -> Depths:
    """The coarse planes at the pixels of photos of twice the resolution."""
    height, width = coarse.photos.size
    flat = filled(coarse.photos.dense(coarse.planes * (coarse.likeness > UNSEEN)[:, None]), (height, width))
    column, row = (photos.pixel.long() // 2).unbind(1)
    planes = flat[(photos.view.long() * height + row) * width + column]
    known = (planes * photos.directions).sum(dim=1) > 0
    return Depths(photos, planes, torch.where(known, 0.0, UNSEEN).to(planes))


def filled(planes: Tensor, size: tuple[int, int], rounds: int = 2) -> Tensor:
    """Planes (V H W, 3); where there are none, those of a neighbour that has one."""
    table = planes.view(-1, *size, 3)
    for _ in range(rounds):
        for axis in (1, 2):
            for shift in (1, -1):
                moved = torch.roll(table, shift, dims=axis)
                table = torch.where((table == 0).all(dim=3, keepdim=True), moved, table)
    return table.reshape(-1, 3)


def _spread(depths: Depths, offset: tuple[int, int], sources: Tensor, config: StereoConfig) -> Depths:
    """Each pixel takes over the plane of the pixel at an offset, where it fits better."""
    photos = depths.photos
    height, width = photos.size
    table = photos.dense(depths.planes * (depths.likeness > UNSEEN)[:, None]).view(-1, height, width, 3)
    moved = torch.roll(table, offset, dims=(1, 2)).view(-1, 3)[photos.index]
    inverse = (moved * photos.directions).sum(dim=1)
    known = inverse > 0
    ones = torch.where(known, 1.0, 0.0).to(inverse)
    tried = _tried(photos, sources, Sweep(moved.contiguous(), ones, 0 * ones, known.int()), config)
    better = tried.likeness > depths.likeness
    planes = torch.where(better[:, None], tried.planes, depths.planes)
    return Depths(photos, planes, torch.where(better, tried.likeness, depths.likeness))


def _tried(
    photos: SmallPhotos, sources: Tensor, sweep: Sweep, config: StereoConfig, sharp: PosedPhotos | None = None
) -> Depths:
    """The best of the planes: in the photos, or in sharp ones of twice the resolution."""
    settings = {"reach": config.reach, "best": config.best, "least_contrast": config.least_contrast}
    pixel = photos.pixel if sharp is None else 2 * photos.pixel
    factor, likeness = plane_sweep(sharp or photos.posed, sources, photos.view, pixel, sweep, **settings)
    return Depths(photos, sweep.planes * factor[:, None], likeness)

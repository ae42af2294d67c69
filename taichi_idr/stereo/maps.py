"""Depth maps that agree with each other, and what they say about points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import StereoConfig
from ..ops.depth_maps import Looks, look_at_points
from ..ops.patch_consistency import CENTRE
from ..types import Cameras, Capture
from .neighbours import nearest_views
from .small_photos import SmallPhotos, halved, small_photos
from .sweeping import Between, Depths, sweep_depths

NOTHING_LOST = 1e9  # a thickness that leaves nothing out


@dataclass(frozen=True)
class DepthMaps:
    """Of V photos (H, W): planes (V H W, 3), v of the surface's tangent plane v.(X - c) = 1 that a pixel sees, 0 where
    none is known; likeness (V H W,). share: of the object's pixels, those that have one.
    """

    photos: SmallPhotos
    planes: Tensor
    likeness: Tensor
    share: float

    def look(self, points: Tensor, group: Tensor, lookers: Tensor, config: StereoConfig, thickness: float) -> Looks:
        """See `look_at_points`."""
        gaps = {"at_most": config.apart, "through": config.clear, "thickness": thickness}
        return look_at_points(self.planes, self.photos.posed, points, group, lookers, **gaps)

    def all_look(self, points: Tensor, config: StereoConfig, thickness: float) -> Looks:
        """All maps at points (N, 3) of the normalised frame."""
        views = len(self.photos.capture)
        everyone = torch.arange(views, dtype=torch.int32, device=points.device)[None]
        group = torch.zeros(len(points), dtype=torch.int32, device=points.device)
        return self.look(points, group, everyone, config, thickness)


def depth_maps(
    capture: Capture, cameras: Cameras, hull: Tensor, config: StereoConfig, between: Between
) -> DepthMaps | None:
    """Depth maps of a capture's photos in these cameras; None where too few of the object's pixels have a depth.

    hull (M, M, M) bool over [-1, 1]^3: nothing is sought outside it. between: called often, and may raise.
    """
    if len(capture) <= config.agreeing or not bool(hull.any()):
        return None
    chosen = list(range(0, len(capture), -(-len(capture) // config.views)))
    between()
    sharp = small_photos(_some(capture, cameras, chosen), config.side)
    photos = halved(sharp)
    if len(photos.index) == 0:
        return None
    middle = hull.nonzero().double().mean(dim=0) * 2 / (len(hull) - 1) - 1
    around = (photos.posed.cameras[:, CENTRE], middle)
    sources = nearest_views(*around, config.sources, config.narrowest, config.widest)
    depths = sweep_depths(photos, sharp.posed, sources, hull, config, between)
    between()
    maps = _agreeing(depths, nearest_views(*around, config.neighbours, 0.0, config.widest), config)
    return maps if maps.share >= config.least_share else None


def _some(capture: Capture, cameras: Cameras, chosen: list[int]) -> Capture:
    """Some photos of a capture, in these cameras."""
    images, masks = ([of[view] for view in chosen] for of in (capture.images, capture.masks))
    some = cameras[chosen].to(torch.float64)
    return replace(capture, images=images, masks=masks, cameras=some, ignored=(), depths=())


def _agreeing(depths: Depths, neighbours: Tensor, config: StereoConfig) -> DepthMaps:
    """Depths whose patches are alike, and that the maps of neighbouring photos (V, S) show as well."""
    photos = depths.photos
    alike = depths.likeness > config.least_likeness
    planes = photos.dense(torch.where(alike[:, None], depths.planes, 0))
    likeness = photos.dense(depths.likeness)
    maps = DepthMaps(photos, planes, likeness, float(alike.double().mean()))
    inverse = torch.where(alike, depths.inverse, 1)
    points = photos.origins + photos.directions / inverse[:, None]
    looks = maps.look(points, photos.view, neighbours, config, NOTHING_LOST)
    kept = alike & (looks.at >= min(config.agreeing, neighbours.shape[1]))
    planes = photos.dense(torch.where(kept[:, None], depths.planes, 0))
    return DepthMaps(photos, planes, likeness, float(kept.double().mean()))

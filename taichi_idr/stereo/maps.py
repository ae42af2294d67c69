"""Depth maps that agree with each other, and what they say about points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import StereoConfig
from ..errors import warn
from ..ops.depth_maps import Looks, look_at_points
from ..ops.patch_consistency import CENTRE
from ..types import Cameras, Capture
from .known import known_inverse, nothing_found, with_known
from .neighbours import nearest_views
from .small_photos import SmallPhotos, halved, small_photos
from .sweeping import Between, Depths, filled, sweep_depths

NEARLY_ALL = 0.8  # of the object's pixels: nothing is sought where the depth of so many is known
BELIEVED = 0.5  # of the known depths: so many have to agree with each other
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

    @property
    def inverse(self) -> Tensor:
        """Inverse depth (N,) of the object pixels; 0 where none is known."""
        return (self.planes[self.photos.index] * self.photos.directions).sum(dim=1)

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

    Depth that the capture has brought along takes the place of what stereo finds; where nearly all is known, nothing is
    sought. hull (M, M, M) bool over [-1, 1]^3: nothing is sought, or believed, outside it. between: called often, and
    may raise.
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
    neighbours = nearest_views(*around, config.neighbours, 0.0, config.widest)
    known, alone = _believed(photos, hull, neighbours, config)
    between()
    if config.enabled and _share(known) < NEARLY_ALL:
        sources = nearest_views(*around, config.sources, config.narrowest, config.widest)
        swept = sweep_depths(photos, sharp.posed, sources, hull, config, between)
        between()
        maps = _agreeing(with_known(swept, known), neighbours, config)
        if maps.share >= config.least_share:
            return maps
    return alone


def _believed(
    photos: SmallPhotos, hull: Tensor, neighbours: Tensor, config: StereoConfig
) -> tuple[Tensor, DepthMaps | None]:
    """Inverse depth (N,) that the capture has brought along, 0 where none is known, and maps of it alone, None without
    any. Of depths that mostly contradict each other none is believed."""
    known = known_inverse(photos, hull)
    if not bool((known > 0).any()):
        return known, None
    maps = _agreeing(with_known(nothing_found(photos), known), neighbours, config, sparse=True)
    if maps.share >= BELIEVED * _share(known):
        return known, maps
    agreed = maps.share / _share(known)
    warn(f"known depth is not used: other photos' agrees with {agreed:.0%} of what lies in the visual hull")
    return torch.zeros_like(known), None


def _share(inverse: Tensor) -> float:
    """Of known ones (N,)."""
    return float((inverse > 0).double().mean())


def _some(capture: Capture, cameras: Cameras, chosen: list[int]) -> Capture:
    """Some photos of a capture, in these cameras."""
    images, masks = ([of[view] for view in chosen] for of in (capture.images, capture.masks))
    some, depths = cameras[chosen].to(torch.float64), tuple(capture.depths[view] for view in chosen if capture.depths)
    return replace(capture, images=images, masks=masks, cameras=some, ignored=(), depths=depths)


def _agreeing(depths: Depths, neighbours: Tensor, config: StereoConfig, *, sparse: bool = False) -> DepthMaps:
    """Depths whose patches are alike, and that the maps of neighbouring photos (V, S) show as well; sparse ones show
    their planes at the pixels beside them too."""
    photos = depths.photos
    alike = depths.likeness > config.least_likeness
    planes = photos.dense(torch.where(alike[:, None], depths.planes, 0))
    likeness = photos.dense(depths.likeness)
    asked = filled(planes, photos.size) if sparse else planes
    maps = DepthMaps(photos, asked, likeness, float(alike.double().mean()))
    inverse = torch.where(alike, depths.inverse, 1)
    points = photos.origins + photos.directions / inverse[:, None]
    looks = maps.look(points, photos.view, neighbours, config, NOTHING_LOST)
    kept = alike & (looks.at >= min(config.agreeing, neighbours.shape[1]))
    planes = photos.dense(torch.where(kept[:, None], depths.planes, 0))
    return DepthMaps(photos, planes, likeness, float(kept.double().mean()))

"""Where a fit starts that knows its poses: the visual hull, carved and smoothed by depth maps of the photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ...config import StereoConfig
from ...stereo.carving import carve, fused_distance
from ...stereo.maps import depth_maps
from ...stereo.reflections import without_reflections
from ...stereo.surface_points import SurfacePoints, surface_points
from ...types import Cameras, Capture
from .initial_shape import hull_distance

WORTH_SAYING = 0.02  # share of the object's pixels


@dataclass(frozen=True)
class StereoStart:
    """bound, distance (H, H, H): signed distances from the carved hull, and from the surface that photos agree on.

    points: of that surface. line: what was found, in words.
    """

    bound: Tensor
    distance: Tensor
    points: SurfacePoints
    line: str


def stereo_start(
    hull: Tensor, capture: Capture, cameras: Cameras, config: StereoConfig, between: Callable[[], None]
) -> StereoStart | None:
    """From a visual hull (H, H, H) bool; None where photos have too little texture, or are too few or far apart."""
    maps = depth_maps(capture, cameras, hull, config, between) if config.enabled or capture.depths else None
    if maps is None:
        return None
    carved = carve(hull, maps, config)
    between()
    real = without_reflections(maps, carved)
    mirrored = maps.share - real.share
    if mirrored > 0:
        maps, carved = real, carve(hull, real, config)
    few = maps.share < config.least_share and not capture.depths
    if few or not bool(carved.any()) or not bool((maps.inverse > 0).any()):
        return None
    between()
    bound = hull_distance(carved)
    share = 1 - int(carved.sum()) / int(hull.sum())
    word = "depth" if capture.depths else "stereo"
    line = f"{word:<10}{maps.share:.0%} of the object's pixels have a depth, {share:.1%} of the visual hull carved"
    if mirrored >= WORTH_SAYING:
        line += f"; {mirrored:.0%} show a reflection"
    return StereoStart(bound, fused_distance(bound, maps, config), surface_points(maps, config.points), line)

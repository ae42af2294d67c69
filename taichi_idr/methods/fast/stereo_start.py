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

SHINY = 0.05  # share of the object's pixels that show a reflection
POLISHED = 0.25  # share of all depths that are reflections, above which the others may be of shallow ones


@dataclass(frozen=True)
class StereoStart:
    """bound, distance (H, H, H): signed distances from the carved hull, and from the surface that photos agree on.

    points: of that surface, None without any. line: what was found, in words. shiny: whether photos show reflections,
    about which they agree as they do about a surface.
    """

    bound: Tensor
    distance: Tensor
    points: SurfacePoints | None
    line: str
    shiny: bool


def stereo_start(
    hull: Tensor, capture: Capture, cameras: Cameras, config: StereoConfig, between: Callable[[], None]
) -> StereoStart | None:
    """From a visual hull (H, H, H) bool; None where photos have too little texture, or are too few or far apart."""
    maps = depth_maps(capture, cameras, hull, config, between) if config.enabled or capture.depths else None
    if maps is None:
        return None
    found, carved = maps.share, carve(hull, maps, config)
    between()
    maps = without_reflections(maps, carved)
    mirrored = found - maps.share
    if mirrored > 0:
        carved = carve(hull, maps, config)
        between()
    word = "depth" if capture.depths else "stereo"
    shiny, reflections = mirrored > SHINY, f"{mirrored:.0%} of the object's pixels show a reflection"
    enough = maps.share >= config.least_share or bool(capture.depths)
    trusted = mirrored <= POLISHED * found and bool((maps.inverse > 0).any())
    if not (enough and trusted and bool(carved.any())):
        distance = hull_distance(hull)
        line = f"{word:<10}{reflections}: the fit starts from silhouettes"
        return StereoStart(distance, distance, None, line, shiny) if shiny else None
    bound = hull_distance(carved)
    share = 1 - int(carved.sum()) / int(hull.sum())
    line = f"{word:<10}{maps.share:.0%} of the object's pixels have a depth, {share:.1%} of the visual hull carved"
    line = f"{line}; {reflections}" if shiny else line
    return StereoStart(bound, fused_distance(bound, maps, config), surface_points(maps, config.points), line, shiny)

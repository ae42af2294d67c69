"""Points of the hull's surface that several photos show, and what these say of the photos' exposures.

Photos of an object from all around have other medians because they show other sides; a point shown twice compares them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d, normalize

from ..cameras.pinhole import projections
from ..ops.visual_hull import first_occupied
from ..types import Cameras, Rays
from .exposure import BRIGHT, DARK, LIFT, POWER
from .pixels import Photos

POINTS = 3000
CLEARANCE = 2.0  # cells by which a point may lie behind what a ray meets first: a cell seen at a slant hides itself
FEWEST_PHOTOS = 3
ROUNDS = 20
ALIKE = 0.3  # EV: what differs by more counts less
NEIGHBOURS = 4
BESIDE = 0.5  # cosine between the directions to photos that are compared
LEAST_SHARED = 10  # points that a usual photo shows, below which nothing is known of exposures
DEVIATION = 1.4826  # of a normal distribution, over its median absolute deviation
TINY = 1e-9


class EstimatedStops(NamedTuple):
    """stops (V, 3): exposures in EV, the median photo's 0 in each channel. error: standard error of a usual photo's,
    were its points' errors independent; infinite where photos share too few points."""

    stops: Tensor
    error: float


def estimated_stops(photos: Photos, cameras: Cameras, hull: Tensor) -> EstimatedStops:
    """Exposures of V photos; 0 of those that share no point.

    cameras: V, camera -> normalised. hull (M, M, M) bool over [-1, 1]^3. What photos show of points is explained by
    every point's light and every photo's exposure: least absolute deviations, nearly, by weighted means in turn.
    """
    return explained_stops(*shown_light(photos, cameras, hull))


def explained_stops(light: Tensor, shown: Tensor) -> EstimatedStops:
    """Of light (V, N, 3) in EV that V photos show at N points, where shown (V, N, 3), 0 or 1, says so."""
    shown = shown * (shown.sum(dim=0) >= FEWEST_PHOTOS)
    stops, weight = light.new_zeros(len(light), 3), shown
    for _ in range(ROUNDS):
        points = ((light - stops[:, None]) * weight).sum(dim=0) / weight.sum(dim=0).clamp(min=TINY)
        stops = ((light - points) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=TINY)
        weight = shown / (ALIKE + (light - points - stops[:, None]).abs())
    error = _error(light - points - stops[:, None], (shown > 0).all(dim=2))
    return EstimatedStops(stops - stops.quantile(0.5, dim=0), error)


def spread_beside_neighbours(stops: Tensor, cameras: Cameras) -> float:
    """Robust deviation in EV of photos' exposures (V, 3) from those of the photos taken from beside them.

    Gloss and shadows change smoothly from side to side, exposures need not. 0 where half of the photos have fewer than
    two beside them.
    """
    count = min(NEIGHBOURS, len(stops) - 1)
    if count < 2:
        return 0.0
    outward, mean = normalize(cameras.centres.double().cpu(), dim=1), stops.mean(dim=1).cpu().double()
    cosine, near = (outward @ outward.T).fill_diagonal_(-torch.inf).topk(count, dim=1)
    others = torch.where(cosine > BESIDE, mean[near], torch.nan).nanquantile(0.5, dim=1)
    compared = (cosine > BESIDE).sum(dim=1) >= 2
    apart = (mean - others).abs()[compared]
    return DEVIATION * float(apart.quantile(0.5)) if 2 * len(apart) > len(stops) else 0.0


def shown_light(photos: Photos, cameras: Cameras, hull: Tensor) -> tuple[Tensor, Tensor]:
    """Light (V, N, 3) in EV that photos show at points of the hull's surface, and whether they show it, as 0 or 1:
    in sight, on the object, not ignored, not clipped."""
    points = _surface(hull, photos.device)
    P, centres = projections(cameras.to(torch.float64)).to(points), cameras.centres.to(points)
    cell, light, shown = 2 / (len(hull) - 1), [], []
    for view in range(len(photos.sizes)):
        index, within = on_object(points, P[view], photos, view)
        within &= in_sight(points, centres[view], hull, CLEARANCE * cell)
        colour = photos.colours[index].float() / 255
        light.append(POWER * torch.log2(colour + LIFT))
        shown.append((within[:, None] & (colour > DARK) & (colour < BRIGHT)).float())
    return torch.stack(light), torch.stack(shown)


def in_photo(points: Tensor, P: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Column and row (N,) of the pixel that points (N, 3) fall on by a projection (3, 4), and whether the photo has
    it, (N,) bool."""
    place = points @ P[:, :3].T + P[:, 3]
    column, row = (place[:, :2] / place[:, 2:]).round().long().unbind(dim=1)
    within = (place[:, 2] > 0) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    return column, row, within


def on_object(points: Tensor, P: Tensor, photos: Photos, view: int) -> tuple[Tensor, Tensor]:
    """Index (N,) among all pixels of that which points (N, 3) fall on in a photo, by its projection (3, 4), and
    whether it is one of the object's that is not ignored, (N,) bool."""
    rows, columns = photos.sizes[view].tolist()
    column, row, within = in_photo(points, P, rows, columns)
    index = photos.offsets[view] + row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)
    within &= photos.objects[index]
    if photos.ignored is not None:
        within &= ~photos.ignored[index]
    return index, within


def in_sight(points: Tensor, centre: Tensor, hull: Tensor, clearance: float) -> Tensor:
    """Points (N,) bool that nothing of the hull hides from a camera."""
    towards = points - centre
    rays = Rays(centre.expand_as(points).contiguous(), normalize(towards, dim=1))
    depth = first_occupied(hull, rays)
    return (depth >= 0) & (depth > towards.norm(dim=1) - clearance)


def visible(
    points: Tensor, normals: Tensor, centre: Tensor, least: float, among: Tensor, hull: Tensor, clearance: float
) -> Tensor:
    """Points (N,) bool `among` others (N,) bool from which a camera is in sight, at a cosine of at least `least` to
    their unit normals (N, 3)."""
    cosine = (normalize(centre - points, dim=1) * normals).sum(dim=1)
    some = (among & (cosine > least)).nonzero()[:, 0]
    return torch.zeros_like(among).index_put((some,), in_sight(points[some], centre, hull, clearance))


def _error(difference: Tensor, shown: Tensor) -> float:
    """Standard error of a usual photo's exposure, by how far what is shown (V, N) bool differs from what was explained
    (V, N, 3)."""
    usual_count = int(shown.sum(dim=1).median())
    if usual_count < LEAST_SHARED:
        return math.inf
    return DEVIATION * float(difference.mean(dim=2).abs()[shown].median()) / math.sqrt(usual_count)


def _surface(hull: Tensor, device: torch.device) -> Tensor:
    """At most POINTS of the lattice's points (N, 3) that have a neighbour outside the hull, evenly from all."""
    outside = (~hull)[None, None].float()
    surface = (hull & (max_pool3d(outside, 3, stride=1, padding=1)[0, 0] > 0)).nonzero()
    every = max(1, -(-len(surface) // POINTS))
    return surface[::every].to(device).float() * (2 / (len(hull) - 1)) - 1

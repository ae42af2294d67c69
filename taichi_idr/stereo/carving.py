"""A visual hull without what depth maps see through, and its signed distance, smooth where they see a surface."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..config import StereoConfig
from ..ops.visual_hull import first_occupied, hull_votes, visual_hull
from .maps import DepthMaps

LEAST_BODY = 0.002  # of the hull: what carving leaves smaller than that is debris
LOST_IN = 3  # photos that show a point on rays left empty
PRIOR = 0.3  # weight of the hull's own distance beside the maps'
MOST_CHANGE = 1.0  # cells up to which maps correct it fully; to nothing at twice as many
SMOOTHING = 0.7  # cells


def carve(hull: Tensor, maps: DepthMaps, config: StereoConfig) -> Tensor:
    """A hull (M, M, M) bool over [-1, 1]^3 without the points that maps see through, more of them than see a surface
    there, and without the crumbs that this leaves; but for those that silhouettes need."""
    places = hull.nonzero()
    cell = 2 / (len(hull) - 1)
    looks = maps.all_look(_points(places, cell, maps), config, config.thickness * cell)
    shown, _ = hull_votes(maps.photos.capture.masks, maps.photos.capture.cameras, len(hull))
    enough = (config.through_share * shown[tuple(places.T)]).ceil().clamp(1, config.through).to(looks.through)
    empty = (looks.through >= enough) & (looks.through > looks.at)
    carved = hull.clone()
    carved[tuple(places[empty].T)] = False
    return _without_crumbs(carved, hull) | _missed(carved, hull, maps)


def fused_distance(distance: Tensor, maps: DepthMaps, config: StereoConfig) -> Tensor:
    """Signed distance (M, M, M) from a carved hull, corrected near the surfaces that depth maps see.

    There it is the mean of the distances from their tangent planes, weighted by how much these face the cameras, and
    the hull's own with a small weight: between the lattice's points.
    """
    cell = 2 / (len(distance) - 1)
    thickness = config.thickness * cell
    places = (distance.abs() < 2 * thickness).nonzero()
    looks = maps.all_look(_points(places, cell, maps), config, thickness)
    index = tuple(places.T)
    own = distance[index]
    total, weight = looks.distance.to(own), looks.weight.to(own)
    change = (total - weight * own) / (weight + PRIOR)
    # A change of more than some cells is no correction: there the maps see what the hull does not know, or the reverse.
    change *= (looks.at >= config.agreeing) * (2 - change.abs() / (MOST_CHANGE * cell)).clamp(0, 1)
    changes = torch.zeros_like(distance)
    changes[index] = change
    smooth = ndimage.gaussian_filter(changes.cpu().numpy(), SMOOTHING)
    return distance + torch.from_numpy(smooth).to(distance)


def _missed(carved: Tensor, hull: Tensor, maps: DepthMaps) -> Tensor:
    """Points (M, M, M) bool of the hull at which some photos show the object, on rays that carving has left empty.

    A patch wider than a wire shows what is behind it, and so do all maps: silhouettes know better.
    """
    photos, rays = maps.photos, maps.photos.rays()
    lost = (first_occupied(hull, rays) >= 0) & (first_occupied(carved, rays) < 0)
    masks = photos.dense(lost.float()).view(-1, *photos.size).cpu().numpy() > 0
    least, cameras = min(LOST_IN / len(masks), 1.0), photos.capture.cameras
    return hull & visual_hull(list(masks), cameras, len(hull), min_fraction=0.0, min_inside=least)


def _points(places: Tensor, cell: float, maps: DepthMaps) -> Tensor:
    """Points (N, 3) of lattice places (N, 3)."""
    return (places * cell - 1).to(maps.planes).contiguous()


def _without_crumbs(carved: Tensor, hull: Tensor) -> Tensor:
    """Bodies smaller than LEAST_BODY of the hull go, where carving has cut them."""
    solid, cut = carved.cpu().numpy(), (hull & ~carved).cpu().numpy()
    label = np.empty(solid.shape, np.int32)
    count = int(ndimage.label(solid, output=label))  # pyright: ignore[reportArgumentType]
    sizes = np.bincount(label.reshape(-1), minlength=count + 1)
    touched = np.unique(label[np.asarray(ndimage.binary_dilation(cut), bool)])
    gone = np.zeros(count + 1, bool)
    gone[touched] = sizes[touched] < LEAST_BODY * int(hull.sum())
    gone[0] = True
    return torch.from_numpy(~gone[label]).to(carved.device)

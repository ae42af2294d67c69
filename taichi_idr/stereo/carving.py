"""A visual hull without what depth maps see through, and its signed distance, smooth where they see a surface."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..config import StereoConfig
from .maps import DepthMaps

LEAST_BODY = 0.002  # of the hull: what carving leaves smaller than that is debris
PRIOR = 0.3  # weight of the hull's own distance beside the maps'


def carve(hull: Tensor, maps: DepthMaps, config: StereoConfig) -> Tensor:
    """A hull (M, M, M) bool over [-1, 1]^3 without the points that maps see through, more of them than see a surface
    there, and without the crumbs that this leaves."""
    places = hull.nonzero()
    cell = 2 / (len(hull) - 1)
    looks = maps.all_look(_points(places, cell, maps), config, config.thickness * cell)
    empty = (looks.through >= config.through) & (looks.through > looks.at)
    carved = hull.clone()
    carved[tuple(places[empty].T)] = False
    return _without_crumbs(carved, hull)


def fused_distance(distance: Tensor, maps: DepthMaps, config: StereoConfig) -> Tensor:
    """Signed distance (M, M, M) from a carved hull, corrected near the surfaces that depth maps see.

    There it is the mean of the distances from their tangent planes, weighted by how much these face the cameras, and
    the hull's own with a small weight.
    """
    cell = 2 / (len(distance) - 1)
    thickness = config.thickness * cell
    places = (distance.abs() < 2 * thickness).nonzero()
    looks = maps.all_look(_points(places, cell, maps), config, thickness)
    index = tuple(places.T)
    own = distance[index]
    total, weight = looks.distance.to(own), looks.weight.to(own)
    near = (looks.at > 0).to(own)  # far before a surface all maps say the same, the thickness
    fused = (total + PRIOR * own) / (weight + PRIOR)
    result = distance.clone()
    result[index] = torch.where((near > 0) | (fused.abs() < 0.9 * thickness), fused, own)
    return result


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

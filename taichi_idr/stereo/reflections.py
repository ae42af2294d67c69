"""Depths of what a shiny surface mirrors: photos agree on them, but they lie behind the surface, where nothing is."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d, normalize

from ..ops.visual_hull import first_occupied
from ..types import Rays
from .maps import DepthMaps

CLEARANCE = 3.0  # cells of a hull before a depth that do not hide it
REGION = 0.23  # normalised units: side of the cube in which depths are judged together
MOSTLY = 0.4  # share of a region's depths that are hidden, above which none of them is believed


def without_reflections(maps: DepthMaps, carved: Tensor) -> DepthMaps:
    """The same maps without the depths of regions where most are hidden, by the hull that they have carved
    (M, M, M) bool over [-1, 1]^3, from the very photos that show them.

    What photos see of a hollow, they carve the way to. An image in a bent mirror wanders with the camera: near photos
    agree on it, all of them never, and the hull stays before it.
    """
    photos = maps.photos
    inverse = maps.inverse
    known = (inverse > 0).nonzero()[:, 0]
    cell = 2 / (len(carved) - 1)
    origins, directions = photos.origins[known], photos.directions[known]
    along = directions / inverse[known, None]
    met = first_occupied(carved, Rays(origins, normalize(directions, dim=1)))
    hidden = (met >= 0) & (met < along.norm(dim=1) - CLEARANCE * cell)
    place = ((origins + along + 1) / cell).round().long().clamp(0, len(carved) - 1)
    reflected = known[_share_around(place, hidden, len(carved)) > MOSTLY]
    real = replace(maps, planes=maps.planes.index_fill(0, photos.index[reflected], 0.0))
    return replace(real, share=float((real.inverse > 0).double().mean()))


def _share_around(place: Tensor, hidden: Tensor, side: int) -> Tensor:
    """Of places (N, 3) of a lattice with `side` points along each axis: share (N,) of those in the cube around each,
    itself among them, that are `hidden` (N,)."""
    key = (place[:, 0] * side + place[:, 1]) * side + place[:, 2]
    counts = [torch.bincount(key, weight, side**3) for weight in (hidden.float(), torch.ones_like(key).float())]
    reach = max(round(REGION * (side - 1) / 4), 1)  # half of REGION, in cells of 2 / (side - 1)
    lattices = torch.stack(counts).view(2, 1, side, side, side)
    of_hidden, of_all = avg_pool3d(lattices, 2 * reach + 1, stride=1, padding=reach)[:, 0].flatten(1)[:, key]
    return of_hidden / of_all

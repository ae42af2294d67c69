"""Whether an object's colours follow what a mirror there would show, or the direction to the camera.

Under lights that stay where they are, a glossy surface looks alike wherever mirrored directions are alike. A renderer
that is told these turns normals to where highlights say; where light changed with the camera, or the sheen is of
another kind, they mislead it (docs/decisions/0047).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...cameras.pinhole import projections
from ...capture.pixels import Photos
from ...capture.shared_points import CLEARANCE, on_object, visible
from ...fields.radiance import reflected
from ...types import Cameras
from .inside import solid
from .unseen import lattice_surface

PAIRS = 60_000  # of a point and a photo
LEAST_FACING = 0.35  # cosine between normal and view, below which colours are those of what is beside
FEWEST_PHOTOS = 4  # that show a point, of those that are learned from
FOLDS = 4  # in each of which so much of the photos is foretold from the others
WAVES = 200  # random cosines of the directions
SLOWEST = 1e-3  # of a pair's square, added to the normal equations
MOST = 0.3  # of a colour in [0, 1] from its mean: what differs by more was another point
LEAST_SHARE = 0.01  # of the colours' changes that mirrored directions foretell
AS_WELL = 0.9  # times what normals and views, of which they are made, foretell by themselves


class ShownColours(NamedTuple):
    """N points in V photos: colours (N, V, 3) in [0, 1], whether shown (N, V) bool, unit directions (N, V, 3) to the
    cameras, unit normals (N, 3)."""

    colours: Tensor
    shown: Tensor
    towards: Tensor
    normals: Tensor


def follows_mirror(photos: Photos, cameras: Cameras, distance: Tensor) -> bool:
    """Whether mirrored directions foretell the colours in photos that were left out, nearly as well as normals and
    views do.

    cameras: V, camera -> normalised. distance (M, M, M): signed, over [-1, 1]^3, of about the shape.
    """
    seen = _shown_colours(photos, cameras, distance.to(photos.device))
    fold = torch.arange(len(cameras), device=seen.shown.device) % FOLDS
    learned = (seen.shown[:, None] & (fold != torch.arange(FOLDS, device=fold.device)[:, None])).sum(dim=2)
    seen = ShownColours(*(part[(learned >= FEWEST_PHOTOS).all(dim=1)] for part in seen))
    if not len(seen.normals):
        return False
    normals = seen.normals[:, None].expand_as(seen.towards)
    mirrored = reflected(-seen.towards.reshape(-1, 3), normals.reshape(-1, 3)).view_as(seen.towards)
    by_mirror = foretold(seen, mirrored, fold)
    return by_mirror > max(LEAST_SHARE, AS_WELL * foretold(seen, torch.cat([normals, seen.towards], dim=2), fold))


def foretold(seen: ShownColours, directions: Tensor, fold: Tensor) -> float:
    """Share of the points' changes of colour in left out photos that a function of directions (N, V, C) explains, which
    was learned from the other photos; below 0 where it does harm. fold (V,): with which photos each is left out.

    Ridge regression on random cosines (Rahimi and Recht, "Random features for large-scale kernel machines", 2007).
    """
    generator = torch.Generator().manual_seed(0)
    frequencies = torch.randn(directions.shape[2], WAVES, generator=generator).to(directions)
    waves = torch.cos(directions @ frequencies + 2 * math.pi * torch.rand(WAVES, generator=generator).to(directions))
    wrong, changes = 0.0, 0.0
    for left_out in range(FOLDS):
        known = seen.shown & (fold != left_out)
        asked = seen.shown & ~known
        colours, features = (part - _mean(part, known) for part in (seen.colours, waves))
        colours = colours.clamp(-MOST, MOST)
        A, Y = features[known].double(), colours[known].double()
        ridge = SLOWEST * len(A) * torch.eye(WAVES, dtype=A.dtype, device=A.device)
        error = colours[asked] - features[asked].double() @ torch.linalg.solve(A.T @ A + ridge, A.T @ Y)
        wrong, changes = wrong + float(error.square().sum()), changes + float(colours[asked].square().sum())
    return 1 - wrong / changes if changes else 0.0


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Of each point's values (N, V, C) in the photos where it is known (N, V)."""
    weight = known[..., None].to(values)
    return (values * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp(min=1)


def _shown_colours(photos: Photos, cameras: Cameras, distance: Tensor) -> ShownColours:
    hull, cell = solid(distance), 2 / (len(distance) - 1)
    points, normals = lattice_surface(distance, hull, max(1, PAIRS // len(cameras)))
    P, centres = projections(cameras.to(torch.float64)).to(points), cameras.centres.to(points)
    colours, shown = list[Tensor](), list[Tensor]()
    for view in range(len(cameras)):
        index, within = on_object(points, P[view], photos, view)
        colours.append(photos.colours[index].float() / 255)
        shown.append(visible(points, normals, centres[view], LEAST_FACING, within, hull, CLEARANCE * cell))
    towards = normalize(centres - points[:, None], dim=2)
    return ShownColours(torch.stack(colours, dim=1), torch.stack(shown, dim=1), towards, normals)

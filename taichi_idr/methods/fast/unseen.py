"""Where no photo says what the surface is: points of the first shape that hold it there.

Nothing in the loss knows such places, a crown's top or the ground an object stands on, and what fine levels learn
elsewhere moves them: they sank in by millimetres (docs/decisions/0025-silhouettes-and-what-no-photo-shows.md).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d, normalize

from ...cameras.pinhole import projections
from ...capture.pixels import Photos
from ...capture.shared_points import CLEARANCE, in_photo, visible
from ...stereo.surface_points import SurfacePoints
from ...tracing.lattice import interpolate
from ...types import Cameras
from .inside import solid

LEAST_FACING = 0.2  # cosine between normal and view, below which a photo says little about a point
FEWEST = 2  # photos that show a point well enough that the loss can place it
MOST = 10_000  # lattice points looked at
UNSEEN_NORMAL_WEIGHT = 0.2  # of the gradient, in the term: nothing else keeps its length where no photo looks
MANY = 500  # unseen ones of these, a twentieth of the surface, that have the term's whole weight
OUTWARD, INWARD, STOPS = 0.5, 1.5, 33  # cells in which silhouettes are looked for along the normal, and places there
AGAINST = 0.025  # share of the photos that may show background where silhouettes have the surface


def unseen_points(distance: Tensor, cameras: Cameras, sizes: Tensor) -> SurfacePoints | None:
    """Points of a shape's surface that fewer than FEWEST photos show; None where there are none.

    Their confidence is lower where they are few: a single point that had all of the weight broke through the surface.
    distance (M, M, M): signed, over [-1, 1]^3. cameras: V, camera -> normalised; sizes (V, 2): their photos' height and
    width, pixels.
    """
    distance, cell = distance.to(sizes.device), 2 / (len(distance) - 1)
    hull = solid(distance)
    points, normals = lattice_surface(distance, hull, MOST)
    P, centres = projections(cameras.to(torch.float64)).to(points), cameras.centres.to(points)
    shown = torch.zeros_like(points[:, 0])
    for view, (rows, columns) in enumerate(sizes.tolist()):
        _column, _row, within = in_photo(points, P[view], rows, columns)
        shown += visible(points, normals, centres[view], LEAST_FACING, within, hull, CLEARANCE * cell)
    unseen = shown < FEWEST
    if not bool(unseen.any()):
        return None
    confidence = torch.full_like(shown[unseen], min(1.0, float(unseen.sum()) / MANY))
    return SurfacePoints(points[unseen], normals[unseen], confidence)


def drawn_beside(points: SurfacePoints, cell: float, generator: torch.Generator) -> tuple[SurfacePoints, Tensor]:
    """As many points, about half a cell of the lattice away, and what f (N,) is there by the planes' distance.

    Points held on the surface alone leave f free a little beside: it grew flat there, and what fine levels learn
    elsewhere crumbled it (docs/decisions/0042).
    """
    shift = 0.5 * cell * torch.randn(points.points.shape, generator=generator).to(points.points)
    return replace(points, points=points.points + shift), (shift * points.normals).sum(dim=1)


def onto_silhouettes(points: SurfacePoints, cameras: Cameras, photos: Photos, cell: float) -> SurfacePoints:
    """Points moved along their normals to where masks end, to a part of a pixel; left where none does nearby.

    A lattice's hull lies outside of the true one: it wants fewer photos to agree, and rounds by a part of its cell.
    """
    shifts = cell * torch.linspace(OUTWARD, -INWARD, STOPS, device=points.points.device)
    along = points.points[:, None] + shifts[:, None] * points.normals[:, None]
    against = torch.zeros_like(along[..., 0])
    P = projections(cameras.to(torch.float64)).to(along)
    for view in range(len(cameras)):
        against += (_background(along.reshape(-1, 3), P[view], photos, view) > 0.5).view_as(against)
    on_object = against <= AGAINST * len(cameras)
    moved = on_object.any(dim=1) & ~on_object[:, 0]
    first = along[torch.arange(len(along)), on_object.int().argmax(dim=1)]
    return replace(points, points=torch.where(moved[:, None], first, points.points))


def _background(points: Tensor, P: Tensor, photos: Photos, view: int) -> Tensor:
    """Share (N,) of background in the four pixels around points (N, 3) in a photo; none beside it or where ignored."""
    rows, columns = photos.sizes[view].tolist()
    place = points @ P[:, :3].T + P[:, 3]
    at = place[:, :2] / place[:, 2:]
    within = (place[:, 2] > 0) & (at >= 0).all(dim=1) & (at[:, 0] <= columns - 1) & (at[:, 1] <= rows - 1)
    at = at.where(within[:, None], 0)
    low, share = at.long(), torch.zeros_like(at[:, 0])
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        step = torch.tensor([right, down], device=at.device)
        column, row = (low + step).unbind(dim=1)
        index = photos.offsets[view] + row.clamp(max=rows - 1) * columns + column.clamp(max=columns - 1)
        is_background = ~photos.objects[index]
        if photos.ignored is not None:
            is_background &= ~photos.ignored[index]
        share += (1 - (at - low - step).abs()).prod(dim=1) * is_background
    return share * within


def lattice_surface(distance: Tensor, hull: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """At most so many points (N, 3) where the distance changes sign, evenly from all, and unit normals there.

    Not the walls of hollows, which are filled in hull (M, M, M) bool.
    """
    cell = 2 / (len(distance) - 1)
    beside_air = max_pool3d((~hull)[None, None].float(), 3, stride=1, padding=1)[0, 0] > 0
    near = ((distance.abs() < cell / 2) & beside_air).nonzero()
    near = near[:: max(1, -(-len(near) // most))].to(distance) * cell - 1
    steps = cell * torch.eye(3, dtype=near.dtype, device=near.device)
    across = [interpolate(distance, near + step) - interpolate(distance, near - step) for step in steps]
    normals = normalize(torch.stack(across, dim=1), dim=1)
    return near - interpolate(distance, near)[:, None] * normals, normals

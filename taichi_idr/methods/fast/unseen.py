"""Where no photo says what the surface is: points of the first shape that hold it there.

Nothing in the loss knows such places, a crown's top or the ground an object stands on, and what fine levels learn
elsewhere moves them: they sank in by millimetres (docs/decisions/0025-silhouettes-and-what-no-photo-shows.md).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...cameras.pinhole import projections
from ...capture.shared_points import CLEARANCE, in_sight
from ...stereo.surface_points import SurfacePoints
from ...tracing.lattice import interpolate
from ...types import Cameras

LEAST_FACING = 0.2  # cosine between normal and view, below which a photo says little about a point
FEWEST = 2  # photos that show a point well enough that the loss can place it
MOST = 10_000  # lattice points looked at


def unseen_points(distance: Tensor, cameras: Cameras, sizes: Tensor) -> SurfacePoints | None:
    """Points of a shape's surface that fewer than FEWEST photos show; None where there are none.

    distance (M, M, M): signed, over [-1, 1]^3. cameras: V, camera -> normalised; sizes (V, 2): their photos' height and
    width, pixels.
    """
    points, normals = _surface(distance.to(sizes.device))
    hull, cell = distance < 0, 2 / (len(distance) - 1)
    P, centres = projections(cameras.to(torch.float64)).to(points), cameras.centres.to(points)
    shown = torch.zeros_like(points[:, 0])
    for view, (rows, columns) in enumerate(sizes.tolist()):
        place = points @ P[view, :, :3].T + P[view, :, 3]
        column, row = (place[:, :2] / place[:, 2:]).unbind(dim=1)
        within = (place[:, 2] > 0) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        facing = (normalize(centres[view] - points, dim=1) * normals).sum(dim=1) > LEAST_FACING
        some = (within & facing).nonzero()[:, 0]
        shown[some] += in_sight(points[some], centres[view], hull, CLEARANCE * cell).to(shown)
    unseen = shown < FEWEST
    if not bool(unseen.any()):
        return None
    return SurfacePoints(points[unseen], normals[unseen], torch.ones_like(shown[unseen]))


def _surface(distance: Tensor) -> tuple[Tensor, Tensor]:
    """At most MOST points (N, 3) where the distance changes sign, evenly from all, and unit normals there."""
    cell = 2 / (len(distance) - 1)
    near = (distance.abs() < cell / 2).nonzero()
    near = near[:: max(1, -(-len(near) // MOST))].to(distance) * cell - 1
    steps = cell * torch.eye(3, dtype=near.dtype, device=near.device)
    across = [interpolate(distance, near + step) - interpolate(distance, near - step) for step in steps]
    normals = normalize(torch.stack(across, dim=1), dim=1)
    return near - interpolate(distance, near)[:, None] * normals, normals

"""The underside of an object on its support: flat, for no photo shows it.

What a network says there is noise of its fine levels: crumbs and tunnels under a sole. Air below the object and near to
the support that no camera sees is filled, and what lies below the support is cut off.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, max_pool2d, normalize

from .. import runtime
from ..cameras.rotations import axes_about
from ..ops.visual_hull import first_occupied
from ..types import Cameras, Plane, Rays, Sdf
from .colours import QUERY_CHUNK

FOOT = 0.025  # normalised units above the support: air up to there is looked at
LAYERS = 5  # in it
COARSE = 4  # columns of which one is asked first, whether it is near to the object
HULL = 96  # points along each side of the lattice that hides air from cameras
CLEARANCE = 1.5  # of its cells: what is nearer to air does not hide it
FEWEST, FEWEST_SHARE = 2, 0.1  # cameras, and share of them, that see air which stays


def standing(sdf: Sdf, support: Plane, cameras: Cameras, radius: float = 1.0) -> Sdf:
    """The signed distance of the object with a flat underside; support and cameras in the frame of sdf.

    Nothing else changes, but for what is more than the support below it. radius: of the sphere that holds the object.
    """
    target = {"device": runtime.current().device, "dtype": runtime.current().dtype}
    R = torch.from_numpy(axes_about(support.normal)).to(**target)
    values = _values(sdf, R, support.offset, cameras.centres.to(**target), radius)
    volume = values.permute(2, 1, 0)[None, None]
    half = torch.tensor([radius, radius, FOOT / 2], **target)

    def flat(points: Tensor) -> Tensor:
        local = points @ R.to(points).T - points.new_tensor([0.0, 0.0, support.offset])
        place = (local - local.new_tensor([0.0, 0.0, FOOT / 2])) / half.to(points)
        found = sdf(points)
        low = (place[:, 2] < 1).nonzero()[:, 0]
        slab = grid_sample(volume.to(points), place[low][None, None, None], padding_mode="border", align_corners=True)
        found = found.index_put((low,), torch.minimum(found[low], slab.reshape(-1)))
        return torch.maximum(found, -local[:, 2])

    return flat


@torch.no_grad()
def _values(sdf: Sdf, R: Tensor, offset: float, centres: Tensor, radius: float) -> Tensor:
    """(N, N, LAYERS + 1) over the slab on the support: signed distance, and less than nothing in hidden air."""
    step = FOOT / LAYERS
    count = COARSE * round(2 * radius / step / COARSE) + 1
    along = torch.linspace(-radius, radius, count, device=R.device, dtype=R.dtype)
    height = torch.linspace(0, FOOT, LAYERS + 1, device=R.device, dtype=R.dtype) + offset
    rough = _grid(along[::COARSE], along[::COARSE], height[:: LAYERS // 2]) @ R
    near = (_asked(sdf, rough) < FOOT + COARSE * step).any(dim=2)
    near = max_pool2d(near[None].to(R.dtype), 3, stride=1, padding=1)
    near = interpolate(near[None], size=(count, count), mode="nearest")[0, 0] > 0
    columns = _grid(along, along, height)[near]
    values = torch.full((count, count, LAYERS + 1), FOOT, device=R.device, dtype=R.dtype)
    inside = _asked(sdf, columns @ R)
    solid = inside < 0
    below = solid.flip(1).cummax(dim=1).values.flip(1)
    air = (below & ~solid).nonzero(as_tuple=True)
    seen = _seen(columns[air] @ R, centres, _hull(sdf, R, radius))
    hidden = seen < max(FEWEST, FEWEST_SHARE * len(centres))
    inside[air] = torch.where(hidden, -step, inside[air])
    values[near] = inside
    return values


def _grid(*axes: Tensor) -> Tensor:
    """(A, B, C, 3)."""
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def _hull(sdf: Sdf, R: Tensor, radius: float) -> Tensor:
    """(HULL, HULL, HULL) bool over [-1, 1]^3."""
    along = torch.linspace(-1, 1, HULL, device=R.device, dtype=R.dtype)
    places = _grid(along, along, along)
    return (_asked(sdf, places) < 0) & (places.norm(dim=-1) < radius)


def _asked(sdf: Sdf, points: Tensor) -> Tensor:
    """(...) at points (..., 3)."""
    parts = points.reshape(-1, 3).split(QUERY_CHUNK)
    return torch.cat([sdf(part) for part in parts]).reshape(points.shape[:-1])


def _seen(points: Tensor, centres: Tensor, hull: Tensor) -> Tensor:
    """How many cameras see points (N, 3) that are in no hull."""
    shown = torch.zeros(len(points), dtype=torch.int32, device=points.device)
    for centre in centres:
        towards = points - centre
        depth = first_occupied(hull, Rays(centre.expand_as(points).contiguous(), normalize(towards, dim=1)))
        shown += ((depth < 0) | (depth > towards.norm(dim=1) - CLEARANCE * 2 / (HULL - 1))).to(shown)
    return shown

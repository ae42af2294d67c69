"""Bodies beside the object that no photo needs: what is left of a hull where few photos look, or where none does.

A flake before a plain white wall is as white as the wall in the few photos that show it, all from one side: neither
colours nor silhouettes can tell it from air (docs/decisions/0028-bodies-that-no-photo-needs.md).
"""

from __future__ import annotations

import torch
from skimage.measure import label
from torch import Tensor
from torch.nn.functional import max_pool3d, normalize, relu

from ...cameras.pinhole import projections
from ...capture.pixels import Photos
from ...capture.shared_points import CLEARANCE, in_sight, on_object
from ...ops.visual_hull import first_occupied
from ...types import Cameras, Rays

FEW = 0.25  # of the photos: a body that as many show is believed
SHOWN = 0.1  # of a body's surface, from which on a photo shows it
MOST = 20_000  # points of surface looked at


def adrift_points(distance: Tensor, photos: Photos, cameras: Cameras) -> Tensor | None:
    """The lattice's points (N, 3) in bodies that few photos show and none before the background; None if there are
    none.

    distance (M, M, M): signed, over [-1, 1]^3. cameras: of the photos, camera -> normalised. The largest body is the
    object's; a photo needs another one where most of what it shows of it has nothing of the largest one behind it.
    """
    solid = distance < 0
    bodies = torch.from_numpy(label(solid.cpu().numpy(), connectivity=3)).to(photos.device)
    sizes = torch.bincount(bodies.view(-1))
    sizes[0] = 0
    if int((sizes > 0).sum()) < 2:
        return None
    largest = int(sizes.argmax())
    points, owner = _surface(bodies, largest)
    counts = torch.bincount(owner, minlength=len(sizes))
    shows, needs = _evidence(points, owner, counts, solid.to(photos.device), bodies == largest, photos, cameras)
    adrift = (shows.sum(dim=0) < FEW * len(shows)) & ~needs.any(dim=0)
    adrift[[0, largest]] = False
    places = adrift[bodies].nonzero()
    return _placed(places, bodies) if len(places) else None


def adrift_loss(sdf: Tensor, cell: float) -> Tensor:
    """Mean of what the values sdf (N,) lack to a cell's distance from any surface; 0 of none."""
    return relu(cell - sdf).sum() / max(len(sdf), 1)


def _surface(bodies: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Points (N, 3) of the smaller bodies that lie beside air, evenly from all, and whose they are, (N,)."""
    beside_air = max_pool3d((bodies == 0)[None, None].float(), 3, stride=1, padding=1)[0, 0] > 0
    places = ((bodies > 0) & (bodies != largest) & beside_air).nonzero()
    places = places[:: max(1, -(-len(places) // MOST))]
    return _placed(places, bodies), bodies[tuple(places.T)]


def _placed(places: Tensor, lattice: Tensor) -> Tensor:
    return places.float() * (2 / (len(lattice) - 1)) - 1


def _evidence(
    points: Tensor,
    owner: Tensor,
    counts: Tensor,
    solid: Tensor,
    largest: Tensor,
    photos: Photos,
    cameras: Cameras,
) -> tuple[Tensor, Tensor]:
    """Which of V photos show each of B bodies at their objects' pixels, and which of them need it: (V, B) bool.

    points (N, 3) of the bodies owner (N,), counts (B,) of each; solid, largest (M, M, M) bool.
    """
    P, centres = projections(cameras.to(torch.float64)).to(points), cameras.centres.to(points)
    clearance = CLEARANCE * 2 / (len(solid) - 1)
    shows, needs = [], []
    for view in range(len(photos.sizes)):
        some = on_object(points, P[view], photos, view)[1].nonzero()[:, 0]
        some = some[in_sight(points[some], centres[view], solid, clearance)]
        rays = Rays(centres[view].expand(len(some), 3).contiguous(), normalize(points[some] - centres[view], dim=1))
        bare = some[first_occupied(largest, rays) < 0]
        shown, uncovered = (torch.bincount(owner[part], minlength=len(counts)) for part in (some, bare))
        shows.append(shown > SHOWN * counts)
        needs.append(shows[-1] & (2 * uncovered > shown))
    return torch.stack(shows), torch.stack(needs)

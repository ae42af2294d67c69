"""Sightings of surface points: where photos show what a corner in one photo shows, found along the traced surface.

A corner's patch is carried to other photos by the tangent plane at its traced point, and shifted there until the two
agree (Lucas and Kanade 1981, with gain and offset removed): its sighting. No descriptor is needed, for the surface says
where to look and how the patch is foreshortened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from torch import Tensor

from .. import runtime
from ..cameras.pinhole import inverse_intrinsics, transform_cameras
from ..cameras.rotations import rotation_matrices
from ..capture.pixels import Photos
from ..fields.model import Model
from ..ops.patch_align import align_patches
from ..types import Cameras, Hits, Rays
from .bundle import Sightings, adjust, reproject
from .corners import CAMERA_NOISE, SHRINKS, Corners, GreyPhoto, interior, square, without_background

NEIGHBOURS = 8  # views in which a corner is looked for
NARROWEST, WIDEST = np.radians(2.0), np.radians(50.0)  # between two views of a point
FLATTEST = 0.35  # least cosine between normal and direction to a camera
OCCLUDED = 0.03  # normalised units by which the traced depth may fall short of a point
STEPS = (6, 5)  # of Lucas and Kanade, on each resolution
FARTHEST = 14.0  # pixels that a patch may be shifted
FARTHER, LEAST_FAR = 4.0, 2.0  # times the usual shift of its two views, pixels: shifts that are believed
CLOSE = 2.0  # standard deviations: sightings of surface points that tell where the surface is
SHARPEST = 0.15  # pixels: deviation of the best sightings
LEAST_NOISE, CORRELATED = 0.02, 10.0  # share of a patch's variance that is never told, pixels that err alike
LIKENESS = 0.8  # least correlation of accepted patches
FEWEST_VIEWS, FEWEST_POINTS = 3, 10  # of an adjustment
RAYS_AT_ONCE = 32768  # traced; bounds memory
PATCHES_AT_ONCE = 2048  # bounds memory whatever the number of photos: some 0.1 kB per pixel of a patch


@dataclass(frozen=True)
class AdjustedPoses:
    """cameras: all views; worth (V,): sharp sightings of each; moved (V,) bool: those that had enough."""

    cameras: Cameras
    worth: Tensor
    moved: Tensor


def adjusted_poses(
    model: Model,
    cameras: Cameras,
    photos: Photos,
    corners: Corners,
    fewest: int,
    known: tuple[float, float],
    between: Callable[[], None] = lambda: None,
) -> AdjustedPoses | None:
    """The poses after one bundle adjustment over what the photos show of the model's surface; None without enough.

    cameras: float64, camera -> normalised. corners: of these photos. The surface stays in its place: the similarity
    that the adjustment leaves open is chosen so. Views with fewer than `fewest` sharp sightings stay as they are.
    known: how well poses are known before, degrees and normalised units. between: called often, and may raise.
    """
    points, sightings = find_sightings(model, cameras, photos, corners, between)
    worth = _worth(sightings, len(points), len(cameras))
    enough = worth >= fewest
    sightings = sightings[enough[sightings.view]]
    if int(enough.sum()) < FEWEST_VIEWS:
        return None
    adjusted = adjust(cameras, points, sightings, known=known, between=between)
    close = adjusted.residual < CLOSE
    marks = torch.bincount(sightings.point[close], minlength=len(points)) >= 2
    if int(marks.sum()) < FEWEST_POINTS:
        return None
    T, _, _ = trimesh.registration.procrustes(adjusted.points[marks].numpy(), points[marks].numpy(), reflection=False)
    placed = transform_cameras(np.asarray(T), adjusted.cameras)
    quaternions = torch.where(enough[:, None], placed.quaternions, cameras.quaternions)
    centres = torch.where(enough[:, None], placed.centres, cameras.centres)
    return AdjustedPoses(Cameras(quaternions, centres, cameras.intrinsics), worth, enough)


def find_sightings(
    model: Model, cameras: Cameras, photos: Photos, corners: Corners, between: Callable[[], None] = lambda: None
) -> tuple[Tensor, Sightings]:
    """Surface points (N, 3) float64 of corners that other photos show, and their sightings, the corners' own first.

    cameras: V, float64, camera -> normalised. between: called for each view, and may raise.
    """
    points, normals, on_surface = _on_surface(model, cameras, corners)
    corners = corners[on_surface]
    track, view = _visible(model, cameras, corners, points, normals)
    every, exact = torch.arange(len(corners)), torch.eye(2, dtype=torch.float64).expand(len(corners), 2, 2) / SHARPEST
    parts = [Sightings(every, corners.view, corners.pixel, exact)]
    for here in view.unique().tolist():
        between()
        photo, mask = photos.photo(here)
        shades = without_background(photo @ corners.mixture, mask)
        scales, inside = [GreyPhoto(shades, shrink) for shrink in SHRINKS], interior(mask)
        for some in track[view == here].split(PATCHES_AT_ONCE):
            there = _carried(cameras, corners[some], points[some], normals[some], here)
            found, pixel, whitening = _sought(scales, inside, corners.patches[some], there)
            parts.append(Sightings(some[found], torch.full_like(some[found], here), pixel, whitening))
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    found = Sightings(*(torch.cat(column) for column in columns))
    return _without_lonely(points, found[_near(cameras, points, found)])


def _worth(sightings: Sightings, points: int, views: int) -> Tensor:
    """Sightings of each view (V,), counted by how sharp they are in their worse direction.

    Sightings of corners in their own photos, which come first, tell nothing without the others: those bound them.
    """
    least = (torch.linalg.svdvals(sightings.whitening)[:, -1] * SHARPEST) ** 2
    others = least[points:]
    own = least.new_zeros(points).index_add_(0, sightings.point[points:], others).clamp(max=1)
    return least.new_zeros(views).index_add_(0, sightings.view, torch.cat([own, others]))


def _on_surface(model: Model, cameras: Cameras, corners: Corners) -> tuple[Tensor, Tensor, Tensor]:
    """Traced points (S, 3) and unit normals (S, 3), float64, of the corners that hit, and which these are (S,)."""
    directions = torch.nn.functional.normalize(_directions(cameras, corners.view, corners.pixel[:, None])[:, 0], dim=1)
    rays = Rays(cameras.centres[corners.view], directions)
    hits = _traced(model, rays)
    on_surface = hits.hit.nonzero()[:, 0]
    points = rays[on_surface].at(hits.depth[on_surface])
    gradient = model.gradient(points.to(dtype=model.dtype, device=model.device))
    return points, torch.nn.functional.normalize(gradient.double().cpu(), dim=1), on_surface


def _visible(
    model: Model, cameras: Cameras, corners: Corners, points: Tensor, normals: Tensor
) -> tuple[Tensor, Tensor]:
    """Pairs track (P,), view (P,): the NEIGHBOURS views nearest in angle that see each point."""
    distance = torch.cdist(points, cameras.centres)  # (N, V)

    def cosine(unit: Tensor) -> Tensor:
        return (unit @ cameras.centres.T - (unit * points).sum(dim=1, keepdim=True)) / distance

    own = torch.nn.functional.normalize(cameras.centres[corners.view] - points, dim=1)
    angle = torch.acos(cosine(own).clamp(-1, 1))
    angle[(angle < NARROWEST) | (angle > WIDEST) | (cosine(normals) < FLATTEST)] = torch.inf
    nearest, view = angle.topk(min(NEIGHBOURS, len(cameras) - 1), dim=1, largest=False)
    track, view = torch.arange(len(points))[:, None].expand_as(view)[nearest.isfinite()], view[nearest.isfinite()]
    length = distance[track, view]
    hits = _traced(model, Rays(cameras.centres[view], (points[track] - cameras.centres[view]) / length[:, None]))
    seen = ~hits.hit | (hits.depth > length - OCCLUDED)
    return track[seen], view[seen]


def _traced(model: Model, rays: Rays) -> Hits:
    """Hits, on the CPU, of rays (R,) of any type."""
    move = {"dtype": model.dtype, "device": model.device}
    parts = [torch.arange(0)] if len(rays) == 0 else torch.arange(len(rays)).split(RAYS_AT_ONCE)
    moved = (Rays(rays.origins[part].to(**move), rays.directions[part].to(**move)) for part in parts)
    hits = [model.trace(some, preview=True) for some in moved]
    depth, search_depth, status = (
        torch.cat([getattr(hit, name) for hit in hits]).cpu() for name in ("depth", "search_depth", "status")
    )
    return Hits(depth.double(), search_depth.double(), status)


def _directions(cameras: Cameras, view: Tensor, pixels: Tensor) -> Tensor:
    """Directions (N, P, 3) of pixels (N, P, 2) of views (N,) in the cameras' frame, of depth 1, not of length 1."""
    to_frame = rotation_matrices(cameras.quaternions) @ inverse_intrinsics(cameras)
    return torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=2) @ to_frame[view].transpose(1, 2)


def _carried(cameras: Cameras, corners: Corners, points: Tensor, normals: Tensor, view: int) -> Tensor:
    """Where `view` sees (N, P, 2) float32 what the tangent planes at points (N, 3) show in the corners' patches."""
    directions = _directions(cameras, corners.view, corners.pixel[:, None] + square())
    centres = cameras.centres[corners.view]
    height = ((points - centres) * normals).sum(dim=1)[:, None]
    depth = height / (directions * normals[:, None]).sum(dim=2)
    plane = centres[:, None] + depth[..., None] * directions
    camera = cameras[[view]]
    seen = (plane - camera.centres) @ rotation_matrices(camera.quaternions)[0]
    image = seen @ camera.intrinsics[0].T
    return (image[..., :2] / image[..., 2:].clamp(min=1e-9)).float()


def _sought(
    scales: list[GreyPhoto], inside: np.ndarray, patches: Tensor, there: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Which patches (N, rounds, P), expected at pixels `there` (N, P, 2), were found inside the object (F,), at which
    pixels (F, 2), and the sightings' whitening (F, 2, 2)."""
    shift, likeness, information = torch.zeros(len(there), 2), torch.empty(0), torch.empty(0)
    for round_, (scale, steps) in enumerate(zip(scales, STEPS, strict=True)):
        shift, likeness, information = _aligned(scale, patches[:, round_], there, shift, steps)
    pixel = there[:, there.shape[1] // 2].double() + shift.double()
    most = torch.tensor(inside.shape[::-1]) - 1
    column, row = torch.minimum(pixel.clamp(min=0), most).round().long().unbind(1)
    on_object = torch.from_numpy(inside)[row, column]
    found = (on_object & (likeness > LIKENESS) & (shift.norm(dim=1) < FARTHEST)).nonzero()[:, 0]
    return found, pixel[found], _whitening(information[found].double(), likeness[found].double())


def _aligned(
    photo: GreyPhoto, patches: Tensor, there: Tensor, shift: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Shifts (N, 2) that make the photo at `there` (N, P, 2) like the patches (N, P), their correlation (N,), and the
    curvature (N, 2, 2) of their difference that is not of the camera's noise."""
    move = {"dtype": runtime.current().dtype, "device": runtime.current().device}
    inputs = (x.to(**move) for x in (photo.values, patches, there, shift))
    found = align_patches(*inputs, spread=photo.shrink, steps=steps)
    shift, likeness, contrast, curvature = (x.float().cpu() for x in found)
    of_noise = there.shape[1] * 2 * (CAMERA_NOISE / contrast) ** 2  # a slope is the difference of two pixels
    return shift, likeness, curvature - of_noise[:, None, None] * torch.eye(2)


def _whitening(information: Tensor, likeness: Tensor) -> Tensor:
    """Square roots (N, 2, 2) of what patches tell of their shifts: slopes squared (N, 2, 2) over what is left unlike.

    A patch that is a ramp, or an edge, tells nothing along it. Neighbouring pixels err alike: CORRELATED of them count
    as one.
    """
    noise = CORRELATED * (1 - likeness**2).clamp(min=LEAST_NOISE)
    values, vectors = torch.linalg.eigh(information / noise[:, None, None])
    roots = values.clamp(min=0, max=SHARPEST**-2).sqrt()
    return roots[:, :, None] * vectors.transpose(1, 2)


def _near(cameras: Cameras, points: Tensor, sightings: Sightings) -> Tensor:
    """Sightings (M,) bool, corners' own among them, that are not much further off than others of their two views.

    Where poses are rough all are far from where the surface says; where they are known, what is far is something else.
    """
    shift = (reproject(cameras, points, sightings) - sightings.pixel).norm(dim=1)
    own, count = sightings.view[: len(points)][sightings.point], torch.arange(len(sightings))
    others, usual = count >= len(points), shift.new_zeros(len(cameras))
    for view in sightings.view.unique():
        of_view = shift[others & ((own == view) | (sightings.view == view))]
        usual[view] = of_view.median() if len(of_view) else 0
    most = (FARTHER * torch.maximum(usual[own], usual[sightings.view])).clamp(min=LEAST_FAR)
    return ~others | (shift < most)


def _without_lonely(points: Tensor, sightings: Sightings) -> tuple[Tensor, Sightings]:
    """Points that two photos show at least, and their sightings."""
    shared = torch.bincount(sightings.point, minlength=len(points)) >= 2
    number = torch.cumsum(shared, dim=0) - 1
    kept = sightings[shared[sightings.point]]
    return points[shared], Sightings(number[kept.point], kept.view, kept.pixel, kept.whitening)

"""Sightings of surface points: where photos show what a corner in one photo shows, found along the traced surface.

A corner's patch is carried to other photos by the tangent plane at its traced point, and shifted there until the two
agree (Lucas and Kanade 1981, with gain and offset removed): its sighting. No descriptor is needed, for the surface says
where to look and how the patch is foreshortened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from scipy import ndimage
from torch import Tensor

from .bundle import Sightings, adjust
from .cameras import rotation_matrices, transform_cameras
from .model import Model
from .pixels import Photos
from .render import camera_rays
from .types import Cameras, Rays

TEXTURE = 8.0  # pixels, above which brightness is shading
REACH = 5  # pixels from a patch's centre to its edge
CORNER_SCALE = 1.5  # pixels, of the structure tensor
CORNER_CELL = 15  # pixels between corners
CORNERS = 100  # at most, per view
NEIGHBOURS = 8  # views in which a corner is looked for
NARROWEST, WIDEST = np.radians(2.0), np.radians(50.0)  # between two views of a point
FLATTEST = 0.35  # least cosine between normal and direction to a camera
OCCLUDED = 0.03  # normalised units by which the traced depth may fall short of a point
ROUNDS = ((2, 6), (1, 5))  # halvings of the photos' resolution, steps of Lucas and Kanade on it
FARTHEST = 14.0  # pixels that a patch may be shifted
CLOSE = 2.0  # standard deviations: sightings of surface points that tell where the surface is
SHARPEST = 0.15  # pixels: deviation of the best sightings
LEAST_NOISE, CORRELATED = 0.02, 10.0
LIKENESS = 0.8  # least correlation of accepted patches


@dataclass(frozen=True)
class AdjustedPoses:
    """cameras: all views; worth (V,): sharp sightings of each; moved (V,) bool: those that had enough."""

    cameras: Cameras
    worth: Tensor
    moved: Tensor


def adjusted_poses(model: Model, cameras: Cameras, photos: Photos, fewest: int, known: tuple[float, float]) -> AdjustedPoses | None:
    """The poses after one bundle adjustment over what the photos show of the model's surface; None without enough.

    cameras: float64, camera -> normalised. The surface stays in its place: the similarity that the adjustment leaves
    open is chosen so. Views with fewer than `fewest` sightings stay as they are. known: how well poses
    are known before, degrees and normalised units.
    """
    views = [photos.photo(view) for view in range(len(cameras))]
    masks = [mask for _, mask in views]
    greys = most_telling([photo for photo, _ in views], masks)
    stacks = [PhotoStack(greys, shrink) for shrink, _ in ROUNDS]
    points, sightings = find_sightings(model, cameras, stacks, find_corners(greys, masks))
    worth = _worth(sightings, len(cameras))
    enough = worth >= fewest
    sightings = sightings[enough[sightings.view]]
    if int(enough.sum()) < 3:
        return None
    adjusted = adjust(cameras, points, sightings, known=known)
    close = adjusted.residual < CLOSE
    moved = torch.bincount(sightings.point[close], minlength=len(points)) >= 2
    T, _, _ = trimesh.registration.procrustes(adjusted.points[moved].numpy(), points[moved].numpy(), reflection=False)
    placed = transform_cameras(np.asarray(T), adjusted.cameras)
    quaternions = torch.where(enough[:, None], placed.quaternions, cameras.quaternions)
    centres = torch.where(enough[:, None], placed.centres, cameras.centres)
    return AdjustedPoses(Cameras(quaternions, centres, cameras.intrinsics), worth, enough)


class PhotoStack:
    """Grey photos, one after the other, blurred for one scale; bilinear values and slopes at any pixel."""

    def __init__(self, photos: Sequence[np.ndarray], shrink: int) -> None:
        self.shrink = shrink
        blurred = [ndimage.gaussian_filter(photo, 0.5 * shrink, mode="nearest") for photo in photos]
        self.sizes = torch.tensor([photo.shape for photo in photos])
        self.offsets = torch.cumsum(self.sizes.prod(dim=1), dim=0) - self.sizes.prod(dim=1)
        self.values = torch.cat([torch.from_numpy(photo.reshape(-1)) for photo in blurred])

    def at(self, view: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
        """Values (...) and slopes (..., 2) per pixel at pixel (..., 2) of views (...)."""
        height, width = self.sizes[view].unbind(-1)
        most = torch.stack([width, height], dim=-1) - 1.001
        place = torch.minimum(pixel.clamp(min=0), most.to(pixel))
        corner = place.floor()
        right, down = (place - corner).unbind(-1)
        index = self.offsets[view] + corner[..., 1].long() * width + corner[..., 0].long()
        a, b, c, d = (self.values[index + step] for step in (0, 1, width, width + 1))
        top, bottom = a + right * (b - a), c + right * (d - c)
        slope = torch.stack([(b - a) * (1 - down) + (d - c) * down, bottom - top], dim=-1)
        return top + down * (bottom - top), slope


@dataclass(frozen=True)
class Corners:
    """view (N,) long, pixel (N, 2) float64 u, v: well-marked places on the object."""

    view: Tensor
    pixel: Tensor

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: Tensor) -> Corners:
        return Corners(self.view[index], self.pixel[index])


def most_telling(photos: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Photos (H, W, 3) in [0, 1] -> one channel (H, W) float32, along which the object's texture varies most."""
    covariance = np.zeros((3, 3))
    for photo, mask in zip(photos, masks, strict=True):
        fine = photo - ndimage.gaussian_filter(photo, (TEXTURE, TEXTURE, 0))
        fine = ndimage.gaussian_filter(fine, (1, 1, 0))[ndimage.binary_erosion(mask, iterations=REACH)]
        covariance += fine.T @ fine
    direction = np.linalg.eigh(covariance)[1][:, -1]
    return [(photo @ (direction * np.sign(direction.sum()))).astype(np.float32) for photo in photos]


def find_corners(photos: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> Corners:
    """Local maxima of the structure tensor's smaller eigenvalue, inside the object (Shi and Tomasi 1994)."""
    views, pixels = [], []
    for view, (photo, mask) in enumerate(zip(photos, masks, strict=True)):
        strength = np.where(ndimage.binary_erosion(mask, iterations=REACH), _corner_strength(photo), 0)
        peaks = (strength == ndimage.maximum_filter(strength, CORNER_CELL)) & (strength > 0)
        row, column = np.nonzero(peaks)
        best = np.argsort(-strength[row, column])[:CORNERS]
        views.append(np.full(len(best), view))
        pixels.append(np.stack([column[best], row[best]], axis=1).astype(np.float64))
    return Corners(torch.from_numpy(np.concatenate(views)), torch.from_numpy(np.concatenate(pixels)))


def find_sightings(
    model: Model, cameras: Cameras, stacks: Sequence[PhotoStack], corners: Corners
) -> tuple[Tensor, Sightings]:
    """Surface points (N, 3) float64 of corners that other photos show, and their sightings, the corners' own first.

    cameras: V, float64, camera -> normalised. stacks: of the photos, coarse to fine as ROUNDS.
    """
    points, normals, on_surface = _on_surface(model, cameras, corners)
    corners = corners[on_surface]
    track, view = _visible(model, cameras, corners, points, normals)
    plane, own = _patches(cameras, corners, points, normals)
    base = own[track]
    there = _project(cameras, view, plane[track])
    shift, likeness, information = torch.zeros(len(track), 2), torch.empty(0), torch.empty(0)
    for stack in stacks:
        shift, likeness, information = _aligned(stack, corners.view[track], base, view, there, shift)
    middle = plane.shape[1] // 2
    found = (likeness > LIKENESS) & (shift.norm(dim=1) < FARTHEST)
    pixel = there[found, middle].double() + shift[found].double()
    whitening = _whitening(information[found].double(), likeness[found].double())
    every, exact = torch.arange(len(corners)), torch.eye(2, dtype=torch.float64).expand(len(corners), 2, 2) / SHARPEST
    parts = ((every, track[found]), (corners.view, view[found]), (corners.pixel, pixel), (exact, whitening))
    return _without_lonely(points, Sightings(*(torch.cat(part) for part in parts)))


def _worth(sightings: Sightings, views: int) -> Tensor:
    """Sightings of each view (V,), counted by how sharp they are in their worse direction."""
    least = torch.linalg.svdvals(sightings.whitening)[:, -1] * SHARPEST
    return torch.zeros(views, dtype=least.dtype).index_add_(0, sightings.view, least**2)


def _corner_strength(photo: np.ndarray) -> np.ndarray:
    down, right = np.gradient(ndimage.gaussian_filter(photo, 0.7))
    xx, yy, xy = (ndimage.gaussian_filter(p, CORNER_SCALE) for p in (right * right, down * down, right * down))
    return (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)


def _on_surface(model: Model, cameras: Cameras, corners: Corners) -> tuple[Tensor, Tensor, Tensor]:
    """Traced points (S, 3) and unit normals (S, 3), float64, of the corners that hit, and which these are (S,)."""
    origins, directions = (torch.empty(len(corners), 3, dtype=torch.float32) for _ in range(2))
    for view in corners.view.unique():
        here = corners.view == view
        rays = camera_rays(model, cameras[[int(view)]], corners.pixel[here])
        origins[here], directions[here] = rays.origins.cpu(), rays.directions.cpu()
    rays = Rays(origins.to(model.device), directions.to(model.device))
    hits = model.trace(rays, preview=True)
    on_surface = hits.hit.nonzero()[:, 0]
    points = rays[on_surface].at(hits.depth[on_surface])
    normals = torch.nn.functional.normalize(model.gradient(points), dim=1)
    return points.double().cpu(), normals.double().cpu(), on_surface.cpu()


def _visible(
    model: Model, cameras: Cameras, corners: Corners, points: Tensor, normals: Tensor
) -> tuple[Tensor, Tensor]:
    """Pairs track (P,), view (P,): the NEIGHBOURS views nearest in angle that see each point."""
    to_camera = torch.nn.functional.normalize(cameras.centres[None] - points[:, None], dim=2)  # (N, V, 3)
    own = to_camera[torch.arange(len(points)), corners.view]
    angle = torch.acos((to_camera * own[:, None]).sum(dim=2).clamp(-1, 1))
    facing = (to_camera * normals[:, None]).sum(dim=2)
    angle = torch.where((angle > NARROWEST) & (angle < WIDEST) & (facing > FLATTEST), angle, torch.inf)
    nearest, view = angle.topk(min(NEIGHBOURS, len(cameras) - 1), dim=1, largest=False)
    track = torch.arange(len(points))[:, None].expand_as(view)[nearest.isfinite()]
    view = view[nearest.isfinite()]
    apart = points[track] - cameras.centres[view]
    distance = apart.norm(dim=1)
    rays = Rays(cameras.centres[view], apart / distance[:, None])
    move = {"dtype": model.dtype, "device": model.device}
    hits = model.trace(Rays(rays.origins.to(**move), rays.directions.to(**move)), preview=True)
    seen = ~hits.hit.cpu() | (hits.depth.cpu() > distance - OCCLUDED)
    return track[seen], view[seen]


def _patches(cameras: Cameras, corners: Corners, points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Points (N, P, 3) of the tangent planes, and their pixels (N, P, 2) float32, a square around each corner."""
    side = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    square = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).view(-1, 2)
    pixels = corners.pixel[:, None] + square
    K_inverse = torch.linalg.inv(cameras.intrinsics)[corners.view]
    R = rotation_matrices(cameras.quaternions)[corners.view]
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=2)
    directions = homogeneous @ (R @ K_inverse).transpose(1, 2)
    centres = cameras.centres[corners.view]
    height = ((points - centres) * normals).sum(dim=1)[:, None]
    depth = height / (directions * normals[:, None]).sum(dim=2)
    return centres[:, None] + depth[..., None] * directions, pixels.float()


def _project(cameras: Cameras, view: Tensor, points: Tensor) -> Tensor:
    """Pixels (P, Q, 2) float32 of points (P, Q, 3) in views (P,)."""
    R = rotation_matrices(cameras.quaternions)[view]
    seen = (points - cameras.centres[view][:, None]) @ R
    image = seen @ cameras.intrinsics[view].transpose(1, 2)
    return (image[..., :2] / image[..., 2:].clamp(min=1e-9)).float()


def _whitening(information: Tensor, likeness: Tensor) -> Tensor:
    """Square roots (P, 2, 2) of what patches tell of their shifts: slopes squared (P, 2, 2) over what is left unlike.

    A patch that is a ramp, or an edge, tells nothing along it. Neighbouring pixels err alike: CORRELATED of them count
    as one.
    """
    noise = CORRELATED * (1 - likeness**2).clamp(min=LEAST_NOISE)
    values, vectors = torch.linalg.eigh(information / noise[:, None, None])
    roots = values.clamp(min=0, max=SHARPEST**-2).sqrt()
    return roots[:, :, None] * vectors.transpose(1, 2)


def _aligned(
    stack: PhotoStack, base_view: Tensor, base: Tensor, view: Tensor, there: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Shifts (P, 2) that make the patches at `there` (P, Q, 2) like those at `base`, their correlation (P,), and the
    curvature (P, 2, 2) of their difference."""
    spread = stack.shrink

    def grown(pixels: Tensor) -> Tensor:
        middle = pixels[:, pixels.shape[1] // 2, None]
        return middle + spread * (pixels - middle)

    like = _standardised(stack.at(base_view[:, None], grown(base))[0])[0]
    place, likeness, H = grown(there), torch.zeros(len(view)), torch.zeros(len(view), 2, 2)
    for _ in range(dict(ROUNDS)[spread]):
        value, slope = stack.at(view[:, None], place + shift[:, None])
        value, scale = _standardised(value)
        likeness = (value * like).mean(dim=1)
        slope = (slope - slope.mean(dim=1, keepdim=True)) / scale[..., None]
        H = slope.transpose(1, 2) @ slope
        step = torch.linalg.solve(H + 1e-3 * torch.eye(2), (slope * (like - value)[..., None]).sum(dim=1))
        shift = shift + step.clamp(-2.0 * spread, 2.0 * spread)
    return shift, likeness, H


def _standardised(values: Tensor) -> tuple[Tensor, Tensor]:
    """Patches (P, Q) with mean 0 and deviation 1, and their deviation (P, 1)."""
    centred = values - values.mean(dim=1, keepdim=True)
    scale = centred.square().mean(dim=1, keepdim=True).sqrt() + 1e-4
    return centred / scale, scale


def _without_lonely(points: Tensor, sightings: Sightings) -> tuple[Tensor, Sightings]:
    """Points that two photos show at least, and their sightings."""
    shared = torch.bincount(sightings.point, minlength=len(points)) >= 2
    number = torch.cumsum(shared, dim=0) - 1
    kept = sightings[shared[sightings.point]]
    return points[shared], Sightings(number[kept.point], kept.view, kept.pixel, kept.whitening)

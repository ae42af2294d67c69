"""What silhouettes and cameras say together: rays through object pixels, and how they meet a visual hull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from .. import runtime
from ..cameras.pinhole import inverse_intrinsics
from ..cameras.rotations import rotation_matrices
from ..ops.visual_hull import first_occupied, visual_hull
from ..types import Cameras, Rays
from .ignored import joined

RAYS_PER_VIEW = 128
GRID, FINEST_GRID, USUAL_COVER = 64, 160, 0.2
"""Samples along each side of a photo where the object covers this share of it; more where it is smaller."""
LARGEST = 1024  # pixels of a photo's longer side, of which hulls are carved that are only looked at
CELL_PIXELS = 2.0  # that a cell of the lattice spans in small masks that are compared with it
COARSE = 64  # lattice points along each axis of a hull that is only looked at


@dataclass(frozen=True)
class Silhouettes:
    """Of V views: masks (H, W) bool, names; ignored: as a Capture has it; photos (H, W, 3) uint8, or none."""

    masks: list[np.ndarray]
    names: list[str]
    ignored: tuple[np.ndarray | None, ...] = ()
    photos: tuple[np.ndarray, ...] = ()

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def stride(self) -> int:
        """For `thinned`: every so-manieth pixel is enough for hulls that are only looked at."""
        return max(1, -(-max(max(mask.shape) for mask in self.masks) // LARGEST))

    def thinned(self, every: int) -> Silhouettes:
        """Every so-manieth row and column."""
        ignored = tuple(None if pixels is None else pixels[::every, ::every] for pixels in self.ignored)
        masks, photos = ([part[::every, ::every] for part in parts] for parts in (self.masks, self.photos))
        return replace(self, masks=masks, ignored=ignored, photos=tuple(photos))

    def chosen(self, views: Sequence[int] | np.ndarray) -> Silhouettes:
        """Those of some views."""
        return Silhouettes(
            [self.masks[view] for view in views],
            [self.names[view] for view in views],
            tuple(self.ignored[view] for view in views) if self.ignored else (),
            tuple(self.photos[view] for view in views) if self.photos else (),
        )

    def without(self, pixels: Sequence[np.ndarray]) -> Silhouettes:
        """With object pixels (V of (H, W) bool, or none) ignored from now on."""
        if not pixels:
            return self
        masks = [mask & ~part for mask, part in zip(self.masks, pixels, strict=True)]
        return replace(self, masks=masks, ignored=joined(self.ignored, pixels))

    def ordered(self, order: Sequence[int] | np.ndarray) -> Silhouettes:
        """The mask order[v] in the place of mask v."""
        return replace(
            self,
            masks=[self.masks[view] for view in order],
            ignored=tuple(self.ignored[view] for view in order) if self.ignored else (),
        )

    def hull(
        self, cameras: Cameras, resolution: int, *, min_fraction: float = 0.85, min_inside: float = 0.0
    ) -> torch.Tensor:
        """Visual hull over [-1, 1]^3 that most views agree on: a few wrong ones cannot carve it away."""
        return visual_hull(
            self.masks, cameras, resolution, min_fraction=min_fraction, min_inside=min_inside, ignored=self.ignored
        )


@dataclass(frozen=True)
class ObjectRays:
    """Up to RAYS_PER_VIEW rays through object pixels of each view: `view` (R,), `origins`, `directions` (R, 3)."""

    view: np.ndarray
    origins: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True)
class Samples:
    """N pixels on an even grid of each of V photos: `places` (V, N, 2) column, row; `shown` (V, N) bool, on the object;
    `counted` (V, N) bool, neither ignored nor of a mask that is full and says nothing."""

    places: np.ndarray
    shown: np.ndarray
    counted: np.ndarray

    def ordered(self, order: Sequence[int] | np.ndarray) -> Samples:
        """The mask order[v] in the place of mask v."""
        return Samples(self.places, self.shown[order], self.counted[order])


def stride_for(cameras: Cameras, resolution: int) -> int:
    """For `thinned`: every so-manieth pixel spans half a cell of a lattice of so many points, in the median camera."""
    focal, away = cameras.intrinsics[:, 0, 0], cameras.centres.norm(dim=1)
    per_cell = float((focal / away).median()) * 2 / (resolution - 1)
    return max(1, int(per_cell / CELL_PIXELS))


def enlarged(pixels: np.ndarray, every: int, shape: tuple[int, ...]) -> np.ndarray:
    """Of thinned pixels: as many again around every one that was kept."""
    return pixels.repeat(every, axis=0).repeat(every, axis=1)[: shape[0], : shape[1]]


def object_rays(masks: Sequence[np.ndarray], cameras: Cameras) -> ObjectRays:
    """Rays through object pixels evenly taken from each view, in the cameras' frame; none from a mask that is full."""
    places, views = [], []
    for view, mask in enumerate(masks):
        pixels = np.flatnonzero(mask & ~mask.all())
        chosen = pixels[np.unique(np.linspace(0, len(pixels) - 1, min(RAYS_PER_VIEW, len(pixels))).astype(int))]
        row, column = np.divmod(chosen, mask.shape[1])
        places.append(np.stack([column, row], axis=1))
        views.append(np.full(len(chosen), view))
    view = np.concatenate(views)
    return ObjectRays(view, cameras.centres.numpy()[view], _directions(cameras, view, np.concatenate(places)))


def sampled(views: Silhouettes) -> Samples:
    """More densely where the object covers little of the photos."""
    masks, ignored = views.masks, views.ignored
    cover = float(np.median([mask.mean() for mask in masks]))
    count = int(np.clip(GRID * np.sqrt(USUAL_COVER / max(cover, 1e-9)), GRID, FINEST_GRID))
    share = (np.arange(count) + 0.5) / count
    places, shown, counted = [], [], []
    for view, mask in enumerate(masks):
        row, column = ((share * side).astype(int) for side in mask.shape)
        places.append(np.stack(np.meshgrid(column, row), axis=-1).reshape(-1, 2))
        unused = ignored[view] if ignored else None
        shown.append(mask[np.ix_(row, column)].ravel())
        said = np.ones(count * count, bool) if unused is None else ~unused[np.ix_(row, column)].ravel()
        counted.append(said & ~mask.all())
    return Samples(np.stack(places), np.stack(shown), np.stack(counted))


def looked_at(hull: torch.Tensor, cameras: Cameras, places: np.ndarray, *, radius: float = 2.0) -> np.ndarray:
    """Whether the rays of pixels (V, N, 2) meet the hull within a sphere: (V, N) bool."""
    views, count = places.shape[:2]
    view = np.repeat(np.arange(views), count)
    return pixels_meet(hull, cameras, view, places.reshape(-1, 2), radius=radius).reshape(views, count)


def pixels_meet(
    hull: torch.Tensor, cameras: Cameras, view: np.ndarray, places: np.ndarray, *, radius: float
) -> np.ndarray:
    """Whether the rays of pixels (R, 2) of views (R,) meet the hull within a sphere: (R,) bool."""
    return _meet(hull, cameras.centres.numpy()[view], _directions(cameras, view, places), radius)


def missed(samples: Samples, seen: np.ndarray) -> np.ndarray:
    """Share (V,) of each view's object pixels beside what its rays meet of a hull, seen (V, N); 0 where nothing counts.

    What a view shows is in the hull of all views, unless it contradicts the others.
    """
    object_pixels = samples.shown & samples.counted
    return (object_pixels & ~seen).sum(axis=1) / np.maximum(object_pixels.sum(axis=1), 1)


def agreement(hull: np.ndarray, rays: ObjectRays, views: int) -> np.ndarray:
    """Share (V,) of each view's object rays that meet the hull (M, M, M) over [-1, 1]^3, nearly; 1 for a view without
    rays."""
    grown = torch.from_numpy(binary_dilation(hull, iterations=2))  # a lattice misses parts thinner than its cells
    meets = _meet(grown, rays.origins, rays.directions, 2.0)
    counts = np.bincount(rays.view, minlength=views)
    return np.where(counts > 0, np.bincount(rays.view, meets, views) / np.maximum(counts, 1), 1.0)


def _meet(hull: torch.Tensor, origins: np.ndarray, directions: np.ndarray, radius: float) -> np.ndarray:
    settings = runtime.current()
    lines = [torch.from_numpy(part).to(settings.device, settings.dtype) for part in (origins, directions)]
    return (first_occupied(hull, Rays(*lines), radius=radius) >= 0).cpu().numpy()


def _directions(cameras: Cameras, view: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Unit directions (R, 3) of rays through pixels (R, 2) of views (R,)."""
    through = (rotation_matrices(cameras.quaternions) @ inverse_intrinsics(cameras)).numpy()
    pixels = np.column_stack([places, np.ones(len(places))])
    directions = np.einsum("rij,rj->ri", through[view], pixels)
    directions /= np.abs(directions).max(axis=1, keepdims=True)  # squares of those of a tiny focal length overflow
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)

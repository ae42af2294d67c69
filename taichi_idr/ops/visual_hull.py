"""Bridge to visual hulls: carving, votes, and what rays meet of them (kernels/visual_hull.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from ..cameras.pinhole import projections
from ..kernels import visual_hull as kernels
from ..types import Cameras, Rays

POINTS_PER_LAUNCH, RAYS_PER_LAUNCH = 1 << 20, 1 << 20
"""A launch stays well below a second, so that a signal is heard."""
MIN_FRACTION = 0.95
MIN_VIEWS = 3
"""Photos that must show the object at a point: two cones bound no object, and much is seen by few photos only."""
ROUNDING = 1e-5
"""Added to counts before they are compared with a share of all views."""


def visual_hull(
    masks: Sequence[np.ndarray],
    cameras: Cameras,
    resolution: int,
    *,
    min_fraction: float = MIN_FRACTION,
    min_inside: float = 0.0,
    min_views: int = MIN_VIEWS,
    ignored: Sequence[np.ndarray | None] = (),
) -> Tensor:
    """Occupancy (res, res, res) bool, indexed x, y, z, of the lattice over [-1, 1]^3, ends included.

    masks: V arrays (H, W) bool. cameras: V, in the frame of the lattice. ignored: V arrays (H, W) bool, or None, of
    pixels that say nothing; empty where there are none. A point is kept where at least `min_fraction` of the views that
    see it show the object there, and so many views do: `min_views`, or all of fewer, and `min_inside` of all. A view
    does not see what lies behind it, beside its photo or at an ignored pixel. Not differentiable.
    """
    photos = _Photos.of("visual_hull", masks, cameras, resolution, ignored)
    most_outside = 1 - min_fraction + ROUNDING / len(masks)
    least_inside = max(float(min(min_views, len(masks))), min_inside * len(masks)) - ROUNDING
    occupied = torch.zeros(resolution**3, dtype=torch.int32, device=runtime.current().device)
    for first in range(0, resolution**3, POINTS_PER_LAUNCH):
        part = occupied[first : first + POINTS_PER_LAUNCH]
        runtime.launch(kernels.visual_hull, *photos.arguments, resolution, first, most_outside, least_inside, part)
    return (occupied != 0).reshape(resolution, resolution, resolution)


def hull_votes(
    masks: Sequence[np.ndarray], cameras: Cameras, resolution: int, *, ignored: Sequence[np.ndarray | None] = ()
) -> tuple[Tensor, Tensor]:
    """How many views show the object, and how many background: two of (res, res, res) int32, as visual_hull has it.

    Not differentiable.
    """
    photos = _Photos.of("hull_votes", masks, cameras, resolution, ignored)
    inside, outside = torch.zeros(2, resolution**3, dtype=torch.int32, device=runtime.current().device)
    for first in range(0, resolution**3, POINTS_PER_LAUNCH):
        parts = (counts[first : first + POINTS_PER_LAUNCH] for counts in (inside, outside))
        runtime.launch(kernels.hull_votes, *photos.arguments, resolution, first, *parts)
    shape = (resolution, resolution, resolution)
    return inside.reshape(shape), outside.reshape(shape)


def first_occupied(occupied: Tensor, rays: Rays, *, radius: float = 2.0) -> Tensor:
    """Depth (R,) at which unit rays first meet an occupied cell within a sphere, to half a cell; -1 where they do not.

    occupied: (res, res, res) bool over [-1, 1]^3, as `visual_hull` has it; a cell is what is nearest to its point.
    radius: of the sphere about the origin; 2 holds all of the lattice. Not differentiable.
    """
    settings = runtime.current()
    cells = occupied.to(settings.device, torch.int32).reshape(-1).contiguous()
    lines = (rays.origins.detach().contiguous(), rays.directions.detach().contiguous())
    depth = torch.empty_like(lines[0][:, 0])
    for first in range(0, len(depth), RAYS_PER_LAUNCH):
        origins, directions, part = (x[first : first + RAYS_PER_LAUNCH] for x in (*lines, depth))
        runtime.launch(kernels.first_occupied, cells, len(occupied), radius, origins, directions, part)
    return depth


@dataclass(frozen=True)
class _Photos:
    """What kernels know of V photos: their first arguments."""

    arguments: tuple[Tensor | int, ...]

    @classmethod
    def of(
        cls,
        caller: str,
        masks: Sequence[np.ndarray],
        cameras: Cameras,
        resolution: int,
        ignored: Sequence[np.ndarray | None],
    ) -> _Photos:
        """Raises ValueError where they do not fit each other."""
        if len(masks) != len(cameras) or not len(masks) or resolution < 2:
            got = f"{len(masks)} masks, {len(cameras)} cameras, resolution {resolution}"
            raise ValueError(f"{caller}: expected a mask per camera and two points per axis, got {got}")
        settings = runtime.current()
        words, first_words, sizes = (x.to(settings.device) for x in _packed(masks))
        unused = words  # an array is needed, and not read
        if ignored:
            pairs = zip(ignored, masks, strict=True)
            nothing = (np.zeros(mask.shape, bool) if part is None else part for part, mask in pairs)
            unused = _packed(list(nothing))[0].to(settings.device)
        matrices = projections(cameras.to(torch.float64)).to(settings.device, settings.dtype).contiguous()
        return cls((words, unused, first_words, sizes, matrices, int(bool(ignored))))


def _packed(masks: Sequence[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """Masks as bits in int32 words (B,), each view's first word (V,), rows and columns (V, 2): 32 times smaller."""
    ends = np.cumsum([-(-mask.size // 32) for mask in masks])
    starts, bits = np.concatenate([[0], ends[:-1]]), np.zeros(4 * ends[-1], np.uint8)
    for start, mask in zip(4 * starts, masks, strict=True):
        packed = np.packbits(np.asarray(mask, dtype=bool).reshape(-1), bitorder="little")
        bits[start : start + len(packed)] = packed
    sizes = np.array([mask.shape for mask in masks], dtype=np.int32)
    words = bits.view("<i4").astype(np.int32, copy=False)
    return torch.from_numpy(words), torch.from_numpy(starts.astype(np.int32)), torch.from_numpy(sizes)

"""Views shrunk to thumbnails, photo beside rendering, and what a pair of them says about mask, camera and photo.

Thumbnails, because what is asked here (is a third of the mask missing, is it another photo) shows in hundreds of
pixels, and every view of a fit can be rendered at that size in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import normalize

from ..cameras.pinhole import shrunk
from ..capture.exposure import exposed
from ..capture.masks import object_box
from ..fields.model import Model
from ..pictures.colours import eight_bit
from ..pictures.rendering import camera_rays, render_view
from ..types import Cameras, Capture
from .images import mask_iou, psnr_masked

SIDE = 128  # pixels, longer side of a thumbnail at most
MOST_PIXELS = 1 << 19  # of all thumbnails of a capture: 5 MB, and seconds of rendering
LEAST_SIDE = 48
FARTHEST_SHIFT = 0.25  # of the longer side: a view that is farther off is not shifted but another one
SHARP_WINDOW = 512  # pixels, of the part of a photo whose sharpness is measured
LEAST_PIXELS = 40  # fewer say nothing about colours
DARK, BRIGHT = 0.02, 0.98  # beyond, a photo may be clipped
GAMMA = 2.2  # of photos, nearly
NEIGHBOURS = 3
LONELY = 1.5  # times the usual angle to the nearest camera
TINY = 1e-6


@dataclass(frozen=True)
class SmallView:
    """One view, `factor` times smaller than its photo.

    photo, rendered: (h, w, 3) uint8, of rays through the middle of `factor` x `factor` pixels: beside the mean of
    these a sharp rendering would seem worse than a dull one. mask, hit: (h, w) bool, silhouette and rendering; used:
    (h, w) bool, False where the photo is ignored, and mask and hit are False there. inner: (h, w) bool, pixels that
    show nothing but the object. sharpness: see `sharpness`. stops_seen: how much brighter the photo is than what other
    cameras see of the surface, one number for each of them, as `stops`.
    """

    photo: np.ndarray
    rendered: np.ndarray
    mask: np.ndarray
    hit: np.ndarray
    used: np.ndarray
    inner: np.ndarray
    factor: int
    sharpness: float
    stops_seen: tuple[float, ...] = ()

    @property
    def missed(self) -> np.ndarray:
        """(h, w) bool: the mask has them, the rendering has not."""
        return self.mask & ~self.hit

    @property
    def extra(self) -> np.ndarray:
        """(h, w) bool: the rendering has them, the mask has not."""
        return self.hit & ~self.mask

    @property
    def compared(self) -> np.ndarray:
        """(h, w) bool: where colours are compared."""
        return self.inner & self.hit


def thumbnail_side(views: int) -> int:
    """Longer side in pixels of the thumbnails of that many views: smaller ones where there are many."""
    return max(LEAST_SIDE, min(SIDE, math.isqrt(MOST_PIXELS // max(views, 1))))


def thumbnails(
    model: Model,
    cameras: Cameras,
    capture: Capture,
    order: Iterable[int],
    between: Callable[[], None] | None = None,
    stops: np.ndarray | None = None,
) -> Iterator[SmallView]:
    """The views of a capture in that order, rendered with `cameras` (V, camera -> normalised).

    between: as `render_view` has it. stops (V, 3): exposures of the photos where they were fitted, EV; so they are
    rendered.
    """
    near, side = neighbours(cameras), thumbnail_side(len(capture))
    for index in order:
        ignored = capture.ignored[index] if capture.ignored else None
        photo = (capture.images[index], capture.masks[index], ignored)
        own = None if stops is None else stops[index]
        yield small_view(model, cameras[[index]], *photo, side, others=cameras[near[index]], stops=own, between=between)


def neighbours(cameras: Cameras) -> list[list[int]]:
    """For each of V cameras the NEIGHBOURS that see the object from nearly the same side.

    None where the nearest is much farther than usual: colours seen from there say nothing about this side.
    """
    outward = normalize(cameras.centres.double(), dim=1)
    angles = torch.arccos((outward @ outward.T).clamp(-1, 1)).fill_diagonal_(math.inf)
    nearest = angles.min(dim=1).values
    alone = nearest > LONELY * nearest.median()
    order = angles.argsort(dim=1)[:, : min(NEIGHBOURS, len(cameras) - 1)]
    return [[] if alone[view] else order[view].tolist() for view in range(len(cameras))]


def small_view(
    model: Model,
    camera: Cameras,
    photo: np.ndarray,
    mask: np.ndarray,
    ignored: np.ndarray | None,
    side: int,
    *,
    others: Cameras | None = None,
    stops: np.ndarray | None = None,
    between: Callable[[], None] | None = None,
) -> SmallView:
    """Shrink a photo (H, W, 3) uint8 and its mask (H, W) to at most `side` pixels, and render its camera (one) as
    small.

    Not on the training lattice, which may be out of date: on scan 24 of DTU it misses 9 % of the object. ignored:
    (H, W) bool or None. others: of `stops_seen`. stops: as `exposed` has it. between: as `render_view` has it.
    """
    factor = max(1, math.ceil(max(mask.shape) / side))
    used = np.ones(mask.shape, bool) if ignored is None else ~ignored
    small_used, share = _blocks(used, factor) == 1, _blocks(mask, factor)
    small_camera = shrunk(camera, factor)
    rendered = render_view(model, small_camera, *share.shape, between=between)
    view = SmallView(
        photo=eight_bit(_middles(photo, factor) / 255),
        rendered=eight_bit(rendered.as_exposed(stops)),
        mask=(share >= 0.5) & small_used,
        hit=rendered.hit & small_used,
        used=small_used,
        inner=(share == 1) & small_used,
        factor=factor,
        sharpness=sharpness(photo, mask),
    )
    if others is None or np.count_nonzero(view.compared) < LEAST_PIXELS:
        return view
    return replace(view, stops_seen=_stops_seen(model, small_camera, view, rendered.depth, others, stops))


def sharpness(photo: np.ndarray, mask: np.ndarray) -> float:
    """Energy of a photo's (H, W, 3) detail of one to two pixels over that of one to eight, on the object; NaN without
    enough of it.

    A ratio, because objects differ in contrast, and so do their sides; not the finest detail, which is noise.
    """
    from scipy.ndimage import binary_erosion, gaussian_filter

    if not mask.any():
        return math.nan
    rows, columns = _middle(mask)
    grey = photo[rows, columns].astype(np.float32).mean(axis=2)
    inside: np.ndarray = np.asarray(binary_erosion(mask[rows, columns], iterations=3))
    if np.count_nonzero(inside) < LEAST_PIXELS:
        return math.nan
    fine, middle, coarse = (gaussian_filter(grey, sigma) for sigma in (1.0, 2.0, 8.0))
    whole = float(np.mean((fine - coarse)[inside] ** 2))
    return float(np.mean((fine - middle)[inside] ** 2)) / whole if whole > TINY else math.nan


def inverted_overlap(view: SmallView) -> float:
    """Intersection over union if black were the object."""
    return mask_iou(~view.mask & view.used, view.hit)


def best_shift(view: SmallView) -> tuple[float, float]:
    """How far the rendered silhouette has to move for the largest overlap, in the photo's pixels, and that overlap."""
    both, distance = _correlation(view.mask, view.hit)
    union = np.count_nonzero(view.mask) + _correlation(view.used, view.hit)[0] - both
    overlaps = np.where(distance <= _farthest(view), both / np.maximum(union, 0.5), 0)
    best = int(overlaps.argmax())
    return float(distance.flat[best]) * view.factor, float(overlaps.flat[best])


def best_colour_shift(view: SmallView) -> tuple[float, float]:
    """How far the rendered colours have to move to be most like the photo, in the photo's pixels, and their PSNR in dB
    then, over at least half of the pixels that are compared now.

    The squared error of all shifts is a sum of correlations.
    """
    photo, rendered = (picture.astype(np.float64) / 255 for picture in (view.photo, view.rendered))
    inner, hit = view.inner.astype(float), view.hit.astype(float)
    seen, distance = _correlation(inner, hit)
    error = sum(
        _correlation(inner * p**2, hit)[0]
        - 2 * _correlation(inner * p, hit * r)[0]
        + _correlation(inner, hit * r**2)[0]
        for p, r in zip(np.moveaxis(photo, 2, 0), np.moveaxis(rendered, 2, 0), strict=True)
    )
    enough = seen > max(LEAST_PIXELS, np.count_nonzero(view.compared) / 2)
    errors = np.where(enough & (distance <= _farthest(view)), error / np.maximum(3 * seen, 1), math.inf)
    best = int(errors.argmin())
    return float(distance.flat[best]) * view.factor, -10 * math.log10(max(float(errors.flat[best]), TINY))


def colour_psnr(view: SmallView, gain: np.ndarray | float = 1.0, where: np.ndarray | None = None) -> float:
    """PSNR in dB of the rendering times `gain` where colours are compared, or `where`; NaN without enough of them."""
    pixels = view.compared if where is None else where
    if np.count_nonzero(pixels) < LEAST_PIXELS:
        return math.nan
    return psnr_masked(np.clip(view.rendered / 255 * gain, 0, 1), view.photo / 255, pixels)


def gain(view: SmallView) -> np.ndarray:
    """How much brighter than the rendering the photo is, (3,) by channel."""
    return _gain(*(picture[view.compared] / 255 for picture in (view.photo, view.rendered)))


def stops(view: SmallView) -> float:
    """How much brighter than the rendering the photo is, in stops of linear light (EV); NaN where nothing is seen."""
    return _stops(gain(view)) if np.count_nonzero(view.compared) >= LEAST_PIXELS else math.nan


def likeness(view: SmallView, other: SmallView) -> tuple[float, float]:
    """Overlap and PSNR (dB) of a view's mask and photo with the rendering of another; NaN where sizes differ."""
    if view.mask.shape != other.mask.shape:
        return math.nan, math.nan
    both = view.inner & other.hit
    if np.count_nonzero(both) < LEAST_PIXELS:
        return mask_iou(view.mask, other.hit), math.nan
    return mask_iou(view.mask, other.hit), psnr_masked(other.rendered / 255, view.photo / 255, both)


@torch.no_grad()
def _stops_seen(
    model: Model, camera: Cameras, view: SmallView, depth: np.ndarray, others: Cameras, stops: np.ndarray | None
) -> tuple[float, ...]:
    """A fit with colours that depend on the direction explains the exposure of one photo by that of its camera: only
    the directions of other cameras tell. depth: (h, w) of the rendering."""
    rows, columns = np.nonzero(view.compared)
    rays = camera_rays(model, camera, torch.from_numpy(np.stack([columns, rows], axis=1)))
    points = rays.at(torch.from_numpy(depth[rows, columns]).to(rays.origins))
    photo, found = view.photo[view.compared] / 255, []
    for centre in others.centres.to(points):
        colour = model.colour(points, normalize(points - centre, dim=1)).clamp(0, 1).cpu().numpy()
        found.append(_stops(_gain(photo, exposed(colour, stops))))
    return tuple(found)


def _gain(photo: np.ndarray, rendered: np.ndarray) -> np.ndarray:
    """Factors (3,) from the colours (N, 3) of a rendering to those of a photo, least squares without clipped ones."""
    kept = ((photo > DARK) & (photo < BRIGHT)).all(axis=1)
    photo, rendered = photo[kept], rendered[kept]
    return (rendered * photo).sum(axis=0) / np.maximum((rendered**2).sum(axis=0), TINY)


def _stops(gain: np.ndarray) -> float:
    return GAMMA * float(np.log2(np.maximum(gain, TINY)).mean())


def _correlation(fixed: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of fixed times moved (h, w) over all shifts of `moved`, (2 h, 2 w), and how far each shift is in pixels.

    By Fourier transform, with room for a shift not to come in again at the other side.
    """
    size = (2 * fixed.shape[0], 2 * fixed.shape[1])
    sums = np.fft.irfft2(np.fft.rfft2(fixed, size) * np.conj(np.fft.rfft2(moved, size)), size)
    down, right = (np.fft.fftfreq(n, 1 / n) for n in size)
    return sums, np.hypot(down[:, None], right[None])


def _farthest(view: SmallView) -> float:
    return FARTHEST_SHIFT * max(view.mask.shape)


def _blocks(picture: np.ndarray, factor: int) -> np.ndarray:
    """Means (h, w) or (h, w, C) over blocks of factor x factor pixels; a last incomplete block is dropped."""
    height, width = (n // factor for n in picture.shape[:2])
    cut = picture[: height * factor, : width * factor]
    return cut.reshape(height, factor, width, factor, *picture.shape[2:]).mean(axis=(1, 3), dtype=np.float32)


def _middles(picture: np.ndarray, factor: int) -> np.ndarray:
    """Means (h, w, C) over the pixel in the middle of those blocks, or the four around it."""
    height, width = (n // factor for n in picture.shape[:2])
    first, last = (factor - 1) // 2, factor // 2
    four = [picture[row::factor, column::factor] for row in (first, last) for column in (first, last)]
    return np.stack([part[:height, :width] for part in four]).mean(axis=0, dtype=np.float32)


def _middle(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the object's box, at most SHARP_WINDOW each, from the middle."""
    parts = []
    for side in object_box(mask):
        start = max(side.start, (side.start + side.stop - SHARP_WINDOW) // 2)
        parts.append(slice(start, min(side.stop, start + SHARP_WINDOW)))
    return parts[0], parts[1]

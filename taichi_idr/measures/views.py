"""Pictures of a model against photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from ..capture.exposure import stops_between
from ..fields.model import Looks
from ..pictures.rendering import render_view
from ..types import Cameras
from . import images as image_metrics


@dataclass(frozen=True)
class PictureScores:
    """Of one view, or means over the views that have an object (missed_fraction: over all object pixels); NaN where it
    could not be measured. own_exposure_db: PSNR after the exposure and white balance that suit this photo best."""

    psnr_db: float
    psnr_hit_db: float
    missed_fraction: float
    ssim: float
    mask_iou: float
    own_exposure_db: float


def score_views(
    model: Looks,
    cameras: Cameras,
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    ignored: Sequence[np.ndarray | None] = (),
) -> PictureScores:
    """Means over `scores_of_views`."""
    return mean_scores(scores_of_views(model, cameras, images, masks, ignored), masks)


def scores_of_views(
    model: Looks,
    cameras: Cameras,
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    ignored: Sequence[np.ndarray | None] = (),
    stops: np.ndarray | None = None,
) -> list[PictureScores]:
    """Render every view and compare it with its photo.

    cameras: V, float64, camera -> normalised. images: V of (H, W, 3) uint8; masks: V of (H, W) bool; ignored: V of
    (H, W) bool or None, pixels that do not count, empty where there are none. stops (V, 3): exposures of the photos
    where they were fitted, EV; so they are rendered.
    """
    rows = []
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        photo = image.astype(np.float32) / 255
        rendered = render_view(model, cameras[[index]], *mask.shape, smooth=True)
        hit = rendered.hit
        unused = ignored[index] if ignored else None
        if unused is not None:
            hit = hit & ~unused
        colour = rendered.as_exposed(None if stops is None else stops[index])
        own = rendered.as_exposed(stops_between(rendered.colour[mask & hit], photo[mask & hit]))
        rows.append(
            PictureScores(
                image_metrics.psnr_masked(colour, photo, mask),
                image_metrics.psnr_hit(colour, photo, mask, hit),
                image_metrics.missed_share(mask, hit),
                image_metrics.ssim(colour, photo, mask),
                image_metrics.mask_iou(mask, hit),
                image_metrics.psnr_masked(own, photo, mask),
            )
        )
    return rows


def mean_scores(rows: Sequence[PictureScores], masks: Sequence[np.ndarray]) -> PictureScores:
    """Of V views and their masks."""
    sizes = [np.count_nonzero(mask) for mask in masks]
    missed = sum(row.missed_fraction * size for row, size in zip(rows, sizes, strict=True))
    psnr, psnr_hit, _, ssim, iou, own = (_mean(column) for column in zip(*map(astuple, rows), strict=True))
    return PictureScores(psnr, psnr_hit, missed / max(sum(sizes), 1), ssim, iou, own)


def _mean(values: tuple[float, ...]) -> float:
    """Mean of what was measured; NaN where nothing was."""
    measured = [value for value in values if not math.isnan(value)]
    return float(np.mean(measured)) if measured else math.nan

"""Pictures of a model against photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fields.model import Model
from ..pictures.rendering import render_view
from ..types import Cameras
from . import images as image_metrics


@dataclass(frozen=True)
class PictureScores:
    """Means over the views that have an object (missed_fraction: over all object pixels)."""

    psnr_db: float
    psnr_hit_db: float
    missed_fraction: float
    ssim: float
    mask_iou: float


def score_views(
    model: Model,
    cameras: Cameras,
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    ignored: Sequence[np.ndarray | None] = (),
) -> PictureScores:
    """Render every view and compare it with its photo.

    cameras: V, float64, camera -> normalised. images: V of (H, W, 3) uint8; masks: V of (H, W) bool; ignored: V of
    (H, W) bool or None, pixels that do not count, empty where there are none.
    """
    rows, missed, object_pixels = [], 0.0, 0
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        photo = image.astype(np.float32) / 255
        rendered = render_view(model, cameras[[index]], *mask.shape)
        colour, hit = rendered.colour, rendered.hit
        unused = ignored[index] if ignored else None
        if unused is not None:
            hit = hit & ~unused
        rows.append(
            (
                image_metrics.psnr_masked(colour, photo, mask),
                image_metrics.psnr_hit(colour, photo, mask, hit),
                image_metrics.ssim(colour, photo, mask),
                image_metrics.mask_iou(mask, hit),
            )
        )
        missed += image_metrics.missed_share(mask, hit) * np.count_nonzero(mask)
        object_pixels += np.count_nonzero(mask)
    psnr, psnr_hit, ssim, iou = (_mean(column) for column in zip(*rows, strict=True))
    return PictureScores(psnr, psnr_hit, missed / max(object_pixels, 1), ssim, iou)


def _mean(values: tuple[float, ...]) -> float:
    """Mean of what was measured; NaN where nothing was."""
    measured = [value for value in values if not math.isnan(value)]
    return float(np.mean(measured)) if measured else math.nan

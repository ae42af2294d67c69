"""How near a rendered view is to its photo (EVAL-5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def psnr_masked(rendered: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB over the pixels of `mask` (H, W); pictures (H, W, 3) in [0, 1]. NaN where the mask is empty.

    Both pictures times the mask, squared error times H W / sum of the mask, averaged over channels: EVAL-5.
    What was rendered white counts as white.
    """
    if not mask.any():
        return math.nan
    error = float(np.mean((rendered[mask].astype(np.float64) - photo[mask]) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def psnr_hit(rendered: np.ndarray, photo: np.ndarray, mask: np.ndarray, hit: np.ndarray) -> float:
    """As `psnr_masked`, over the object pixels that were hit alone."""
    return psnr_masked(rendered, photo, mask & hit)


def missed_share(mask: np.ndarray, hit: np.ndarray) -> float:
    """Share of the object pixels without a hit; 0 without object pixels."""
    return float(np.count_nonzero(mask & ~hit)) / max(np.count_nonzero(mask), 1)


def mask_iou(mask: np.ndarray, hit: np.ndarray) -> float:
    """Intersection over union of silhouette and hits; 1 where both are empty."""
    union = np.count_nonzero(mask | hit)
    return float(np.count_nonzero(mask & hit)) / union if union else 1.0


def ssim(rendered: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> float:
    """Structural similarity, mean over the picture, both pictures times the mask.

    Wang et al., 2004: Gaussian weights of 1.5 pixels. NaN for a picture smaller than the window of 11 pixels.
    """
    from skimage.metrics import structural_similarity

    if min(mask.shape) < 11:
        return math.nan
    pair = [(picture * mask[..., None]).astype(np.float32) for picture in (rendered, photo)]
    options: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    value = structural_similarity(*pair, channel_axis=2, data_range=1.0, **options)
    return float(np.asarray(value))

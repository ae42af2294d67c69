"""Picture metrics against values worked out by hand; PSNR is EVAL-5."""

from __future__ import annotations

import numpy as np
import pytest

from taichi_idr.measures.images import mask_iou, missed_share, psnr_hit, psnr_masked, ssim


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:20] = True
    return mask


def test_psnr_is_eval_5(mask: np.ndarray) -> None:
    draw = np.random.default_rng(0)
    rendered, photo = draw.random((2, 20, 30, 3))
    weight = mask[..., None]
    squared = ((rendered * weight - photo * weight) ** 2).mean(axis=(0, 1)) * mask.size / mask.sum()
    assert psnr_masked(rendered, photo, mask) == pytest.approx(-10 * np.log10(squared.mean()))


def test_a_tenth_everywhere_is_20_db_and_the_background_does_not_count(mask: np.ndarray) -> None:
    photo = np.full((20, 30, 3), 0.5)
    rendered = np.where(mask[..., None], photo + 0.1, 1.0)
    assert psnr_masked(rendered, photo, mask) == pytest.approx(20)
    assert psnr_masked(photo, photo, mask) == np.inf
    assert np.isnan(psnr_masked(rendered, photo, np.zeros_like(mask)))


def test_missed_pixels_count_as_white_but_not_among_the_hits(mask: np.ndarray) -> None:
    photo = np.full((20, 30, 3), 0.5)
    hit = mask.copy()
    hit[5] = False  # a tenth of the object
    rendered = np.where(hit[..., None], photo + 0.1, 1.0)
    assert psnr_hit(rendered, photo, mask, hit) == pytest.approx(20)
    assert psnr_masked(rendered, photo, mask) == pytest.approx(-10 * np.log10(0.9 * 0.01 + 0.1 * 0.25))
    assert missed_share(mask, hit) == pytest.approx(0.1)


def test_mask_iou(mask: np.ndarray) -> None:
    assert mask_iou(mask, mask) == 1
    assert mask_iou(mask, np.roll(mask, 5, axis=1)) == pytest.approx(1 / 3)
    assert mask_iou(mask, np.zeros_like(mask)) == 0
    assert mask_iou(np.zeros_like(mask), np.zeros_like(mask)) == 1


def test_ssim_ignores_the_background_and_sees_structure(mask: np.ndarray) -> None:
    photo = np.random.default_rng(0).random((20, 30, 3))
    behind = np.where(mask[..., None], photo, 1.0)
    assert ssim(behind, photo, mask) == pytest.approx(1)
    flat = np.full_like(photo, 0.5)
    assert ssim(flat, photo, mask) < 0.8
    assert np.isnan(ssim(photo[:5], photo[:5], mask[:5]))

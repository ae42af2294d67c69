"""Masks cut anew about a shape's outline."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from PIL import Image

from taichi_idr.masking.refining import refined

HEIGHT, WIDTH = 90, 120
pytestmark = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


def disc(radius: float, column: float = 60.0, row: float = 45.0) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(x - column, y - row) < radius


def photographed(thing: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 12, (HEIGHT, WIDTH, 3))
    return np.clip(np.where(thing[..., None], (170, 90, 60), (90, 110, 120)) + noise, 0, 255).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_what_the_mask_lacks_and_has_too_much():
    truth = disc(30)
    wrong = (truth & ~disc(14, 80)) | disc(10, 32, 20)
    found = refined(photographed(truth), wrong, disc(31.5, 61))
    assert found.shape == truth.shape and iou(wrong, truth) < 0.85 < 0.98 < iou(found, truth)


def test_a_small_silhouette_does():
    truth = disc(30)
    small = np.asarray(Image.fromarray(disc(31)).resize((WIDTH // 3, HEIGHT // 3)))
    assert iou(refined(photographed(truth), truth & ~disc(14, 80), small), truth) > 0.98


def test_a_thin_part_that_the_shape_lacks_so_far_stays():
    thin = np.zeros((HEIGHT, WIDTH), bool)
    thin[43:47, 85:115] = True
    truth = disc(26) | thin
    found = refined(photographed(truth), truth, disc(26))
    assert found[thin].mean() > 0.9


def test_large_photos_are_cut_small():
    truth = disc(30)
    large = photographed(truth).repeat(12, axis=0).repeat(12, axis=1)
    mask = (truth & ~disc(14, 80)).repeat(12, axis=0).repeat(12, axis=1)
    found = refined(large, mask, truth)
    assert found.shape == mask.shape and iou(found, truth.repeat(12, axis=0).repeat(12, axis=1)) > 0.97


def test_without_a_shape_the_mask_stays():
    mask = disc(20)
    assert refined(photographed(mask), mask, np.zeros_like(mask)) is mask

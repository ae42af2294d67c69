"""What is to be ignored changes nothing: a fit of photos with anything there is the same, bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from captures import SIZE, make_capture
from PIL import Image
from tiny_fits import assert_same_run, fit

from taichi_idr.commands.evaluate import evaluate_run

STEPS = 8
CONSISTENT = ("consistency.weight=0.5", "consistency.start=0", "consistency.points=64", "consistency.least_contrast=0")
TINY_IDR = ("geometry.width=16", "radiance.width=16", "schedule.rays=64", "loss.eikonal_points=32")
PRESETS = {"fast": (), "quality": CONSISTENT}
SAME = {"psnr_db", "psnr_hit_db", "missed_fraction", "mask_iou"}


def occluded(folder: Path, seed: int) -> Path:
    """Two balls with a strip of noise in half of the photos and masks, marked as to be ignored."""
    make_capture(folder)
    (folder / "ignore").mkdir()
    random = np.random.default_rng(seed)
    strip = np.zeros((SIZE[1], SIZE[0]), bool)
    strip[:, 20:24] = True
    for view in range(0, 8, 2):
        Image.fromarray(strip.astype(np.uint8) * 255).save(folder / "ignore" / f"{view:03d}.png")
        for part in ("image", "mask"):
            path = folder / part / f"{view:03d}.png"
            pixels = np.array(Image.open(path))
            noise = random.integers(0, 256, pixels[strip].shape)
            pixels[strip] = noise if part == "image" else 255 * (noise > 127)
            Image.fromarray(pixels).save(path)
    return folder


@pytest.mark.parametrize("cameras", ["fixed", "train"])
@pytest.mark.parametrize("preset", PRESETS)
def test_no_loss_uses_what_is_to_be_ignored(tmp_path, preset, cameras):
    runs, numbers = [tmp_path / "one", tmp_path / "two"], []
    for seed, run in enumerate(runs):
        capture = occluded(tmp_path / "captures" / str(seed) / "balls", seed)
        fit(capture, run, STEPS, PRESETS[preset], preset=preset, cameras=cameras)
        numbers.append(evaluate_run(run))
    assert_same_run(*runs)
    assert {key: numbers[0][key] for key in SAME} == {key: numbers[1][key] for key in SAME}

"""One photo a step: what an epoch shows, and of which pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from taichi_idr.config import EpochScheduleConfig
from taichi_idr.methods.epochs import EpochPixels
from taichi_idr.types import Cameras, Capture


def photos(*sizes: tuple[int, int]) -> Capture:
    images = [np.zeros((*size, 3), np.uint8) for size in sizes]
    masks = [np.zeros(size, bool) for size in sizes]
    count = len(sizes)
    cameras = Cameras(torch.zeros(count, 4), torch.zeros(count, 3), torch.eye(3).repeat(count, 1, 1))
    return Capture(Path("photos"), [str(i) for i in range(count)], images, masks, cameras, np.eye(4))


def batches(capture: Capture, rays: int, steps: range, seed: int = 0) -> list:
    pixels = EpochPixels(capture, EpochScheduleConfig(epochs=9, rate_epochs=(), rays=rays), seed, torch.device("cpu"))
    return [pixels.at_step(step) for step in steps]


def test_an_epoch_shows_every_view_once():
    """Section 5: one view a step, in an order of its own in every epoch."""
    orders = [
        [int(batch.view.unique()) for batch in batches(photos(*[(20, 30)] * 6), 50, range(6 * e, 6 * e + 6))]
        for e in range(3)
    ]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert orders[0] != orders[1] or orders[1] != orders[2]


def test_ignored_pixels_are_not_drawn():
    capture = photos((20, 30), (20, 30))
    left = np.zeros((20, 30), bool)
    left[:, :10] = True
    some = replace(capture, ignored=(left, None))
    first, second = sorted(batches(some, 600, range(2)), key=lambda batch: int(batch.view[0]))
    assert len(first) == 400 and first.position[:, 0].min() == 10 and len(second) == 600


def test_an_epochs_pixels_are_shared_and_drawn_without_replacement():
    """Section 5: positions are drawn once per epoch; views of another size have a draw of their own."""
    found = batches(photos((20, 30), (20, 30), (10, 8), (20, 30)), 100, range(8))
    first, second = found[:4], found[4:]
    for epoch in (first, second):
        large = [batch.position for batch in epoch if len(batch) == 100]
        small = [batch.position for batch in epoch if len(batch) == 80]
        assert (len(large), len(small)) == (3, 1)
        assert all(torch.equal(position, large[0]) for position in large)
        assert len(torch.unique(large[0], dim=0)) == 100
        assert len(torch.unique(small[0], dim=0)) == 80
    assert not torch.equal(*(next(b.position for b in epoch if len(b) == 100) for epoch in (first, second)))


def test_draws_follow_from_seed_and_epoch_alone():
    capture = photos((20, 30), (20, 30))
    straight, resumed = batches(capture, 50, range(4))[3], batches(capture, 50, range(3, 4))[0]
    assert torch.equal(straight.position, resumed.position)
    assert not torch.equal(straight.position, batches(capture, 50, range(3, 4), seed=1)[0].position)

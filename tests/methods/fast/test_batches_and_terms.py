"""Batches of pixels, the terms of the loss (LOSS-1 to LOSS-3), and the schedules in steps (LOSS-5)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from taichi_idr.capture.pixels import PixelBatch
from taichi_idr.methods.fast.pixels import PixelTable
from taichi_idr.methods.fast.settings import FastConfig, ScheduleConfig
from taichi_idr.methods.losses import alpha_at, colour_loss, eikonal_loss, mask_loss, smoothness_loss
from taichi_idr.types import Cameras, Capture


def test_colour_loss_is_loss_1():
    """LOSS-1: the sum over hit object pixels by the number of all rays."""
    predicted, observed = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0.5, 0, -1]])
    assert colour_loss(predicted, observed, 3) == pytest.approx(0.5)


def test_mask_loss_is_loss_2():
    """LOSS-2: (1/alpha) sum of BCE(sigmoid(-alpha f), O) by the number of all rays."""
    sdf, is_object = torch.tensor([0.01, -0.02]), torch.tensor([True, False])
    sigmoid = [1 / (1 + math.exp(50 * f)) for f in (0.01, -0.02)]
    for weight in (1.0, 3.0):
        expected = -(weight * math.log(sigmoid[0]) + math.log(1 - sigmoid[1])) / 50 / 8
        assert mask_loss(sdf, is_object, 50.0, 8, weight).item() == pytest.approx(expected, rel=1e-5)


def test_eikonal_loss_is_loss_3():
    gradient = torch.tensor([[0.0, 0, 2], [1, 0, 0]])
    assert eikonal_loss(gradient) == pytest.approx(0.5, rel=1e-5)


def test_smoothness_is_blind_to_length():
    normals = torch.tensor([[0.0, 0, 2], [1, 0, 0]])
    assert smoothness_loss(normals, 3 * normals) < 2e-3
    assert smoothness_loss(normals, -normals) == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("loss", ["colour", "mask", "eikonal", "smooth"])
def test_empty_sets_give_finite_losses_and_gradients(loss):
    none = torch.zeros(0, 3, requires_grad=True)
    value = {
        "colour": lambda: colour_loss(none, none.detach(), 1),
        "mask": lambda: mask_loss(none[:, 0], torch.zeros(0, dtype=torch.bool), 50.0, 1),
        "eikonal": lambda: eikonal_loss(none),
        "smooth": lambda: smoothness_loss(none, none.detach()),
    }[loss]()
    value.backward()
    assert value == 0


def test_zero_gradients_have_a_finite_slope():
    still = torch.zeros(4, 3, requires_grad=True)
    (eikonal_loss(still) + smoothness_loss(still, still.detach())).backward()
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()


def striped_capture() -> Capture:
    """Two views of different size whose colours name their place: red = column, green = row, blue = view."""
    images, masks = [], []
    for view, (height, width) in enumerate(((40, 60), (30, 20))):
        image = np.zeros((height, width, 3), np.uint8)
        image[..., 0], image[..., 1] = np.arange(width), np.arange(height)[:, None]
        image[..., 2] = view
        mask = np.zeros((height, width), bool)
        mask[10:16, 8:14] = True
        images.append(image)
        masks.append(mask)
    cameras = Cameras(torch.zeros(2, 4), torch.zeros(2, 3), torch.eye(3).repeat(2, 1, 1))
    return Capture(Path("striped"), ["a", "b"], images, masks, cameras, np.eye(4))


def test_batches_hold_what_the_photos_show(generator):
    capture = striped_capture()
    schedule = ScheduleConfig(rays=501, views_per_step=2)
    batch = PixelTable(capture, schedule, torch.device("cpu")).draw(generator)
    assert len(batch) == 501
    place = torch.round((batch.colour + 1) * 127.5)
    assert torch.equal(place[:, :2], batch.position)
    assert torch.equal(place[:, 2].int(), batch.view)
    inside = [capture.masks[v][int(r), int(c)] for v, (c, r) in zip(batch.view, batch.position, strict=True)]
    assert batch.is_object.tolist() == inside
    assert abs(2 * int((batch.view == 0).sum()) - 501) == 1  # as even as an odd number can be


def test_most_pixels_lie_around_the_object(generator):
    schedule = ScheduleConfig(rays=2000, views_per_step=2, uniform_share=0.1, surround=0.2)
    batch = PixelTable(striped_capture(), schedule, torch.device("cpu")).draw(generator)
    near = (batch.position[:, 0] - 10.5).abs().maximum((batch.position[:, 1] - 12.5).abs()) < 7
    assert 0.9 < near.float().mean() < 0.97
    assert batch.is_object.float().mean() > 0.25


def test_a_share_of_the_pixels_lies_on_the_outline(generator):
    schedule = ScheduleConfig(rays=2000, views_per_step=2, uniform_share=0, outline_share=0.5, surround=1.0)
    batch = PixelTable(striped_capture(), schedule, torch.device("cpu")).draw(generator)
    without = PixelTable(striped_capture(), schedule.model_copy(update={"outline_share": 0}), torch.device("cpu"))
    assert _share_on_outline(batch) > 0.3 + _share_on_outline(without.draw(generator))


def _share_on_outline(batch: PixelBatch) -> float:
    across, down = (batch.position[:, 0] - 10.5).abs(), (batch.position[:, 1] - 12.5).abs()
    return float(((across.maximum(down) < 5) & (across.maximum(down) > 1)).float().mean())


def test_doubtful_pixels_come_back_once(generator):
    """With what the photos show there, and not counted as typical."""
    capture = striped_capture()
    table = PixelTable(capture, ScheduleConfig(rays=100, doubtful_share=0.05), torch.device("cpu"))
    table.doubt(torch.tensor([12 * 60 + 9, 40 * 60 + 11 * 20 + 8]))  # (view 0, row 12, column 9), (1, 11, 8)
    batch = table.draw(generator)
    assert len(batch) == 100
    assert batch.view[-2:].tolist() == [0, 1]
    assert batch.position[-2:].tolist() == [[9, 12], [8, 11]]
    assert torch.equal(torch.round((batch.colour[-2:] + 1) * 127.5), torch.tensor([[9.0, 12, 0], [8, 11, 1]]))
    assert batch.is_object[-2:].all()
    assert not batch.typical[-2:].any()
    assert len(table.doubtful) == 0


def test_of_many_doubtful_pixels_a_share_comes_first_come_first_served(generator, monkeypatch):
    monkeypatch.setattr("taichi_idr.methods.fast.pixels.MOST_DOUBTFUL", 30)
    table = PixelTable(striped_capture(), ScheduleConfig(rays=100, doubtful_share=0.1), torch.device("cpu"))
    table.doubt(torch.arange(40))
    assert table.draw(generator).index[-10:].tolist() == list(range(10, 20))
    assert table.doubtful.tolist() == list(range(20, 40))


def test_views_without_an_outline_are_drawn_from(generator):
    capture = striped_capture()
    for mask in capture.masks:
        mask[:] = True
    batch = PixelTable(capture, ScheduleConfig(rays=100), torch.device("cpu")).draw(generator)
    assert batch.is_object.all()


def test_photo_gives_the_view_back():
    capture = striped_capture()
    photo, mask = PixelTable(capture, ScheduleConfig(), torch.device("cpu")).photo(1)
    np.testing.assert_array_equal(np.round(photo * 255), capture.images[1])
    np.testing.assert_array_equal(mask, capture.masks[1])


def test_loss_5_doubles_alpha_in_steps():
    """LOSS-5, doubled once more than in the paper: 50 to 3200; levels of the encoding awake from coarse to fine."""
    from taichi_idr.methods.fast.schedules import doublings_at, levels_at

    config = FastConfig()
    assert [alpha_at(config.loss, doublings_at(config.loss, p)) for p in (0.0, 0.15, 0.99, 1.0)] == [
        50,
        100,
        3200,
        3200,
    ]
    assert levels_at(config, 0.0) == config.schedule.first_levels
    assert levels_at(config, config.schedule.levels_unlocked) == config.geometry.levels

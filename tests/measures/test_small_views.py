"""Thumbnails: a photo that the rendering equals is like it at every size."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.fields.model import Look, Model
from taichi_idr.measures.small_views import colour_psnr, small_view
from taichi_idr.pictures.colours import eight_bit
from taichi_idr.pictures.rendering import render_view
from taichi_idr.types import Cameras, Rays

HEIGHT, WIDTH, FOCAL = 96, 120, 110.0


class StripedWall:
    """Before the camera, with stripes `period` pixels wide, everywhere."""

    chunk = 1 << 16

    def __init__(self, period: float) -> None:
        self.period = period

    @property
    def device(self) -> torch.device:
        return taichi_runtime.current().device

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def look(self, rays: Rays, *, preview: bool = False) -> Look:
        column = FOCAL * rays.directions[:, 0] / rays.directions[:, 2]
        shade: Tensor = 0.5 + 0.4 * torch.sin(2 * torch.pi * column / self.period)
        whole = torch.ones_like(shade)
        normal = torch.zeros_like(rays.directions)
        normal[:, 2] = -1
        return Look(shade[:, None].expand(-1, 3).contiguous(), normal, whole, whole > 0)


def camera() -> Cameras:
    intrinsics = torch.tensor([[[FOCAL, 0, WIDTH / 2 - 0.5], [0, FOCAL, HEIGHT / 2 - 0.5], [0, 0, 1]]])
    facing = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)
    return Cameras(facing, torch.zeros(1, 3, dtype=torch.float64), intrinsics.double())


@pytest.mark.parametrize(("side", "least"), [(40, 45.0), (30, 33.0), (24, 45.0)], ids=["third", "quarter", "fifth"])
def test_what_equals_the_photo_equals_it_in_a_thumbnail(side, least):
    """Stripes of nine pixels, which means over blocks would pale; of an even number of pixels no ray meets the middle
    one, and the mean of four around it is a little paler."""
    wall = StripedWall(period=9.0)
    rendered = render_view(wall, camera(), HEIGHT, WIDTH)
    photo, mask = eight_bit(rendered.as_exposed(None)), np.ones((HEIGHT, WIDTH), bool)
    view = small_view(cast(Model, wall), camera(), photo, mask, None, side)
    assert colour_psnr(view) > least

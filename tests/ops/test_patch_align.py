"""The search for patches: kernel against twin, twin against scipy and finite differences, and known shifts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.ops.patch_align import align_patches
from taichi_idr.reference import patch_align as reference

DOUBLE = 1e-9  # measured: 1e-12; steps multiply what sums differ by
SINGLE = {"shift": 2e-3, "likeness": 1e-4, "contrast": 1e-5, "curvature": 2e-2}  # absolute; measured a tenth
INTERPOLATION = 1e-12
DIFFERENCE = 1e-3  # pixels, step of the central differences
FOUND = 1e-3  # pixels between a shift and where it is found, bilinear photos being their own models
HEIGHT, WIDTH, REACH = 40, 60, 4


def photo(generator: torch.Generator) -> Tensor:
    rough = torch.rand(HEIGHT, WIDTH, generator=generator, dtype=torch.float64).numpy()
    return torch.from_numpy(ndimage.gaussian_filter(rough, 2.0)).to(runtime.current().dtype)


def square() -> Tensor:
    side = torch.arange(-REACH, REACH + 1.0)
    return torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).view(-1, 2).to(runtime.current().dtype)


def scene(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Photo, patches as they are at random places, pixels up to a pixel away from these, and no shift."""
    image, dtype = photo(generator), runtime.current().dtype
    room = torch.tensor([WIDTH, HEIGHT]) - 4 * REACH
    middles = (2 * REACH + room * torch.rand(count, 2, generator=generator)).to(dtype)
    pixels = middles[:, None] + square()
    values, _ = reference.bilinear(image, pixels)
    centred = values - values.mean(dim=1, keepdim=True)
    patches = centred / centred.square().mean(dim=1, keepdim=True).sqrt()
    away = (2 * torch.rand(count, 2, generator=generator) - 1).to(dtype)
    return image, patches, pixels + away[:, None], torch.zeros(count, 2, dtype=dtype)


def on_device(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return [tensor.to(runtime.current().device) for tensor in tensors]


@pytest.mark.precision("float64")
@pytest.mark.parametrize("spread", [1, 2])
def test_kernel_equals_twin(spread, generator):
    inputs = scene(40, generator)
    ours = align_patches(*on_device(inputs), spread=spread, steps=4)
    for mine, theirs in zip(ours, reference.align_patches(*inputs, spread=spread, steps=4), strict=True):
        torch.testing.assert_close(mine.cpu(), theirs, atol=DOUBLE, rtol=DOUBLE)


def test_kernel_equals_twin_in_single_precision(generator):
    inputs = scene(40, generator)
    ours = align_patches(*on_device(inputs), spread=1, steps=5)
    theirs = reference.align_patches(*inputs, spread=1, steps=5)
    for mine, other, tolerance in zip(ours, theirs, SINGLE.values(), strict=True):
        torch.testing.assert_close(mine.cpu(), other, atol=tolerance, rtol=0)


@pytest.mark.precision("float64")
def test_patches_are_found_where_they_are(generator):
    image, patches, there, start = scene(40, generator)
    moved = there + torch.tensor([0.7, -0.4])
    near = align_patches(*on_device((image, patches, there, start)), spread=1, steps=12)
    far = align_patches(*on_device((image, patches, moved, start)), spread=1, steps=12)
    apart = (far[0] - near[0]).cpu() + torch.tensor([0.7, -0.4])
    sound = (near[1] > 0.99) & (far[1] > 0.99)
    assert int(sound.sum()) > 30
    assert float(apart[sound.cpu()].abs().max()) < FOUND


@pytest.mark.precision("float64")
def test_gain_and_offset_do_not_count(generator):
    image, patches, there, start = scene(20, generator)
    plain = align_patches(*on_device((image, patches, there, start)), spread=1, steps=3)
    other = align_patches(*on_device((0.9 * image + 0.05, patches, there, start)), spread=1, steps=3)
    assert torch.allclose(plain[0], other[0], atol=2e-3)  # the least contrast keeps them from being equal
    assert torch.allclose(0.9 * plain[2], other[2], rtol=1e-2)


def test_places_outside_and_not_a_number_do_no_harm(generator):
    image, patches, there, start = scene(4, generator)
    there[0] += 1e6
    there[1, 0] = torch.nan
    there[2] = -torch.inf
    shift, likeness, _, _ = align_patches(*on_device((image, patches, there, start)), spread=1, steps=3)
    assert abs(float(likeness[0])) < 1e-3 and torch.isfinite(shift[3]).all()


@pytest.mark.precision("float64")
def test_twin_s_values_are_those_of_scipy(generator):
    image, pixel = photo(generator), some_pixels(generator)
    expected = ndimage.map_coordinates(image.numpy(), pixel.flip(1).T.numpy(), order=1)
    assert np.allclose(reference.bilinear(image, pixel)[0], expected, atol=INTERPOLATION)


@pytest.mark.precision("float64")
def test_twin_s_slopes_are_differences(generator):
    image, pixel = photo(generator), some_pixels(generator)
    slope = reference.bilinear(image, pixel)[1]
    for axis, step in enumerate(DIFFERENCE * torch.eye(2, dtype=torch.float64)):
        values = [reference.bilinear(image, pixel + sign * step)[0] for sign in (1, -1)]
        assert torch.allclose(slope[:, axis], (values[0] - values[1]) / (2 * DIFFERENCE), atol=1e-9)


def some_pixels(generator: torch.Generator) -> Tensor:
    """Within the photo, away from whole numbers, where slopes jump."""
    whole = torch.stack([torch.randint(0, n - 1, (50,), generator=generator) for n in (WIDTH, HEIGHT)], dim=1)
    return whole + 0.1 + 0.8 * torch.rand(50, 2, generator=generator, dtype=torch.float64)


def test_no_patches_and_wrong_shapes(generator):
    image, patches, there, start = on_device(scene(3, generator))
    assert [len(x) for x in align_patches(image, patches[:0], there[:0], start[:0], spread=1, steps=2)] == [0] * 4
    with pytest.raises(ValueError, match=r"expected photo \(H, W\)"):
        align_patches(image, patches, there[:, :5], start, spread=1, steps=2)

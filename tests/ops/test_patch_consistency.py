"""Patches carried to other photos by a plane: kernel against twin, differences, and a textured plane seen twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from painted_plane import SIZES, painted_plane, plane_pixels, rough_photos
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.ops.patch_consistency import ABSENT, UNSEEN, PosedPhotos, patch_likeness, tangent_planes
from taichi_idr.reference import patch_consistency as reference

DOUBLE = 1e-9  # measured: 1e-13
SINGLE = 2e-3  # of a likeness; measured: 2e-4, where slopes of the photos are steep
FLIPS = 0.02  # share of the patches that reach the edge within rounding; measured: 0.006
STEP = 1e-6
SETTINGS = {"reach": 3, "spacing": 1, "least_contrast": 1e-3}


def batch(generator: torch.Generator, count: int = 60) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Planes near z = 0, reference views, pixels and sources; some pixels near the edge, some sources none.

    A patch carried to its own photo lies on whole pixels. Rounding decides whether one that ends at the photo's edge is
    in it: none does.
    """
    current = runtime.current()
    view = torch.randint(2, (count,), generator=generator)
    size = torch.tensor(SIZES).flip(1)[view]
    pixel = (torch.rand(count, 2, generator=generator) * size).int()
    reaches = torch.tensor([SETTINGS["reach"], 2 * SETTINGS["reach"]])
    ends = (pixel[..., None] == reaches) | (pixel[..., None] == size[..., None] - 1 - reaches)
    pixel += ends.any(dim=2)
    sources = torch.stack([1 - view, view, torch.full_like(view, -1)], dim=1)
    sources[::3, 1] = 1 - view[::3]
    plane = torch.tensor([0.0, 0, 1 / 3]) + 0.05 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    inputs = (plane.to(current.dtype), view.int(), pixel, sources.int())
    return tuple(x.to(current.device) for x in inputs)  # pyright: ignore[reportReturnType]


@pytest.mark.precision("float64")
@pytest.mark.parametrize("spacing", [1, 2])
def test_value_and_gradient_equal_twin(spacing, generator):
    photos, (planes, *rest) = rough_photos(generator), batch(generator)
    planes.requires_grad_()
    settings = {**SETTINGS, "spacing": spacing}
    ours, theirs = (f(planes, photos, *rest, **settings) for f in (patch_likeness, reference.patch_likeness))
    assert 30 < int((ours != UNSEEN).sum()) < 0.7 * ours.numel()
    torch.testing.assert_close(ours, theirs, atol=DOUBLE, rtol=0)
    weight = torch.randn(ours.shape, generator=generator, dtype=torch.float64).to(ours)
    mine, other = (torch.autograd.grad((x * weight).sum(), planes)[0] for x in (ours, theirs))
    torch.testing.assert_close(mine, other, atol=DOUBLE, rtol=DOUBLE)


def test_value_equals_twin_in_single_precision(generator):
    photos, inputs = rough_photos(generator), batch(generator)
    ours, theirs = (f(inputs[0], photos, *inputs[1:], **SETTINGS) for f in (patch_likeness, reference.patch_likeness))
    apart = (ours.double() - theirs.double()).abs()
    assert float(apart[apart < 1].max()) < SINGLE
    assert float((apart > 1).double().mean()) < FLIPS


@pytest.mark.precision("float64")
def test_gradient_is_that_of_differences(generator):
    """Bilinear photos have kinks: where the difference crosses one it is half a slope on each side, seldom."""
    photos, (planes, *rest) = rough_photos(generator), batch(generator)
    planes.requires_grad_()
    likeness = patch_likeness(planes, photos, *rest, **SETTINGS)
    weight = torch.randn(likeness.shape, generator=generator, dtype=torch.float64).to(likeness) * (likeness != UNSEEN)
    (gradient,) = torch.autograd.grad((likeness * weight).sum(), planes)
    direction = torch.randn(planes.shape, generator=generator, dtype=torch.float64).to(planes)
    moved = [patch_likeness(planes.detach() + s * STEP * direction, photos, *rest, **SETTINGS) for s in (1, -1)]
    expected = ((moved[0] - moved[1]) * weight).sum(dim=1) / (2 * STEP)
    got = (gradient * direction).sum(dim=1)
    close = (got - expected).abs() < 1e-6 * (1 + expected.abs())
    assert float(close.float().mean()) > 0.9


def test_bridge_laws(generator):
    """Cotangents stay as they are, the caller's tensors get no .grad, and two uses of the output add up."""
    photos, (planes, *rest) = rough_photos(generator), batch(generator)
    planes.requires_grad_()
    likeness = patch_likeness(planes, photos, *rest, **SETTINGS)
    cotangent = torch.randn(likeness.shape, generator=generator).to(likeness)
    kept = cotangent.clone()
    (once,) = torch.autograd.grad(likeness, planes, cotangent, retain_graph=True)
    (twice,) = torch.autograd.grad((likeness * cotangent).sum() + (likeness * cotangent).sum(), planes)
    assert torch.equal(cotangent, kept)
    assert planes.grad is None
    torch.testing.assert_close(twice, 2 * once)


def middle(photos: PosedPhotos) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels of the first view whose patches the second sees, the points of z = 0 there, view and sources."""
    current = runtime.current()
    pixel = torch.tensor([[u, v] for u in range(30, 52, 4) for v in range(20, 44, 4)], dtype=torch.int32)
    seen = plane_pixels()[0][pixel[:, 1], pixel[:, 0]]
    points = torch.from_numpy(np.concatenate([seen, np.zeros_like(seen[:, :1])], axis=1)).to(current.dtype)
    view = torch.zeros(len(pixel), dtype=torch.int32)
    return tuple(x.to(current.device) for x in (pixel, points, view, torch.ones_like(view)[:, None]))  # pyright: ignore[reportReturnType]


def likeness_at(photos: PosedPhotos, lift: float, tilt: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Likeness (N,) and, of its sum, the gradients to points lifted along their rays and to normals tilted to x."""
    pixel, points, view, sources = middle(photos)
    centre = photos.cameras[0, 6]
    ray = torch.nn.functional.normalize(points - centre, dim=1)
    points = (points + lift * ray).requires_grad_()
    normals = points.new_tensor([tilt, 0.0, -1.0]).repeat(len(points), 1).requires_grad_()
    planes = tangent_planes(points, normals, centre)
    likeness = patch_likeness(planes, photos, view, pixel, sources, **SETTINGS)[:, 0]
    to_points, to_normals = torch.autograd.grad(likeness.sum(), (points, normals))
    return likeness.detach(), (to_points * ray).sum(dim=1), to_normals[:, 0], to_points


@pytest.mark.precision("float64")
def test_truth_patches_of_the_true_plane_are_alike():
    likeness, *_ = likeness_at(painted_plane(), 0.0, 0.0)
    assert float(likeness.min()) > 0.998


@pytest.mark.precision("float64")
@pytest.mark.parametrize("lift", [0.02, -0.02])
def test_truth_likeness_pulls_points_back(lift):
    """By a hundredth of the distance, half a pixel: its slope along the ray leads back everywhere, steeply."""
    photos = painted_plane()
    at_truth, off = likeness_at(photos, 0.0, 0.0), likeness_at(photos, lift, 0.0)
    assert bool((off[0] < at_truth[0]).all())
    assert bool((off[1] * lift < 0).all())
    assert float(at_truth[1].abs().mean()) < 0.2 * float(off[1].abs().mean())


@pytest.mark.precision("float64")
@pytest.mark.parametrize("tilt", [0.4, -0.4])
def test_truth_likeness_turns_normals_back(tilt):
    photos = painted_plane()
    at_truth, off = likeness_at(photos, 0.0, 0.0), likeness_at(photos, 0.0, tilt)
    assert float((off[2] * tilt < 0).double().mean()) > 0.95
    assert float(at_truth[2].abs().mean()) < 0.3 * float(off[2].abs().mean())


@pytest.mark.precision("float64")
def test_the_length_of_a_normal_does_not_count():
    photos = painted_plane()
    pixel, points, view, sources = middle(photos)
    normals, centre = points.new_tensor([0.2, 0.1, -1.0]).expand_as(points), photos.cameras[0, 6]
    alike = [
        patch_likeness(tangent_planes(points, k * normals, centre), photos, view, pixel, sources, **SETTINGS)
        for k in (1, 7)
    ]
    torch.testing.assert_close(alike[0], alike[1])


def test_what_tells_nothing_is_unseen(generator):
    """Flat patches, patches that reach beside the object, planes behind the camera, planes that are no numbers."""
    photos, (planes, view, pixel, sources) = rough_photos(generator), batch(generator)
    flat = patch_likeness(planes, photos, view, pixel, sources, **{**SETTINGS, "least_contrast": 0.9})
    behind = patch_likeness(-planes, photos, view, pixel, sources, **SETTINGS)
    nowhere = patch_likeness(planes * torch.nan, photos, view, pixel, sources, **SETTINGS)
    masked = PosedPhotos(torch.full_like(photos.shades, ABSENT), photos.layout, photos.cameras)
    off = patch_likeness(planes, masked, view, pixel, sources, **SETTINGS)
    assert all(bool((x == UNSEEN).all()) for x in (flat, behind, nowhere, off))


def test_no_points_and_wrong_shapes(generator):
    photos, (planes, view, pixel, sources) = rough_photos(generator), batch(generator)
    none = planes[:0].requires_grad_()
    nothing = patch_likeness(none, photos, view[:0], pixel[:0], sources[:0], **SETTINGS)
    nothing.sum().backward()
    assert nothing.shape == (0, 3)
    with pytest.raises(ValueError, match=r"expected sources \(60, S\)"):
        patch_likeness(planes, photos, view, pixel, sources[0], **SETTINGS)

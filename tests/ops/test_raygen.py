"""Ray generation: CAM-1 and CAM-4."""

from __future__ import annotations

import pytest
import torch
from scenes import cameras
from torch import Tensor

from taichi_idr.kernels import raygen as kernels
from taichi_idr.ops.raygen import generate_rays
from taichi_idr.reference import raygen as reference

VIEWS, RAYS = 5, 700
SINGLE = 1e-6  # measured: 2.4e-7 between kernel and twin in float32
DOUBLE = 1e-12


def batch(generator: torch.Generator, rays: int = RAYS) -> tuple[Tensor, ...]:
    quaternions, centres, inverse = cameras(VIEWS, generator)
    view = torch.randint(VIEWS, (rays,), generator=generator, dtype=torch.int32).to(centres.device)
    pixels = (torch.rand(rays, 2, generator=generator) * torch.tensor([320, 240])).to(centres)
    return quaternions, centres, inverse, view, pixels


def gradients(outputs: tuple[Tensor, ...], inputs: tuple[Tensor, ...], weights: list[Tensor]) -> tuple:
    """Of the weighted sum of all outputs."""
    total = torch.stack([(o * w).sum() for o, w in zip(outputs, weights, strict=True)]).sum()
    return torch.autograd.grad(total, inputs)


def test_value_equals_twin(generator):
    inputs = batch(generator)
    for ours, twin in zip(generate_rays(*inputs), reference.generate_rays(*inputs), strict=True):
        torch.testing.assert_close(ours, twin, atol=SINGLE, rtol=0)


@pytest.mark.precision("float64")
def test_gradient_equals_twin(generator):
    quaternions, centres, *rest = batch(generator)
    leaves = (quaternions.requires_grad_(), centres.requires_grad_())
    draw = torch.randn(2, RAYS, 3, generator=generator, dtype=torch.float64)
    weights = list(draw.to(centres.device))
    ours = gradients(generate_rays(*leaves, *rest), leaves, weights)
    twin = gradients(reference.generate_rays(*leaves, *rest), leaves, weights)
    for mine, theirs in zip(ours, twin, strict=True):
        torch.testing.assert_close(mine, theirs, atol=DOUBLE * RAYS, rtol=DOUBLE)


@pytest.mark.precision("float64")
def test_gradient_equals_finite_differences(generator):
    quaternions, centres, *rest = batch(generator, rays=6)
    leaves = (quaternions.requires_grad_(), centres.requires_grad_())
    assert torch.autograd.gradcheck(lambda q, c: generate_rays(q, c, *rest), leaves)


@pytest.mark.autodiff
@pytest.mark.precision("float64")
def test_adjoint_is_the_derivative_that_taichi_writes(generator):
    """Of the kernel itself; it adds into `.grad` of inputs and takes the cotangents from that of outputs."""
    quaternions, centres, *rest = batch(generator)
    ours_in, taichis_in = ([x.clone().requires_grad_() for x in (quaternions, centres)] for _ in range(2))
    ours = generate_rays(*ours_in, *rest)
    torch.autograd.backward(ours, cotangents := [torch.randn_like(x) for x in ours])
    outputs = [torch.empty_like(x).requires_grad_() for x in ours]
    for tensor, cotangent in zip(
        (*outputs, *taichis_in), (*cotangents, *map(torch.zeros_like, taichis_in)), strict=True
    ):
        tensor.grad = cotangent.clone()
    kernels.generate_rays.grad(*taichis_in, *rest, *outputs)
    for mine, theirs in zip(ours_in, taichis_in, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=DOUBLE * RAYS, rtol=DOUBLE)


def test_bridge_laws(generator):
    """Cotangents stay as they are, the caller's tensors get no .grad, and two uses of an output add up."""
    quaternions, centres, *rest = batch(generator)
    leaves = (quaternions.requires_grad_(), centres.requires_grad_())
    outputs = generate_rays(*leaves, *rest)
    cotangents = [torch.randn_like(output) for output in outputs]
    kept = [cotangent.clone() for cotangent in cotangents]
    once = torch.autograd.grad(outputs, leaves, cotangents, retain_graph=True)
    twice = gradients((*outputs, *outputs), leaves, [*cotangents, *cotangents])
    assert all(torch.equal(a, b) for a, b in zip(cotangents, kept, strict=True))
    assert all(leaf.grad is None for leaf in leaves)
    for single, double in zip(once, twice, strict=True):
        torch.testing.assert_close(double, 2 * single)


def test_gradient_is_the_same_on_every_run(generator):
    quaternions, centres, *rest = batch(generator, rays=5000)
    leaves = (quaternions.requires_grad_(), centres.requires_grad_())
    weights = [torch.randn(5000, 3, generator=generator).to(centres.device) for _ in range(2)]
    first, second = (gradients(generate_rays(*leaves, *rest), leaves, weights) for _ in range(2))
    if centres.device.type == "cpu":
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.precision("float64")
def test_cam_1_ray_of_a_projected_point_passes_through_it(generator):
    """Truth: the ray of a point projected with K [R | -R c] meets it; integer pixels are centres, skew kept."""
    quaternions, centres, inverse, view, _ = batch(generator)
    rotation = reference.rotation_matrices(quaternions)[view]
    in_camera = torch.rand(RAYS, 3, generator=generator, dtype=torch.float64).to(centres) + 1
    points = torch.einsum("rij,rj->ri", rotation, in_camera) + centres[view]
    projected = torch.einsum("rij,rj->ri", torch.linalg.inv(inverse)[view], in_camera)
    pixels = projected[:, :2] / projected[:, 2:]
    origins, directions = generate_rays(quaternions, centres, inverse, view, pixels)
    distance = torch.linalg.cross(points - origins, directions).norm(dim=1)
    assert distance.max() < DOUBLE
    assert ((points - origins) * directions).sum(dim=1).min() > 0


def test_directions_have_unit_length_whatever_the_quaternion(generator):
    """CAM-4: q and 7 q are one rotation."""
    quaternions, *rest = batch(generator)
    origins, directions = generate_rays(quaternions, *rest)
    _, scaled = generate_rays(7 * quaternions, *rest)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones_like(directions[:, 0]), atol=SINGLE, rtol=0)
    torch.testing.assert_close(scaled, directions, atol=SINGLE, rtol=0)
    assert torch.equal(origins, rest[0][rest[2]])


def test_empty_and_single_batches(generator):
    inputs = batch(generator, rays=1)
    assert generate_rays(*inputs)[1].shape == (1, 3)
    quaternions, centres, inverse, view, pixels = inputs
    leaf = quaternions.requires_grad_()
    origins, directions = generate_rays(leaf, centres, inverse, view[:0], pixels[:0])
    (directions.sum() + origins.sum()).backward()
    assert leaf.grad is not None
    assert not leaf.grad.any()


def test_wrong_inputs_are_refused_by_name(generator):
    quaternions, centres, inverse, view, pixels = batch(generator)
    with pytest.raises(ValueError, match=r"expected quaternions \(5, 4\)"):
        generate_rays(quaternions[:, :3], centres, inverse, view, pixels)
    with pytest.raises(ValueError, match="expected view_index int32"):
        generate_rays(quaternions, centres, inverse, view.long(), pixels)
    with pytest.raises(ValueError, match=r"view_index must lie in 0 \.\.\. 4"):
        generate_rays(quaternions, centres, inverse, view + 1, pixels)

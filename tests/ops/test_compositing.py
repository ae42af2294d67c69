"""Weights of samples along rays: UNI-2 and NERF-1."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.ops.compositing import weights
from taichi_idr.reference import compositing as reference

RAYS, SAMPLES = 300, 96
DOUBLE = 1e-12  # measured: 2e-15
SINGLE = 1e-6  # measured: 1.2e-7


def alphas(generator: torch.Generator, rays: int = RAYS, samples: int = SAMPLES) -> Tensor:
    """Thin air, dense matter, and samples that stop nothing or everything."""
    now = taichi_runtime.current()
    drawn = torch.rand(rays, samples, generator=generator, dtype=torch.float64)
    some = drawn ** (1 + 8 * torch.rand(rays, 1, generator=generator, dtype=torch.float64))
    some[::3, samples // 2] = 1
    some[1::3, ::2] = 0
    return some.to(now.device, now.dtype)


def test_value_equals_twin(generator):
    alpha = alphas(generator)
    torch.testing.assert_close(weights(alpha), reference.weights(alpha), atol=SINGLE, rtol=0)


def test_truth_what_is_not_stopped_gets_through(generator):
    """The weights, and what is left of the light, are all of it."""
    alpha = alphas(generator)
    left = (1 - alpha).prod(dim=1)
    torch.testing.assert_close(weights(alpha).sum(dim=1) + left, torch.ones_like(left), atol=10 * SINGLE, rtol=0)


def test_truth_an_even_fog_follows_its_power_law(runtime):
    alpha = torch.full((1, 40), 0.1, device=runtime.device)
    expected = 0.1 * 0.9 ** torch.arange(40.0, device=runtime.device)
    torch.testing.assert_close(weights(alpha)[0], expected, atol=SINGLE, rtol=0)


@pytest.mark.precision("float64")
def test_gradient_equals_twin(generator):
    alpha = alphas(generator).requires_grad_()
    bar = torch.randn(alpha.shape, generator=generator, dtype=torch.float64).to(alpha)
    ours, twin = (torch.autograd.grad(f(alpha), alpha, bar)[0] for f in (weights, reference.weights))
    torch.testing.assert_close(ours, twin, atol=DOUBLE, rtol=DOUBLE)


@pytest.mark.precision("float64")
def test_gradient_equals_finite_differences(generator):
    alpha = alphas(generator, rays=4, samples=7).requires_grad_()
    assert torch.autograd.gradcheck(weights, alpha)


def test_bridge_laws(generator):
    """The cotangent stays as it is, the caller's tensor gets no .grad, two branches add up."""
    alpha = alphas(generator).requires_grad_()
    weight = weights(alpha)
    bar = torch.randn(alpha.shape, generator=generator).to(alpha)
    kept = bar.clone()
    (once,) = torch.autograd.grad(weight, alpha, bar, retain_graph=True)
    (twice,) = torch.autograd.grad((weight * bar).sum() + (weight * bar).sum(), alpha)
    assert torch.equal(bar, kept) and alpha.grad is None
    torch.testing.assert_close(twice, 2 * once)


def test_no_samples_and_wrong_shapes(generator):
    none = alphas(generator)[:0].requires_grad_()
    weights(none).sum().backward()
    assert weights(none).shape == (0, SAMPLES)
    with pytest.raises(ValueError, match=r"expected alpha \(R, S\), got \(96,\)"):
        weights(alphas(generator)[0])

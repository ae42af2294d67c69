"""Softplus with its slope, and the adjoint of both."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.ops.activations import RELEASED_STRAIGHT, softplus
from taichi_idr.reference import activations as reference

BETA = 100.0
DOUBLE = 1e-12
SINGLE = 1e-6


def before(generator: torch.Generator, rows: int = 60, width: int = 24) -> Tensor:
    """From the flat side over the bend to the straight one; zero, and beyond where the series ends."""
    runtime = taichi_runtime.current()
    values = torch.randn(rows, width, generator=generator, dtype=torch.float64) * 0.05
    values[0, :4] = torch.tensor([0.0, 1.0, -1.0, -0.16])
    return values.to(runtime.device, runtime.dtype)


@pytest.mark.parametrize("width", [1, 24, 64, 96])
def test_value_and_slope_equal_twin(generator, width):
    a = before(generator, 40, max(width, 4))[:, :width].contiguous()
    for ours, twin, bound in zip(softplus(a, BETA), reference.softplus(a, BETA), (SINGLE / BETA, SINGLE), strict=True):
        torch.testing.assert_close(ours, twin, atol=bound, rtol=SINGLE)


@pytest.mark.precision("float64")
def test_exact_in_double_precision(generator):
    a = before(generator)
    for ours, twin in zip(softplus(a, BETA), reference.softplus(a, BETA), strict=True):
        torch.testing.assert_close(ours, twin, atol=DOUBLE, rtol=DOUBLE)


@pytest.mark.precision("float64")
def test_gradient_equals_twin(generator):
    a = before(generator).requires_grad_()
    bars = [torch.randn(a.shape, generator=generator, dtype=a.dtype).to(a) for _ in range(2)]
    ours, twin = (torch.autograd.grad(f(a, BETA), a, bars) for f in (softplus, reference.softplus))
    torch.testing.assert_close(ours, twin, atol=DOUBLE * BETA, rtol=DOUBLE)


@pytest.mark.precision("float64")
def test_gradient_against_finite_differences(generator):
    a = before(generator, 3, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: softplus(x, 10.0), (a,))


@pytest.mark.precision("float64")
def test_bridge_laws(generator):
    """Cotangents stay as they are, the caller's tensor gets no `.grad`, and two branches are summed."""
    a = before(generator).requires_grad_()
    value, slope = softplus(a, BETA)
    bars = (torch.ones_like(value), torch.ones_like(slope))
    kept = [bar.clone() for bar in bars]
    (once,) = torch.autograd.grad((value, slope), a, bars, retain_graph=True)
    assert a.grad is None
    assert all(torch.equal(bar, copy) for bar, copy in zip(bars, kept, strict=True))
    (twice,) = torch.autograd.grad(value.sum() + slope.sum() + softplus(a, BETA)[0].sum(), a)
    torch.testing.assert_close(twice - once, torch.sigmoid(BETA * a.detach()), atol=1e-10, rtol=0)


@pytest.mark.precision("float64")
def test_from_where_it_is_told_it_is_the_identity(generator):
    """As torch has it, and with it the released code: value, slope and their adjoint."""
    bends = torch.linspace(-3.0, 3.0, 121, dtype=torch.float64)[:, None].requires_grad_()
    value, slope = softplus(bends, 10.0, RELEASED_STRAIGHT)
    straight = 10 * bends.detach() > RELEASED_STRAIGHT
    assert straight.any() and not straight.all()
    assert torch.equal(value, torch.nn.functional.softplus(bends, beta=10.0, threshold=RELEASED_STRAIGHT))
    assert torch.equal(slope[straight], torch.ones_like(slope[straight]))
    bars = [torch.randn(bends.shape, generator=generator, dtype=bends.dtype) for _ in range(2)]
    (ours,) = torch.autograd.grad((value, slope), bends, bars)
    (twin,) = torch.autograd.grad(reference.softplus(bends, 10.0), bends, bars)
    torch.testing.assert_close(ours[~straight], twin[~straight], atol=DOUBLE * 10, rtol=DOUBLE)
    assert torch.equal(ours[straight], bars[0][straight])


def test_no_rows():
    runtime = taichi_runtime.current()
    empty = torch.zeros(0, 8, device=runtime.device, dtype=runtime.dtype, requires_grad=True)
    value, slope = softplus(empty, BETA)
    (value.sum() + slope.sum()).backward()
    assert value.shape == slope.shape == (0, 8)


def test_wrong_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"softplus: expected \(N, W\), got \(3,\)"):
        softplus(torch.zeros(3), BETA)

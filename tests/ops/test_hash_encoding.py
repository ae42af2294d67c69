"""The hash encoding: value, Jacobian, and the adjoint of both."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.kernels import hash_encoding as kernels
from taichi_idr.ops.hash_encoding import HashLayout, following, hash_encoding, hash_encoding_jacobian
from taichi_idr.reference import hash_encoding as reference

POINTS = 200
DOUBLE = 1e-11  # measured 9e-15 relative, for sums of products as large as 1024^2
SINGLE = 2e-6


def scene(generator: torch.Generator, levels: int = 5, finest: int = 100) -> tuple[Tensor, Tensor, HashLayout]:
    """Points, a random table, and a layout with direct (4, 9, 20) and hashed (45, 100) levels."""
    runtime = taichi_runtime.current()
    layout = HashLayout.build(levels, 4, finest, 13, runtime.device)
    points = torch.rand(POINTS, 3, generator=generator, dtype=torch.float64) * 2 - 1
    table = torch.randn(layout.rows, 2, generator=generator, dtype=torch.float64)
    return points.to(runtime.device, runtime.dtype), table.to(runtime.device, runtime.dtype), layout


def cotangents(generator: torch.Generator, like: tuple[Tensor, Tensor]) -> list[Tensor]:
    return [torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) for x in like]


def pairing(outputs: tuple[Tensor, Tensor], bars: list[Tensor]) -> Tensor:
    return sum(((x * bar).sum() for x, bar in zip(outputs, bars, strict=True)), torch.zeros(()))


def test_value_and_jacobian_equal_twin(generator):
    points, table, layout = scene(generator)
    torch.testing.assert_close(
        hash_encoding(points, table, layout, 5), reference.hash_encoding(points, table, layout, 5)
    )
    ours, twin = (f(points, table, layout, 4) for f in (hash_encoding_jacobian, reference.hash_encoding_jacobian))
    torch.testing.assert_close(ours[0], twin[0].detach(), atol=SINGLE, rtol=SINGLE)
    torch.testing.assert_close(ours[1], twin[1].detach(), atol=100 * SINGLE, rtol=SINGLE)


def test_levels_that_sleep_give_zeros(generator):
    points, table, layout = scene(generator)
    value, jacobian = hash_encoding_jacobian(points, table, layout, 2)
    assert not value[:, 4:].any()
    assert not jacobian[:, 4:].any()
    assert value[:, :4].all()


@pytest.mark.precision("float64")
@pytest.mark.parametrize("active", [3, 5])
def test_gradient_equals_twin(generator, active):
    points, table, layout = scene(generator)
    leaves = (points.requires_grad_(), table.requires_grad_())
    ours, twin = (f(*leaves, layout, active) for f in (hash_encoding_jacobian, reference.hash_encoding_jacobian))
    bars = cotangents(generator, ours)
    mine, theirs = (torch.autograd.grad(pairing(outputs, bars), leaves) for outputs in (ours, twin))
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=DOUBLE * float(b.abs().max()), rtol=DOUBLE)


@pytest.mark.precision("float64")
def test_gradient_equals_finite_differences(generator):
    """Along a random direction, away from cell faces, where the encoding is smooth."""
    points, table, layout = scene(generator, finest=20)
    points = ((points * 2).round() / 2 * 0.9 + 0.013).requires_grad_()
    table.requires_grad_()
    bars = cotangents(generator, hash_encoding_jacobian(points, table, layout, 5))
    loss = lambda p, t: pairing(hash_encoding_jacobian(p, t, layout, 5), bars)  # noqa: E731
    slopes = torch.autograd.grad(loss(points, table), (points, table))
    ways = cotangents(generator, (points, table))
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (loss(points + s * step * ways[0], table + s * step * ways[1]) for s in (1, -1))
    expected = sum((slope * way).sum() for slope, way in zip(slopes, ways, strict=True))
    torch.testing.assert_close((ahead - behind) / (2 * step), expected, rtol=1e-7, atol=0)


def test_bridge_laws(generator):
    """Cotangents stay as they are, callers' tensors keep no .grad, two branches sum."""
    points, table, layout = scene(generator)
    leaves = (points.requires_grad_(), table.requires_grad_())
    outputs = hash_encoding_jacobian(*leaves, layout, 5)
    bars = cotangents(generator, outputs)
    before = [bar.clone() for bar in bars]
    once = torch.autograd.grad(outputs, leaves, bars)
    assert all(torch.equal(a, b) for a, b in zip(bars, before, strict=True))
    assert points.grad is None
    assert table.grad is None
    first, second = (hash_encoding_jacobian(*leaves, layout, 5) for _ in range(2))
    twice = torch.autograd.grad([*first, *second], leaves, [*bars, *bars])
    for a, b in zip(twice, once, strict=True):
        torch.testing.assert_close(a, 2 * b)


def test_buffer_collects_what_the_table_would(generator):
    points, table, layout = scene(generator)
    table.requires_grad_()
    (expected,) = torch.autograd.grad(hash_encoding(points, table, layout, 5).sum(), table)
    buffer = torch.zeros_like(table)
    hash_encoding(points, table, layout, 5, table_gradient=buffer).sum().backward()
    assert table.grad is None
    torch.testing.assert_close(buffer, expected)


@pytest.mark.precision("float64")
def test_jacobian_adjoint_identity(generator):
    """<J^T g, d> = <g, J d> and both equal the directional derivative of y paired with g."""
    points, table, layout = scene(generator)
    value, jacobian = hash_encoding_jacobian(points.requires_grad_(), table, layout, 5)
    g, d = (torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) for x in (value, points))
    (pulled,) = torch.autograd.grad(value, points, g)
    pushed = (jacobian * d[:, None]).sum(dim=2)
    torch.testing.assert_close((pulled * d).sum(), (g * pushed).sum())


def test_ordered_and_atomic_scatter_agree(generator):
    points, table, layout = scene(generator)
    bars = cotangents(generator, hash_encoding_jacobian(points, table, layout, 5))
    ordered, atomic = torch.zeros_like(table), torch.zeros_like(table)
    for kernel, out in ((kernels.table_adjoint_ordered, ordered), (kernels.table_adjoint_atomic, atomic)):
        taichi_runtime.launch(kernel, points, layout.levels, 5, *bars, True, out)
    torch.testing.assert_close(ordered, atomic, atol=1e-3, rtol=1e-5)


def test_no_points_and_wrong_shapes(generator):
    points, table, layout = scene(generator)
    value, jacobian = hash_encoding_jacobian(points[:0].requires_grad_(), table.requires_grad_(), layout, 5)
    (value.sum() + jacobian.sum()).backward()
    assert not table.grad.any()
    with pytest.raises(ValueError, match=r"points \(N, 3\)"):
        hash_encoding(points[:, :2], table, layout, 5)
    with pytest.raises(ValueError, match="expected a table"):
        hash_encoding(points, table[:-1], layout, 5)


@pytest.mark.precision("float64")
def test_following_is_asking_again(generator):
    """An encoding known at the points' places, attached to the points: the gradients are those of a second question."""
    points, table, layout = scene(generator)
    leaves = (points.requires_grad_(), table.requires_grad_())
    again = hash_encoding_jacobian(*leaves, layout, 4)
    known = hash_encoding_jacobian(points.detach(), table, layout, 4)
    attached = following(points, *known, table, layout, 4)
    bars = cotangents(generator, again)
    ours, twin = (torch.autograd.grad(pairing(outputs, bars), leaves) for outputs in (attached, again))
    assert all(torch.equal(x, y) for x, y in zip(attached, known, strict=True))
    for x, y in zip(ours, twin, strict=True):
        torch.testing.assert_close(x, y, atol=DOUBLE * float(y.abs().max()), rtol=0)


def test_following_refuses_other_points(generator):
    points, table, layout = scene(generator)
    with pytest.raises(ValueError, match=r"following: expected value and jacobian at 3 points, got 200"):
        following(points[:3], *hash_encoding_jacobian(points, table, layout, 4), table, layout, 4)

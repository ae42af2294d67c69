"""Samples, brackets and regula falsi: TRACE-8, TRACE-9, TRACE-10, and the released tracer's traps."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.kernels import secant as kernels
from taichi_idr.kernels.secant import DEPTH, VALUE
from taichi_idr.reference import secant as reference


def bracket(depth: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low, high = (depth.new_empty(len(depth), 2) for _ in range(2))
    found = torch.empty(len(depth), dtype=torch.int32, device=depth.device)
    taichi_runtime.launch(kernels.first_crossing, depth, value, low, high, found)
    return low, high, found


@pytest.fixture
def samples(generator, runtime):
    """Depths and values (64, 20); a few rows without a negative value, a few that start with one."""
    depth = torch.rand(64, 20, generator=generator).cumsum(dim=1)
    value = torch.randn(64, 20, generator=generator) + 1.5
    value[:4] = value[:4].abs()
    value[4:8, 0] = -1
    return depth.to(runtime.device, runtime.dtype), value.to(runtime.device, runtime.dtype)


def test_trace_8_first_negative_sample_equals_twin(samples):
    depth, value = samples
    low, high, found = bracket(depth, value)
    for s in range(len(depth)):
        expected = reference.first_crossing(value[s].tolist())
        assert bool(found[s]) == (expected is not None)
        if expected is not None:
            before, inside = expected
            assert low[s].tolist() == [depth[s, before], value[s, before]]
            assert high[s].tolist() == [depth[s, inside], value[s, inside]]
    assert int(found.sum()) not in (0, len(depth))


def test_trap_predecessor_of_sample_0_does_not_wrap(samples):
    depth, value = samples
    low, high, found = bracket(depth, value)
    assert found[4:8].tolist() == [1] * 4
    assert torch.equal(low[4:8], high[4:8])
    assert torch.equal(low[4:8, DEPTH], depth[4:8, 0])


def test_trace_9_least_sample(samples):
    depth, value = samples
    least = depth.new_empty(len(depth), 2)
    taichi_runtime.launch(kernels.least_sample, depth, value, least)
    lowest = value.min(dim=1)
    assert torch.equal(least[:, VALUE], lowest.values)
    assert torch.equal(least[:, DEPTH], depth.gather(1, lowest.indices[:, None])[:, 0])


Number = TypeVar("Number", float, Tensor)


def cubic(depth: Number, root: Number, flattest: float) -> Number:
    """Falls through zero at `root`, steeper away from `flattest`: regula falsi keeps the steep end."""
    return (root - depth) * (1 + (depth - flattest) ** 2)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("iterations", [0, 1, 8])
@pytest.mark.parametrize("flattest", [-1.0, 2.0], ids=["high stays", "low stays"])
def test_trace_10_regula_falsi_equals_twin(iterations, flattest, generator, runtime):
    field = partial(cubic, flattest=flattest)
    roots = torch.rand(30, generator=generator, dtype=torch.float64).to(runtime.device) * 0.8 + 0.1
    ends = [torch.full_like(roots, end) for end in (0.0, 1.0)]
    low, high = (torch.stack([end, field(end, roots)], dim=1) for end in ends)
    root = torch.empty(30, 1, device=runtime.device, dtype=torch.float64)
    taichi_runtime.launch(kernels.cross_chord, low, high, root)
    for _ in range(iterations):
        taichi_runtime.launch(kernels.narrow, field(root[:, 0], roots), low, high, root)
        assert (low[:, VALUE] >= 0).all()
        assert (high[:, VALUE] < 0).all()
    for s, exact in enumerate(roots.tolist()):
        expected = reference.regula_falsi(0.0, 1.0, partial(field, root=exact), iterations)
        assert float(root[s, 0]) == pytest.approx(expected, abs=1e-13)


def test_trap_a_chord_without_slope_gives_no_nan(runtime):
    """f_high = f_low, and a difference that underflows to zero."""
    ends = [[0.3, -1.0, 0.3, -1.0], [0.3, 0.0, 0.4, -1e-42], [0.3, 0.0, 0.4, -1.0]]
    rows = torch.tensor(ends, device=runtime.device, dtype=runtime.dtype)
    root = rows.new_empty(3, 1)
    taichi_runtime.launch(kernels.cross_chord, rows[:, :2].contiguous(), rows[:, 2:].contiguous(), root)
    torch.testing.assert_close(root[:, 0], rows.new_tensor([0.3, 0.4, 0.3]))

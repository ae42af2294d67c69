"""The walk's kernels, one rule each: TRACE-2 to TRACE-6. (The whole walk: tests/tracing/test_exact.py.)"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.kernels import sphere_trace as kernels

TOLERANCE = 0.01


@pytest.fixture
def rows(runtime):
    """Makes arrays (R, 2) of fronts from lists."""

    def make(values: list, integer: bool = False) -> Tensor:
        return torch.tensor(values, dtype=torch.int32 if integer else runtime.dtype, device=runtime.device)

    return make


def test_trace_1_and_2_fronts_start_at_both_ends_of_every_ray_that_meets_the_sphere(rows):
    """The third ray misses: its entry is -v.c (TRACE-13), and no front walks."""
    origins = rows([[0.0, 0, -3], [0, 0, 0.5], [2, 0, -3]])
    directions = rows([[0.0, 0, 1], [0, 0, 1], [0, 0, 1]])
    depth, active = torch.empty_like(origins[:, :2]), rows([[7, 7]] * 3, integer=True)
    entry, meets = torch.empty_like(depth[:, 0]), torch.empty_like(active[:, 0])
    depth = depth.contiguous()
    taichi_runtime.launch(kernels.start_fronts, origins, directions, 1.0, depth, active, entry, meets)
    assert depth.tolist() == [[2, 4], [0, 0.5], [3, 3]]
    assert active.tolist() == [[1, 1], [1, 1], [0, 0]]
    assert entry.tolist() == [2, 0, 3]
    assert meets.tolist() == [1, 1, 0]


def test_trace_3_and_4_fronts_step_by_their_value_until_it_is_within_the_tolerance(rows):
    value = rows([[0.5, 0.25], [TOLERANCE, 0.25], [-0.5, 0.25]])
    depth, active = rows([[1.0, 3.0]] * 3), rows([[1, 1], [1, 1], [1, 0]], integer=True)
    step = torch.full_like(depth, 9)
    taichi_runtime.launch(kernels.advance, value, TOLERANCE, step, depth, active)
    assert depth.tolist() == [[1.5, 2.75], [1.0, 2.75], [1.0, 3.0]]
    assert active.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert step.tolist() == [[0.5, 0.25], [0, 0.25], [0, 0]]


def test_trace_5_fronts_inside_go_back_by_a_share_of_their_step(rows):
    value = rows([[-0.1, 0.2], [0.2, -0.1], [-0.1, -0.1]])
    step, active = rows([[0.5, 0.25]] * 3), rows([[1, 1], [1, 1], [0, 0]], integer=True)
    depth, overshot = rows([[1.0, 3.0]] * 3), torch.full_like(active, 9)
    taichi_runtime.launch(kernels.pull_back, value, step, active, 0.5, depth, overshot)
    assert depth.tolist() == [[0.75, 3.0], [1.0, 3.125], [1.0, 3.0]]
    assert overshot.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_trace_6_fronts_that_meet_or_cross_stop(rows):
    depth = rows([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]])
    active = rows([[1, 0], [1, 1], [1, 1]], integer=True)
    taichi_runtime.launch(kernels.stop_crossed, depth, active)
    assert active.tolist() == [[1, 0], [0, 0], [0, 0]]

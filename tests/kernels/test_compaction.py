"""The list of active rays."""

from __future__ import annotations

import pytest
import torch

from taichi_idr.ops.compaction import FEW, active_indices
from taichi_idr.reference import compaction as reference


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("count", [0, 1, 511, FEW, FEW + 1, 20000])
def test_equals_twin(count, share, generator, runtime):
    flags = (torch.rand(count, generator=generator) < share).int().to(runtime.device)
    indices = active_indices(flags)
    assert indices.dtype == torch.int32
    assert torch.equal(indices, reference.active_indices(flags))


def test_any_value_but_zero_is_active(runtime):
    flags = torch.tensor([0, -1, 7, 0], dtype=torch.int32, device=runtime.device)
    assert active_indices(flags).tolist() == [1, 2]


def test_other_flags_are_refused(runtime):
    with pytest.raises(ValueError, match="expected flags"):
        active_indices(torch.ones(3, dtype=torch.bool, device=runtime.device))

"""The launcher that keeps compiled kernels does what Taichi's own call does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import taichi as ti
import torch
from taichi.lang import impl
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.errors import Unavailable
from taichi_idr.kernels.sphere_bounds import sphere_bounds
from taichi_idr.launcher import Launcher
from taichi_idr.ops.hash_encoding import HashLayout, hash_encoding_jacobian


def rays(count: int) -> tuple[Tensor, Tensor]:
    runtime = taichi_runtime.current()
    origins = torch.randn(count, 3, generator=torch.Generator().manual_seed(count)) * 2
    directions = torch.nn.functional.normalize(-origins, dim=1)
    return tuple(x.to(runtime.device, runtime.dtype).contiguous() for x in (origins, directions))  # pyright: ignore


def bounds(call, radius: float, count: int) -> tuple[Tensor, ...]:
    near, far = torch.full((2, count), torch.nan, dtype=rays(1)[0].dtype, device=rays(1)[0].device)
    meets = torch.full((count,), -1, dtype=torch.int32, device=near.device)
    call(*rays(count), radius, near, far, meets)
    return near, far, meets


def test_equals_taichis_own_call_for_changing_sizes_and_numbers():
    launcher = Launcher()
    for count, radius in ((7, 1.0), (700, 0.5), (3, 1)):
        ours = bounds(lambda *given: launcher(sphere_bounds, given), radius, count)
        assert all(torch.equal(x, y) for x, y in zip(ours, bounds(sphere_bounds, radius, count), strict=True))
        assert ours[2].any()


def test_template_values_are_told_apart(generator):
    """The same kernel with and without the Jacobian's cotangents."""
    runtime = taichi_runtime.current()
    layout = HashLayout.build(3, 4, 16, 10, runtime.device)
    points = torch.rand(50, 3, generator=generator).to(runtime.device, runtime.dtype)
    table = torch.randn(layout.rows, 2, generator=generator).to(runtime.device, runtime.dtype).requires_grad_()
    value, jacobian = hash_encoding_jacobian(points, table, layout, 3)
    (both,) = torch.autograd.grad(value.sum() + jacobian.sum(), table, retain_graph=True)
    (one,) = torch.autograd.grad(value.sum(), table)
    assert (both - one).abs().max() > 1


def test_another_version_is_called_the_ordinary_way(monkeypatch):
    monkeypatch.setattr("taichi_idr.launcher.WRITTEN_FOR", (1, 0, 0))
    launcher = Launcher()
    ours = bounds(lambda *given: launcher(sphere_bounds, given), 1.0, 20)
    assert torch.equal(ours[0], bounds(sphere_bounds, 1.0, 20)[0])
    assert not launcher._specialised


def test_after_a_backend_that_does_not_start_the_next_one_is_started_anew(runtime, monkeypatch):
    """Taichi has forgotten the old one's kernels and settings by then."""
    start = taichi_runtime._start_taichi

    def start_and_refuse(_arch, precision, cores):
        start(runtime.arch, precision, cores)
        raise Unavailable("backend not available")

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(taichi_runtime, "_start_taichi", start_and_refuse)
        taichi_runtime.init(runtime.arch, "float64")
    taichi_runtime.init(runtime.arch)
    assert impl.current_cfg().default_fp == ti.f32  # pyright: ignore[reportOptionalMemberAccess]
    ours = bounds(partial(taichi_runtime.launch, sphere_bounds), 1.0, 20)
    assert torch.equal(ours[0], bounds(sphere_bounds, 1.0, 20)[0])


def test_a_missing_argument_is_taichis_to_report():
    with pytest.raises(Exception, match="missing"):
        Launcher()(sphere_bounds, rays(3))


def test_gradients_are_left_alone():
    """Taichi's own call makes a `.grad` for what wants one."""
    leaves = [x.requires_grad_() for x in rays(9)]
    bounds(lambda _origins, _directions, *rest: taichi_runtime.launch(sphere_bounds, *leaves, *rest), 1.0, 9)
    assert all(leaf.grad is None for leaf in leaves)


@ti.kernel
def mistaken():
    for _ in range(3):
        nowhere()  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


def test_a_mistake_in_a_kernel_has_its_place():
    """Said more briefly than by Taichi itself, which makes its reading of a kernel's text twice as fast."""
    taichi_runtime.current()
    line = mistaken._primal.func.__code__.co_firstlineno + 3
    place = rf'{Path(__file__).name}", line {line}, in mistaken:\n +nowhere\(\)'
    with pytest.raises(ti.TaichiCompilationError, match=rf"(?s){place}.*not defined") as caught:
        mistaken()
    assert "^^^" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda x: x.to(torch.float16), "expected torch.float32, got torch.float16"),
        (lambda x: x.T.contiguous().T, "expected a contiguous tensor, got strides"),
        (lambda x: x.to("meta"), "got meta; move it there first"),
    ],
    ids=["type", "strides", "device"],
)
def test_what_a_kernel_would_misread_is_refused(spoil, text):
    """Before and after it has been launched with the right arguments."""
    for _ in range(2):
        with pytest.raises(ValueError, match=f"sphere_bounds: .*{text}"):
            bounds(lambda origins, *rest: taichi_runtime.launch(sphere_bounds, spoil(origins), *rest), 1.0, 5)
        bounds(lambda *given: taichi_runtime.launch(sphere_bounds, *given), 1.0, 5)

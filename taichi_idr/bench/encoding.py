"""The hash encoding at the sizes of preset `fast`: its passes, all of them together, and Adam on its table.

Both twins get the same table. Preset `fast` collects the table's gradient in one buffer per step; so do ours here. The
twin's is a new dense tensor per call, as torch makes it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .. import runtime
from ..kernels.sparse_adam import sparse_adam as adam_kernel
from ..ops.hash_encoding import following as following_op
from ..ops.hash_encoding import hash_encoding, hash_encoding_jacobian
from ..reference import hash_encoding as hash_twin
from ..reference.sparse_adam import sparse_adam as adam_twin
from .case import Case, Gate, Outputs, Work, copies
from .scene import Scene

# Measured: value 2e-7, slopes 2e-7, sums 3e-7, bends (of levels with 1024^2 per unit squared) 1e-4. The shares allow
# for points on a face of a cell, whose slopes differ by side.
VALUE, SLOPE, SUM, BEND = Gate(2e-6), Gate(2e-6, 1e-3), Gate(2e-6, 1e-3), Gate(3e-4, 1e-3)
CORNERS, FEATURES = 8, 2


def value(scene: Scene, size: int) -> Case:
    """Hash encoding of points."""
    points, (table, layout, active) = scene.points(size), scene.grid
    work = _work(active, bytes=12 + 8 * active, operations=36)
    arguments = (points, table, layout, active)
    ours, twin = lambda: (hash_encoding(*arguments),), lambda: (hash_twin.hash_encoding(*arguments),)
    return Case(ours, twin, (VALUE,), work=work)


def jacobian(scene: Scene, size: int) -> Case:
    """Hash encoding and its Jacobian."""
    points, (table, layout, active) = scene.points(size), scene.grid
    arguments = (points, table, layout, active)
    work = _work(active, bytes=12 + 32 * active, operations=36 + 144)
    return Case(
        lambda: hash_encoding_jacobian(*arguments),
        lambda: _detached(hash_twin.hash_encoding_jacobian(*arguments)),
        (VALUE, SLOPE),
        work=work,
    )


def value_to_table(scene: Scene, size: int) -> Case:
    """Adjoint of the value to the table."""
    work = _work(scene.grid[2], bytes=12 + 8 * scene.grid[2], operations=60)
    return _adjoint(scene, size, "table", with_jacobian=False, gate=SUM, work=work)


def value_to_points(scene: Scene, size: int) -> Case:
    """Adjoint of the value to the points."""
    work = _work(scene.grid[2], bytes=24 + 8 * scene.grid[2], operations=110)
    return _adjoint(scene, size, "points", with_jacobian=False, gate=SLOPE, work=work)


def jacobian_to_table(scene: Scene, size: int) -> Case:
    """Adjoint of value and Jacobian to the table."""
    work = _work(scene.grid[2], bytes=12 + 32 * scene.grid[2], operations=200)
    return _adjoint(scene, size, "table", with_jacobian=True, gate=SUM, work=work)


def jacobian_to_points(scene: Scene, size: int) -> Case:
    """Adjoint of value and Jacobian to the points."""
    work = _work(scene.grid[2], bytes=24 + 32 * scene.grid[2], operations=350)
    return _adjoint(scene, size, "points", with_jacobian=True, gate=BEND, work=work)


def together(scene: Scene, size: int) -> Case:
    """Value, Jacobian and the adjoint of both to table and points, as in a step."""
    points, (table, layout, active) = scene.points(size).requires_grad_(), scene.grid
    bars = (scene.normal(size, FEATURES * active), scene.normal(size, FEATURES * active, 3))
    table, buffer = table.clone().requires_grad_(), torch.zeros_like(table)

    def ours() -> Outputs:
        outputs = hash_encoding_jacobian(points, table, layout, active, table_gradient=buffer)
        return (*torch.autograd.grad(outputs, [points], bars), buffer)

    def twin() -> Outputs:
        outputs = hash_twin.hash_encoding_jacobian(points, table, layout, active)
        return torch.autograd.grad(outputs, [points, table], bars)

    work = Work(bytes=24 + 64 * active, gathers=4 * CORNERS * active, operations=730 * active)
    return Case(ours, twin, (BEND, SUM), inputs=_cleared(buffer), work=work)


def following(scene: Scene, size: int) -> Case:
    """Known encoding attached to its points, and the adjoint to them; the twin encodes once more."""
    points, (table, layout, active) = scene.points(size).requires_grad_(), scene.grid
    value, slopes = _detached(hash_encoding_jacobian(points.detach(), table, layout, active))
    bars = (scene.normal(size, FEATURES * active), scene.normal(size, FEATURES * active, 3))

    def ours() -> Outputs:
        return torch.autograd.grad(following_op(points, value, slopes, table, layout, active), [points], bars)

    def twin() -> Outputs:
        outputs = hash_twin.hash_encoding_jacobian(points, table, layout, active)
        return torch.autograd.grad(outputs, [points], bars)

    work = _work(active, bytes=24 + 32 * active, operations=350)
    return Case(ours, twin, (BEND,), work=work)


def sparse_adam(scene: Scene, size: int) -> Case:
    """Adam on the touched rows of the whole table."""
    rows = scene.grid[0].shape[0]
    gradient = torch.zeros_like(scene.grid[0])
    touched = torch.randperm(rows, generator=scene.generator)[: min(size, rows)].to(gradient.device)
    gradient[touched] = scene.normal(len(touched), FEATURES)
    first, second, parameter = (scene.normal(rows, FEATURES) for _ in range(3))
    state = (gradient, first, second.square(), parameter)
    share = scene.uniform(rows)
    numbers = (1e-2, 0.9, 0.99, 0.5, 0.1, 1e-12)

    def ours(*arrays: Tensor) -> Outputs:
        runtime.launch(adam_kernel, *numbers, share, *arrays)
        return arrays

    def twin(*arrays: Tensor) -> Outputs:
        adam_twin(*numbers, share, *arrays)
        return arrays

    work = Work(bytes=8 * rows / len(touched) + 60, operations=31)  # every gradient is looked at
    # A step is a quotient of moments, as inexact as the root of a small one; measured 2e-6.
    return Case(ours, twin, (*(Gate(2e-6),) * 3, Gate(2e-5)), inputs=copies(*state), work=work)


def _work(active: int, *, bytes: float, operations: float) -> Work:
    """operations: per level."""
    return Work(bytes=bytes, gathers=CORNERS * active, operations=operations * active)


def _adjoint(scene: Scene, size: int, leaf: str, *, with_jacobian: bool, gate: Gate, work: Work) -> Case:
    points, (table, layout, active) = scene.points(size), scene.grid
    table, buffer = table.clone(), torch.zeros_like(table)
    ours = hash_encoding_jacobian if with_jacobian else hash_encoding
    twin = hash_twin.hash_encoding_jacobian if with_jacobian else hash_twin.hash_encoding
    wanted = (points if leaf == "points" else table).requires_grad_()
    outputs = _attached(ours(points, table, layout, active, table_gradient=buffer))
    twins = _attached(twin(points, table, layout, active))
    bars = [scene.normal(*x.shape) for x in outputs]

    def pull() -> Outputs:
        if leaf == "points":
            return torch.autograd.grad(outputs, [wanted], bars, retain_graph=True)
        torch.autograd.backward(outputs, bars, retain_graph=True)
        return (buffer,)

    return Case(
        pull,
        lambda: torch.autograd.grad(twins, [wanted], bars, retain_graph=True),
        (gate,),
        inputs=_cleared(buffer),
        work=work,
    )


def _attached(outputs: Tensor | Outputs) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def _detached(outputs: Outputs) -> Outputs:
    return tuple(x.detach() for x in outputs)


def _cleared(buffer: Tensor) -> Callable[[], tuple[()]]:
    def clear() -> tuple[()]:
        buffer.zero_()
        return ()

    return clear

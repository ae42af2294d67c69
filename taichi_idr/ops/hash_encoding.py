"""Bridge to the multiresolution hash encoding (kernels/hash_encoding.py).

Value y and Jacobian J = dy/dx are both outputs: the gradient of a field behind the encoding is the plain product
J^T g, whose adjoint torch knows (dL/dg = J u, dL/dJ = g u^T), and one pass scatters both cotangents to the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import runtime
from ..kernels import hash_encoding as kernels

FEATURES = 2


@dataclass(frozen=True)
class HashLayout:
    """Where each level lives in the table.

    levels: (L, 4) int32, columns RESOLUTION, OFFSET, ROWS, HASHED of the kernels; rows: rows of the whole table.
    """

    levels: Tensor
    rows: int

    @staticmethod
    def build(levels: int, coarsest: int, finest: int, log2_rows: int, device: torch.device) -> HashLayout:
        """`levels` grids whose resolution grows geometrically from `coarsest` to `finest` cells along [-1, 1]."""
        growth = (finest / coarsest) ** (1 / max(levels - 1, 1))
        capacity, offset, columns = 2**log2_rows, 0, []
        for level in range(levels):
            resolution = round(coarsest * growth**level)
            corners = (resolution + 1) ** 3
            rows = min(corners, capacity)
            columns.append((resolution, offset, rows, int(corners > capacity)))
            offset += rows
        return HashLayout(torch.tensor(columns, dtype=torch.int32, device=device), offset)

    def __len__(self) -> int:
        return self.levels.shape[0]


def hash_encoding(
    points: Tensor, table: Tensor, layout: HashLayout, active: int, *, table_gradient: Tensor | None = None
) -> Tensor:
    """y (N, 2 L) at points (N, 3) of the normalised frame; levels from `active` on give zeros.

    Differentiable once in points and table. `table_gradient` (rows, 2) receives the table's gradient by addition in
    place of `table.grad`: a dense tensor per call would cost more than the adjoint itself.
    """
    value, _ = _HashEncoding.apply(points, table, layout, active, False, table_gradient)
    return value


def hash_encoding_jacobian(
    points: Tensor, table: Tensor, layout: HashLayout, active: int, *, table_gradient: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """y (N, 2 L) and J = dy/dx (N, 2 L, 3); otherwise as `hash_encoding`."""
    return _HashEncoding.apply(points, table, layout, active, True, table_gradient)


def following(
    points: Tensor, value: Tensor, jacobian: Tensor, table: Tensor, layout: HashLayout, active: int
) -> tuple[Tensor, Tensor]:
    """y and J as given, known at `points`, but attached to these: as if `hash_encoding_jacobian` were asked again.

    value (N, 2 L), jacobian (N, 2 L, 3): what it gave at the same places, attached to the table. Differentiable once
    in points, value and jacobian; the table gets its gradient through the latter two.
    """
    if value.shape[0] != len(points) or jacobian.shape[0] != len(points):
        raise ValueError(f"following: expected value and jacobian at {len(points)} points, got {len(value)}")
    return _Following.apply(points, value, jacobian, table, layout, active)


def level_shares(layout: HashLayout, power: float) -> Tensor:
    """Share (R,) of the learning rate for each row of the table: the level's cell over the coarsest one, to `power`.

    Adam's steps are as long in every level, but one in a fine cell tilts the field the more, the smaller the cell.
    """
    resolution, rows = layout.levels[:, kernels.RESOLUTION], layout.levels[:, kernels.ROWS]
    return (resolution[0] / resolution).pow(power).repeat_interleave(rows.long())


class _HashEncoding(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        table: Tensor,
        layout: HashLayout,
        active: int,
        with_jacobian: bool,
        table_gradient: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        _check(points, table, layout, table_gradient)
        points = points.detach().contiguous()
        columns = FEATURES * len(layout)
        value = points.new_empty(len(points), columns)
        jacobian = points.new_empty(len(points) if with_jacobian else 0, columns, 3)
        if len(points) and with_jacobian:
            runtime.launch(kernels.encode_jacobian, points, table, layout.levels, active, value, jacobian)
        elif len(points):
            runtime.launch(kernels.encode, points, table, layout.levels, active, value)
        ctx.save_for_backward(points, table)
        ctx.layout, ctx.active, ctx.with_jacobian, ctx.table_gradient = layout, active, with_jacobian, table_gradient
        if not with_jacobian:
            ctx.mark_non_differentiable(jacobian)
        return value, jacobian

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, value_bar: Tensor, jacobian_bar: Tensor) -> tuple[Tensor | None, ...]:
        points, table = ctx.saved_tensors
        cotangents = (value_bar.contiguous(), jacobian_bar.contiguous(), ctx.with_jacobian)
        needs_point, needs_table, *_ = ctx.needs_input_grad
        point_bar = _point_bar(points, table, ctx.layout, ctx.active, cotangents) if needs_point else None
        table_bar = None
        if needs_table:
            table_bar = torch.zeros_like(table) if ctx.table_gradient is None else ctx.table_gradient
            atomic = runtime.current().atomics
            kernel = kernels.table_adjoint_atomic if atomic else kernels.table_adjoint_ordered
            if len(points):
                runtime.launch(kernel, points, ctx.layout.levels, ctx.active, *cotangents, table_bar)
        return point_bar, None if ctx.table_gradient is not None else table_bar, None, None, None, None


class _Following(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: Tensor, value: Tensor, jacobian: Tensor, table: Tensor, layout: HashLayout, active: int
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(points.detach().contiguous(), table.detach())
        ctx.layout, ctx.active = layout, active
        return value.view_as(value), jacobian.view_as(jacobian)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, value_bar: Tensor, jacobian_bar: Tensor) -> tuple[Tensor | None, ...]:
        cotangents = (value_bar.contiguous(), jacobian_bar.contiguous(), True)
        points, table = ctx.saved_tensors
        needed = ctx.needs_input_grad[0]
        point_bar = _point_bar(points, table, ctx.layout, ctx.active, cotangents) if needed else None
        return point_bar, value_bar, jacobian_bar, None, None, None


def _point_bar(
    points: Tensor, table: Tensor, layout: HashLayout, active: int, cotangents: tuple[Tensor, Tensor, bool]
) -> Tensor:
    point_bar = torch.empty_like(points)
    if len(points):
        runtime.launch(kernels.point_adjoint, points, table, layout.levels, active, *cotangents, point_bar)
    return point_bar


def _check(points: Tensor, table: Tensor, layout: HashLayout, table_gradient: Tensor | None) -> None:
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"hash_encoding: expected points (N, 3), got {tuple(points.shape)}")
    if table.shape != (layout.rows, FEATURES):
        raise ValueError(f"hash_encoding: expected a table ({layout.rows}, {FEATURES}), got {tuple(table.shape)}")
    if table_gradient is not None and table_gradient.shape != table.shape:
        raise ValueError(
            f"hash_encoding: expected table_gradient {tuple(table.shape)}, got {tuple(table_gradient.shape)}"
        )

"""The hash field as kernels take it: parameters as they are now, laid out for use without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import runtime
from ..kernels.hash_field import field_values
from .hash_geometry import HashGeometry

LANES = 16  # widths are padded to whole vectors of the widest processors, inputs to the kernel's blocks of 4
BLOCK = 4


@dataclass(frozen=True)
class FrozenHashField:
    """f of a HashGeometry, bounded by the grown visual hull; no gradients. Arrays as in kernels/hash_field.py.

    `table` is the trained one itself: freeze anew after a step.
    """

    table: Tensor
    levels: Tensor
    network: Tensor
    hull: Tensor
    width: int
    inputs: int

    def __call__(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) of the normalised frame."""
        values = points.new_empty(len(points))
        if len(points):
            runtime.launch(field_values, points.contiguous(), *self.arguments, values)
        return values

    @property
    def arguments(self) -> tuple[Any, ...]:
        """As kernels take them."""
        return self.table, self.levels, self.network, self.hull, self.width, self.inputs


@torch.no_grad()
def frozen(geometry: HashGeometry, hull: Tensor, margin: float) -> FrozenHashField:
    """hull (H, H, H): signed distance from the visual hull; the field is at least that less `margin`."""
    *hidden, last = (cast(nn.Linear, layer) for layer in geometry.layers)
    width = _whole(max(layer.out_features for layer in hidden), LANES)
    inputs = _whole(hidden[0].in_features, BLOCK)
    rows = [_rows(layer, width if index else inputs, width) for index, layer in enumerate(hidden)]
    settings = (last.bias[0], geometry.config.softplus_beta, geometry.active_levels, margin)
    output = F.pad(last.weight[:1], (0, width - last.in_features))
    network = torch.cat([*rows, output, _row(settings, output)])
    return FrozenHashField(geometry.table.detach(), geometry.layout.levels, network, hull, width, inputs)


def _rows(layer: nn.Linear, inputs: int, width: int) -> Tensor:
    """Transposed weights and a row of biases (inputs + 1, width), padded by zeros."""
    outwards = width - layer.out_features
    weight = F.pad(layer.weight.T, (0, outwards, 0, inputs - layer.in_features))
    return torch.cat([weight, F.pad(layer.bias[None], (0, outwards))])


def _row(numbers: tuple[Tensor | float, ...], like: Tensor) -> Tensor:
    row = torch.zeros_like(like)
    for column, number in enumerate(numbers):
        row[0, column] = number
    return row


def _whole(size: int, unit: int) -> int:
    return -(-size // unit) * unit

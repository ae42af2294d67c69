"""Twin of kernels/hash_field.py in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields.hash_geometry import HashGeometry
from .activations import softplus
from .hash_encoding import hash_encoding
from .march import interpolate


@torch.no_grad()
def hash_field(points: Tensor, geometry: HashGeometry, hull: Tensor, margin: float) -> Tensor:
    """f (N,) at points (N, 3); hull (H, H, H): signed distance that bounds it, less `margin`, normalised units."""
    encoding = hash_encoding(points, geometry.table, geometry.layout, geometry.active_levels)
    hidden = torch.cat([points, encoding], dim=1)
    *layers, last = geometry.layers
    for layer in layers:
        hidden, _slope = softplus(layer(hidden), geometry.config.softplus_beta)
    return torch.maximum(last(hidden)[:, 0], interpolate(hull, points) - margin)

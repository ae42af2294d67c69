"""What the surface encloses: photos say nothing about it, and a network that hollows it out may break through."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import binary_dilation
from skimage.measure import label
from torch import Tensor
from torch.nn.functional import relu

DEPTH = 2  # cells below the surface from which a point counts as deep


def solid(distance: Tensor) -> Tensor:
    """Points (M, M, M) bool that the surface encloses, hollows among them: all but air that meets the border.

    distance (M, M, M): signed.
    """
    air = np.asarray(label((distance >= 0).cpu().numpy(), connectivity=1))
    is_outside = np.zeros(air.max() + 1, bool)
    for axis in range(3):
        is_outside[np.take(air, (0, -1), axis)] = True
    is_outside[0] = False  # not air
    return torch.from_numpy(np.logical_not(is_outside[air])).to(distance.device)


def enclosed(distance: Tensor) -> Tensor:
    """Of these, the points deep below the surface."""
    near_air = binary_dilation((~solid(distance)).cpu().numpy(), np.ones((3, 3, 3), bool), iterations=DEPTH)
    return torch.from_numpy(np.logical_not(near_air)).to(distance.device)


def drawn_around(places: Tensor, cell: float, count: int, generator: torch.Generator) -> Tensor:
    """`count` points (C, 3) in the cells around places (N, 3) of the lattice, drawn anew; none of none."""
    if not len(places):
        return places
    drawn = places[torch.randint(len(places), (count,), generator=generator).to(places.device)]
    return drawn + cell * (torch.rand(drawn.shape, generator=generator) - 0.5).to(drawn)


def hollow_loss(sdf: Tensor, cell: float) -> Tensor:
    """Mean of what the values sdf (N,) lack to a cell below the surface; 0 of none."""
    return relu(sdf + cell).sum() / max(len(sdf), 1)

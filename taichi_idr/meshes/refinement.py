"""Vertices moved onto a level of an occupancy (OCC-5 of docs/methods.md).

Mescheder et al., "Occupancy Networks" (CVPR 2019), section 3.3, with the numbers of the released code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

Slope = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points (N, 3) -> logit (N,) of being inside and its gradient (N, 3), without a graph."""
CONCENTRATION = 0.5  # of the Dirichlet distribution, for each corner of a face
DECAY, EPSILON = 0.99, 1e-8  # of RMSprop, as torch has them


def refined(
    vertices: np.ndarray,
    faces: np.ndarray,
    slope: Slope,
    *,
    steps: int,
    rate: float,
    normal_weight: float,
    generator: torch.Generator,
) -> np.ndarray:
    """Vertices (V, 3) float64 nearer to where the occupancy is 1/2, faces (F, 3) as they are: closed, where it was.

    RMSprop on (f(p) - 1/2)^2 + normal_weight |n_face - n_field|^2 at a random point p of every face, in the unit of
    `rate`. n_field counts as constant: of a network of ReLU, whose gradient is constant piece by piece, it is. What
    would turn a face round is taken back.
    """
    start = torch.from_numpy(vertices).float()
    corners = torch.from_numpy(faces).long()
    moved, squares = start.clone(), torch.zeros_like(start)
    for _ in range(steps):
        gradient = _gradient(moved, corners, slope, normal_weight, generator)
        squares.mul_(DECAY).addcmul_(gradient, gradient, value=1 - DECAY)
        moved -= rate * gradient / (squares.sqrt() + EPSILON)
    return unturned(vertices, moved.double().numpy(), faces)


def unturned(before: np.ndarray, after: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vertices `after` (V, 3), but `before` at every face that would look away from where it looked; they end where no
    face does."""
    kept = after.copy()
    was = np.cross(*_sides(before, faces))
    while True:
        turned = np.einsum("fi,fi->f", was, np.cross(*_sides(kept, faces))) <= 0
        back = np.unique(faces[turned])
        back = back[(kept[back] != before[back]).any(axis=1)]
        if len(back) == 0:
            return kept
        kept[back] = before[back]


def _sides(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return b - a, c - a


def _gradient(
    vertices: Tensor, faces: Tensor, slope: Slope, normal_weight: float, generator: torch.Generator
) -> Tensor:
    """Of the loss in the vertices (V, 3)."""
    leaf = vertices.requires_grad_()
    corners = leaf[faces]
    points = (corners * _shares(len(faces), generator)[..., None]).sum(dim=1)
    logit, across = slope(points.detach())
    occupancy = torch.sigmoid(logit)
    step = (occupancy * (1 - occupancy))[:, None] * across  # of the occupancy, at the points
    value = occupancy + ((points - points.detach()) * step).sum(dim=1)
    normals = normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=1)
    apart = ((normals + normalize(across, dim=1)) ** 2).sum(dim=1)
    loss = ((value - 0.5) ** 2).mean() + normal_weight * apart.mean()
    gradient = torch.autograd.grad(loss, leaf)[0]
    leaf.requires_grad_(False)
    return gradient


def _shares(count: int, generator: torch.Generator) -> Tensor:
    """Barycentric coordinates (count, 3), Dirichlet: of squared normal numbers, which are Gamma(1/2)."""
    gamma = torch.randn(count, 3, generator=generator) ** 2
    return gamma / gamma.sum(dim=1, keepdim=True)

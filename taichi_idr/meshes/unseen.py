"""Colours where no photo shows any."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import cg
from torch import Tensor

from ..nearest import tree_of

NEIGHBOURS = 8
PULL = 1e-5  # towards the nearest colours, beside 1 towards those of a vertex's neighbours
ACCURATE = 1e-3  # residual, of what holds the membrane: a level of 255 or two
MOST_ITERATIONS = 1000


def filled(colours: Tensor, points: Tensor, faces: Tensor, seen: Tensor) -> Tensor:
    """colours (V, 3) at the vertices (V, 3) of faces (F, 3), where they are not `seen` (V,) as smooth as can be.

    Each is the mean of its neighbours' along edges (a membrane held by what is seen, Laplace's equation with uniform
    weights); parts without a seen vertex have the colours of the nearest that are. As they are if nothing is seen.
    """
    if not bool(seen.any()) or bool(seen.all()):
        return colours
    known, open_ = seen.cpu().numpy(), ~seen.cpu().numpy()
    values = colours.double().cpu().numpy()
    values[open_] = _nearest(values[known], points[seen].cpu().numpy(), points[~seen].cpu().numpy())
    values[open_] = _membrane(values, _links(faces.cpu().numpy(), len(values)), known)
    return torch.from_numpy(values).to(colours)


def _nearest(colours: np.ndarray, places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Colours (W, 3) at wanted places (W, 3): of the nearest known ones, by the inverse square of their distance."""
    count = min(NEIGHBOURS, len(places))
    distance, index = tree_of(places).query(wanted, k=count, workers=-1)
    weight = 1 / (distance.reshape(-1, count) ** 2 + 1e-12)
    return (weight[..., None] * colours[index.reshape(-1, count)]).sum(axis=1) / weight.sum(axis=1, keepdims=True)


def _links(faces: np.ndarray, count: int) -> coo_matrix:
    """(V, V), how many faces have each edge."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    pairs = np.concatenate([starts, ends]), np.concatenate([ends, starts])
    return coo_matrix((np.ones(2 * len(starts)), pairs), shape=(count, count))


def _membrane(values: np.ndarray, links: coo_matrix, known: np.ndarray) -> np.ndarray:
    """Colours (W, 3) of the vertices that are not known, from `values` (V, 3), where they have a first guess."""
    rows = links.tocsr()[~known]
    degree = np.asarray(rows.sum(axis=1))[:, 0]
    guess = values[~known]
    matrix = diags(degree + PULL) - rows[:, ~known]
    target = rows[:, known] @ values[known] + PULL * guess
    options = {"rtol": ACCURATE, "maxiter": MOST_ITERATIONS, "M": diags(1 / (degree + PULL))}
    return np.stack([cg(matrix, target[:, k], x0=guess[:, k], **options)[0] for k in range(values.shape[1])], axis=1)

"""All cameras from what pairs of them say: rotations first, then places, both by linear systems, outliers counting less
and less."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import lsq_linear
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial.transform import Rotation

from .pairs import Pair

ROUNDS, PLACE_ROUNDS = 50, 12
USUAL_TURN = np.radians(1.0)  # beyond which what a pair says of rotations counts less
FARTHEST_TURN = np.radians(6.0)  # from what all say, beyond which a pair is left out
LEAST = 1e-4  # of the usual distance: places agree


def largest_part(pairs: Sequence[Pair], count: int) -> np.ndarray:
    """Views (N,) of `count` that pairs join into one part, the largest."""
    part = connected_components(_graph(pairs, count), directed=False)[1]
    return np.flatnonzero(part == np.bincount(part).argmax())


def averaged_rotations(pairs: Sequence[Pair], count: int) -> np.ndarray:
    """World -> camera (V, 3, 3) of views that are joined; the first one's is the unit matrix.

    From a spanning tree of the pairs with most links on, by reweighted least squares in the tangent space (Chatterjee
    and Govindu, Robust relative rotation averaging, PAMI 2018).
    """
    R = _along_tree(pairs, count)
    one, other = (np.array([getattr(pair, name) for pair in pairs]) for name in ("one", "other"))
    told = np.array([pair.rotation for pair in pairs])
    edges = np.arange(len(pairs))
    signs = np.concatenate([-np.ones(len(pairs)), np.ones(len(pairs))])
    system = csr_array(coo_array((signs, (np.tile(edges, 2), np.concatenate([one, other]))), (len(pairs), count)))
    dense = system.toarray()[:, 1:]
    for _ in range(ROUNDS):
        # in the world: R_other exp(w_other) = told R_one exp(w_one)
        off = Rotation.from_matrix(R[other].transpose(0, 2, 1) @ told @ R[one]).as_rotvec()
        weight = 1 / (1 + (np.linalg.norm(off, axis=1) / USUAL_TURN) ** 2)
        normal = dense.T @ (weight[:, None] * dense)
        step = np.linalg.lstsq(normal, dense.T @ (weight[:, None] * off), rcond=None)[0]
        R[1:] = R[1:] @ Rotation.from_rotvec(step).as_matrix()
        if np.abs(step).max() < 1e-8:
            break
    return R


def agreeing(pairs: Sequence[Pair], R: np.ndarray) -> list[Pair]:
    """Those that say of rotations what all do."""
    off = [Rotation.from_matrix(R[p.other].T @ p.rotation @ R[p.one]).magnitude() for p in pairs]
    return [pair for pair, angle in zip(pairs, off, strict=True) if angle < FARTHEST_TURN]


def averaged_places(pairs: Sequence[Pair], R: np.ndarray) -> np.ndarray:
    """Centres (V, 3) of joined views of known rotations: least unsquared deviations from the pairs' directions
    (Ozyesil and Singer, Robust camera location estimation by convex programming, CVPR 2015)."""
    count, edges = len(R), len(pairs)
    one, other = (np.array([getattr(pair, name) for pair in pairs]) for name in ("one", "other"))
    v = np.array([R[pair.one].T @ pair.direction for pair in pairs])
    row = np.arange(3 * edges).reshape(edges, 3)
    axis = np.arange(3)
    parts = [
        (np.ones(3 * edges), row.ravel(), (3 * other[:, None] + axis).ravel()),
        (-np.ones(3 * edges), row.ravel(), (3 * one[:, None] + axis).ravel()),
        (-v.ravel(), row.ravel(), np.repeat(3 * count + np.arange(edges), 3)),
    ]
    values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    system = csr_array(coo_array((values, (rows, columns)), (3 * edges, 3 * count + edges)))[:, 3:]  # the first is at 0
    low = np.concatenate([np.full(3 * (count - 1), -np.inf), np.ones(edges)])
    weight, x = np.ones(edges), np.zeros(system.shape[1])
    for _ in range(PLACE_ROUNDS):
        scaled = system.multiply(np.repeat(np.sqrt(weight), 3)[:, None]).tocsr()
        x = lsq_linear(scaled, np.zeros(3 * edges), (low, np.inf), lsmr_tol="auto", max_iter=100).x
        away = np.linalg.norm((system @ x).reshape(edges, 3), axis=1)
        weight = 1 / np.maximum(away, LEAST)
        weight /= weight.max()
    return np.concatenate([np.zeros((1, 3)), x[: 3 * (count - 1)].reshape(-1, 3)])


def _graph(pairs: Sequence[Pair], count: int) -> coo_array:
    one, other, links = np.array([(p.one, p.other, len(p.links)) for p in pairs]).reshape(-1, 3).T
    return coo_array((1.0 / np.maximum(links, 1), (one, other)), shape=(count, count))


def _along_tree(pairs: Sequence[Pair], count: int) -> np.ndarray:
    tree = minimum_spanning_tree(_graph(pairs, count).tocsr())
    order, before = breadth_first_order(tree, 0, directed=False)
    told = {(pair.one, pair.other): pair.rotation for pair in pairs}
    R = np.tile(np.eye(3), (count, 1, 1))
    for view in order[1:]:
        parent = int(before[view])
        between = told[(parent, int(view))] if (parent, int(view)) in told else told[(int(view), parent)].T
        R[view] = between @ R[parent]
    return R

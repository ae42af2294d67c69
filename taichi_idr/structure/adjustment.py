"""Bundle adjustment: poses, points, one focal length and one bending that fit best to where photos show the points.

Levenberg and Marquardt's steps, points eliminated first (Triggs et al., Bundle adjustment: a modern synthesis, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import block_diag, coo_array, csr_array
from scipy.spatial.transform import Rotation

STEPS = 30
USUAL = 1e-3  # of the longer side: errors beyond count less (Cauchy)
PRIOR = 0.05  # standard deviation of the bending, and of the focal length's logarithm about what is known
SMALL = 1e-5  # relative fall of the cost at which it ends


@dataclass(frozen=True)
class Bundle:
    """R (V, 3, 3), world -> camera; centres (V, 3); points (N, 3); focal length in the photos' longer side; bending: k
    of r (1 + k r^2)."""

    R: np.ndarray
    centres: np.ndarray
    points: np.ndarray
    focal: float
    bending: float

    def seen(self, view: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where views (M,) show points (M,), (M, 2) from their middle, in the longer side; depth (M,)."""
        local = np.einsum("mij,mj->mi", self.R[view], self.points[point] - self.centres[view])
        flat = local[:, :2] / local[:, 2:]
        square = (flat**2).sum(axis=1, keepdims=True)
        return self.focal * (1 + self.bending * square) * flat, local[:, 2]


def adjusted(bundle: Bundle, view: np.ndarray, point: np.ndarray, places: np.ndarray, *, known: bool) -> Bundle:
    """view, point (M,), places (M, 2): observations, as `Bundle.seen`. known: the focal length is."""
    damping, cost = 1e-4, _cost(bundle, bundle.focal, view, point, places, known=known)
    told = bundle.focal
    for _ in range(STEPS):
        system = _system(bundle, told, view, point, places, known=known)
        for _ in range(8):
            moved = _moved(bundle, *_solved(*system, damping))
            new = _cost(moved, told, view, point, places, known=known)
            if new < cost:
                break
            damping *= 8
        else:
            return bundle
        fall, bundle, cost, damping = (cost - new) / cost, moved, new, max(damping / 4, 1e-9)
        if fall < SMALL:
            break
    return bundle


def _cost(
    bundle: Bundle, told: float, view: np.ndarray, point: np.ndarray, places: np.ndarray, *, known: bool
) -> float:
    seen, depth = bundle.seen(view, point)
    square = ((seen - places) ** 2).sum(axis=1) / USUAL**2
    if not (np.isfinite(square).all() and (depth > 0).mean() > 0.99 and bundle.focal > 0):
        return np.inf
    prior = (bundle.bending / PRIOR) ** 2 + ((np.log(bundle.focal / told) / PRIOR) ** 2 if known else 0.0)
    return float(np.log1p(square).sum() + prior)


def _system(
    bundle: Bundle, told: float, view: np.ndarray, point: np.ndarray, places: np.ndarray, *, known: bool
) -> tuple[np.ndarray, csr_array, np.ndarray, np.ndarray, np.ndarray]:
    """Of normal equations: cameras' (C, C), cameras' with points' (C, 3 N), points' (N, 3, 3), both right sides."""
    M, V, N = len(view), len(bundle.R), len(bundle.points)
    R, f, k = bundle.R[view], bundle.focal, bundle.bending
    local = np.einsum("mij,mj->mi", R, bundle.points[point] - bundle.centres[view])
    z = local[:, 2:]
    flat = local[:, :2] / z
    square = (flat**2).sum(axis=1, keepdims=True)
    grown = 1 + k * square
    off = f * grown * flat - places
    weight = np.sqrt(1 / (1 + (off**2).sum(axis=1) / USUAL**2)) / USUAL
    by_flat = f * (grown[..., None] * np.eye(2) + 2 * k * flat[:, :, None] * flat[:, None])
    flat_by_local = np.zeros((M, 2, 3))
    flat_by_local[:, 0, 0] = flat_by_local[:, 1, 1] = 1 / z[:, 0]
    flat_by_local[:, :, 2] = -flat / z
    by_local = by_flat @ flat_by_local
    by_turn = -by_local @ _crossing(local)
    by_point = by_local @ R
    shared = np.stack([grown * flat * f, f * square * flat], axis=2)  # by the focal length's logarithm, and bending
    by_camera = np.concatenate([by_turn, -by_point, shared], axis=2) * weight[:, None, None]
    by_point = by_point * weight[:, None, None]
    row = np.arange(2 * M).reshape(M, 2, 1)
    columns = np.concatenate([6 * view[:, None] + np.arange(6), np.tile([6 * V, 6 * V + 1], (M, 1))], axis=1)
    shape = np.broadcast_shapes(row.shape, (M, 2, 8))
    J = csr_array(coo_array(_flat(by_camera, row, columns[:, None], shape), (2 * M, 6 * V + 2)))
    shape = np.broadcast_shapes(row.shape, (M, 2, 3))
    P = csr_array(coo_array(_flat(by_point, row, (3 * point[:, None] + np.arange(3))[:, None], shape), (2 * M, 3 * N)))
    right = -(off * weight[:, None]).ravel()
    A, a = (J.T @ J).toarray(), J.T @ right
    prior = np.array([1e-9 if not known else 1.0, 1.0]) / PRIOR**2
    A[[-2, -1], [-2, -1]] += prior
    a[-2:] -= prior * (np.log(f / told), k)
    own = np.zeros((N, 3, 3))
    np.add.at(own, point, by_point.transpose(0, 2, 1) @ by_point)
    return A, csr_array(J.T @ P), own, a, P.T @ right


def _solved(
    A: np.ndarray, B: csr_array, own: np.ndarray, a: np.ndarray, b: np.ndarray, damping: float
) -> tuple[np.ndarray, np.ndarray]:
    """Steps of cameras (C,) and points (N, 3)."""
    damped = own + damping * own * np.eye(3) + 1e-12 * np.eye(3)
    inverse = csr_array(block_diag(list(np.linalg.inv(damped)), format="csr"))
    reduced = A + np.diag(damping * np.diag(A) + 1e-9) - (B @ inverse @ B.T).toarray()
    camera = np.linalg.lstsq(reduced, a - B @ (inverse @ b), rcond=1e-12)[0]
    return camera, (inverse @ (b - B.T @ camera)).reshape(-1, 3)


def _moved(bundle: Bundle, camera: np.ndarray, points: np.ndarray) -> Bundle:
    V = len(bundle.R)
    own = camera[: 6 * V].reshape(V, 6)
    return replace(
        bundle,
        R=Rotation.from_rotvec(own[:, :3]).as_matrix() @ bundle.R,
        centres=bundle.centres + own[:, 3:],
        points=bundle.points + points,
        focal=bundle.focal * float(np.exp(np.clip(camera[-2], -0.2, 0.2))),
        bending=bundle.bending + float(camera[-1]),
    )


def _crossing(vectors: np.ndarray) -> np.ndarray:
    """Matrices (M, 3, 3) of the cross products with vectors (M, 3)."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)


def _flat(
    values: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    return values.ravel(), (np.broadcast_to(row, shape).ravel(), np.broadcast_to(column, shape).ravel())

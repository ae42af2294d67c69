"""Bundle adjustment: poses and points that explain where points were seen, all at once.

Levenberg-Marquardt with the Schur complement (Triggs et al., "Bundle Adjustment: A Modern Synthesis", 2000): points are
eliminated, one dense system of six numbers per view is left. Robust by reweighting: with Huber's function first, which
draws in all sightings, then with Geman and McClure's (1985), which lets go of those that stay apart from the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..cameras.rotations import rotated, rotation_matrices
from ..types import Cameras

HUBER = 1.345  # standard deviations of a sighting
DOUBTED = (1.5, 2.0)  # deviations at least, usual residuals: where Geman and McClure's function is half of its end
ITERATIONS = (6, 12)  # with Huber's function, and then with theirs
DAMPING = 1e-4  # of the first step, share of the diagonal
KNOWN = (0.3, 0.01)  # degrees, normalised units: how well a pose is known before, roughly
RANGE = (1e-9, 1e3)  # of the damping
PAIRS_AT_ONCE = 1 << 16  # of sightings of one point: bounds memory to some tens of megabytes


@dataclass(frozen=True)
class Sightings:
    """M sightings of N points: point (M,), view (M,) long; pixel (M, 2) float64, u and v.

    whitening (M, 2, 2): pixels -> standard deviations of the sighting, which a patch without corners has in one
    direction only.
    """

    point: Tensor
    view: Tensor
    pixel: Tensor
    whitening: Tensor

    def __len__(self) -> int:
        return len(self.point)

    def __getitem__(self, index: Tensor) -> Sightings:
        return Sightings(*(part[index] for part in vars(self).values()))

    def errors(self, cameras: Cameras, points: Tensor) -> Tensor:
        """Where points (N, 3) appear less where they were seen (M, 2), in standard deviations."""
        apart = reproject(cameras, points, self) - self.pixel
        return _times(self.whitening, apart)


class Loss(NamedTuple):
    """A robust loss of residuals, by their sizes (M,): its values, and the weights that their squares have in it."""

    values: Callable[[Tensor], Tensor]
    weights: Callable[[Tensor], Tensor]


HUBERS = Loss(
    values=lambda size: torch.where(size < HUBER, size**2 / 2, HUBER * (size - HUBER / 2)),
    weights=lambda size: HUBER / size.clamp(min=HUBER),
)


def geman_mcclures(scale: float) -> Loss:
    """Half of its end at residuals of that size."""
    return Loss(
        values=lambda size: size**2 / 2 / (1 + (size / scale) ** 2),
        weights=lambda size: (1 + (size / scale) ** 2) ** -2,
    )


@dataclass(frozen=True)
class Adjustment:
    """cameras, points (N, 3) after the adjustment; residual (M,) of each sighting in standard deviations; error
    (before, after): mean of Huber's function."""

    cameras: Cameras
    points: Tensor
    residual: Tensor
    error: tuple[float, float]


def adjust(
    cameras: Cameras,
    points: Tensor,
    sightings: Sightings,
    *,
    known: tuple[float, float] = KNOWN,
    iterations: tuple[int, int] = ITERATIONS,
    between: Callable[[], None] = lambda: None,
) -> Adjustment:
    """Poses (intrinsics stay) and points (N, 3), float64, of least robust reprojection error.

    What the sightings leave open stays as it is: a weak prior holds every pose, and so the gauge. known: deviations of
    each component of turn and shift before, degrees and the frame's unit. iterations: with Huber's function, and
    with Geman and McClure's, as wide as residuals are then. between: called at each, and may raise.
    """
    away, prior = points.new_zeros(len(cameras), 6), _prior(known)
    before = residual = sightings.errors(cameras, points)
    loss = HUBERS
    for count in iterations:
        damping, cost = DAMPING, _cost(loss, residual, away, prior)
        for _ in range(count):
            between()
            move, moved = _step(cameras, points, sightings, residual, loss, away, prior, damping)
            turned = rotated(cameras.quaternions, move[:, :3])
            tried = Cameras(turned, cameras.centres + move[:, 3:], cameras.intrinsics)
            new_residual = sightings.errors(tried, points + moved)
            new_cost = _cost(loss, new_residual, away + move, prior)
            if new_cost < cost:
                cameras, points, residual, cost = tried, points + moved, new_residual, new_cost
                away = away + move
                damping = max(damping / 5, RANGE[0])
            else:
                damping = min(damping * 10, RANGE[1])
        least, usual = DOUBTED
        loss = geman_mcclures(max(least, usual * float(residual.norm(dim=1).median())))
    error = _mean_loss(HUBERS, before), _mean_loss(HUBERS, residual)
    return Adjustment(cameras, points, residual.norm(dim=1), error)


def reproject(cameras: Cameras, points: Tensor, sightings: Sightings) -> Tensor:
    """Pixels (M, 2) at which the sightings' points should appear."""
    seen = _in_camera(cameras, points, sightings)
    image = _times(cameras.intrinsics[sightings.view], seen)
    return image[:, :2] / image[:, 2:]


def _in_camera(cameras: Cameras, points: Tensor, sightings: Sightings) -> Tensor:
    """The sightings' points (M, 3) in camera axes."""
    R_camera_frame = rotation_matrices(cameras.quaternions).transpose(1, 2)[sightings.view]
    apart = points[sightings.point] - cameras.centres[sightings.view]
    return _times(R_camera_frame, apart)


def _mean_loss(loss: Loss, residual: Tensor) -> float:
    return float(loss.values(residual.norm(dim=1)).mean())


def _cost(loss: Loss, residual: Tensor, away: Tensor, prior: Tensor) -> float:
    """What is minimised: sightings and prior, away (V, 6) being the turns and shifts since the start."""
    return _mean_loss(loss, residual) * len(residual) + float((prior * away**2).sum()) / 2


def _prior(known: tuple[float, float]) -> Tensor:
    """Curvature (6,) of the prior."""
    return torch.tensor([np.radians(known[0])] * 3 + [known[1]] * 3, dtype=torch.float64) ** -2


def _step(
    cameras: Cameras,
    points: Tensor,
    sightings: Sightings,
    residual: Tensor,
    loss: Loss,
    away: Tensor,
    prior: Tensor,
    damping: float,
) -> tuple[Tensor, Tensor]:
    """One damped step: turns and shifts (V, 6) of the cameras, moves (N, 3) of the points."""
    view, point = sightings.view, sightings.point
    to_pose, to_point = _jacobians(cameras, points, sightings)
    weight = loss.weights(residual.norm(dim=1))[:, None, None]
    pose_side = (weight * to_pose).transpose(1, 2)  # (M, 6, 2)
    point_side = (weight * to_point).transpose(1, 2)  # (M, 3, 2)
    H_poses = _sums(view, pose_side @ to_pose, len(cameras)) + torch.diag(prior)
    H_points = _sums(point, point_side @ to_point, len(points))
    g_poses = _sums(view, _times(pose_side, residual), len(cameras)) + prior * away
    g_points = _sums(point, _times(point_side, residual), len(points))
    mixed = pose_side @ to_point  # (M, 6, 3)

    _damp(H_poses, damping)
    _damp(H_points, damping)
    inverse = torch.linalg.inv_ex(H_points).inverse  # where it is singular the step costs NaN, and is not taken
    carried = mixed @ inverse[point]  # (M, 6, 3)
    matrix = _reduced(H_poses, carried, mixed, sightings)
    right = g_poses - _sums(view, _times(carried, g_points[point]), len(cameras))
    move = -torch.linalg.solve_ex(matrix, right.reshape(-1)).result.view(-1, 6)
    back = g_points + _sums(point, _times(mixed.transpose(1, 2), move[view]), len(points))
    return move, -_times(inverse, back)


def _reduced(H_poses: Tensor, carried: Tensor, mixed: Tensor, sightings: Sightings) -> Tensor:
    """The system of the poses alone (6 V, 6 V): Schur's complement of the points."""
    views, view = len(H_poses), sightings.view
    blocks = torch.zeros(views * views, 6, 6, dtype=H_poses.dtype)
    blocks[torch.arange(views) * (views + 1)] = H_poses
    for one, other in zip(*(part.split(PAIRS_AT_ONCE) for part in _pairs(sightings.point)), strict=True):
        blocks.index_add_(0, view[one] * views + view[other], -carried[one] @ mixed[other].transpose(1, 2))
    return blocks.view(views, views, 6, 6).permute(0, 2, 1, 3).reshape(6 * views, 6 * views)


def _jacobians(cameras: Cameras, points: Tensor, sightings: Sightings) -> tuple[Tensor, Tensor]:
    """Derivatives of the errors to turn and shift of their camera (M, 2, 6) and to their point (M, 2, 3).

    With y = R^T (x - c) and R -> exp(w) R: dy/dx = R^T, dy/dc = -R^T, dy/dw = R^T [x - c]_x.
    """
    K = cameras.intrinsics[sightings.view]
    R_camera_frame = rotation_matrices(cameras.quaternions).transpose(1, 2)[sightings.view]
    seen = _in_camera(cameras, points, sightings)
    image = _times(K, seen)
    pixel = image[:, :2] / image[:, 2:]
    to_seen = (K[:, :2] - pixel[:, :, None] * K[:, 2:]) / image[:, 2:, None]
    to_point = sightings.whitening @ to_seen @ R_camera_frame
    apart = points[sightings.point] - cameras.centres[sightings.view]
    return torch.cat([to_point @ _cross_matrices(apart), -to_point], dim=2), to_point


def _cross_matrices(a: Tensor) -> Tensor:
    """[a]_x (M, 3, 3) of vectors (M, 3)."""
    zero = torch.zeros_like(a[:, 0])
    x, y, z = a.unbind(1)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)


def _sums(index: Tensor, values: Tensor, count: int) -> Tensor:
    """Sums (count, ...) of the values (M, ...) of equal index (M,)."""
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, index, values)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors[:, :, None])[:, :, 0]


def _damp(blocks: Tensor, damping: float) -> None:
    """Add a share of its diagonal to each block, in place."""
    diagonal = torch.diagonal(blocks, dim1=1, dim2=2)
    diagonal += damping * diagonal + 1e-9


def _pairs(point: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of all ordered pairs of sightings of one point, each with itself too."""
    order = point.argsort(stable=True)
    counts = torch.bincount(point)
    first = torch.cumsum(counts, dim=0) - counts
    of = point[order]
    repeats = counts[of]
    one = order.repeat_interleave(repeats)
    within = torch.arange(len(one)) - (torch.cumsum(repeats, dim=0) - repeats).repeat_interleave(repeats)
    other = order[first[of].repeat_interleave(repeats) + within]
    return one, other

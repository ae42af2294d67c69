"""How preset `fast` moves its poses: block Gauss-Newton on the six numbers of each view.

A view's gradient G is the mean of its rays' own gradients g, and H = mean g g^T is what Gauss-Newton would build from
the same rays: the absolute and the logistic loss have slopes of known size, so the outer product of a ray's gradient is
that of its residual's Jacobian up to a factor. Solving with H lets strong and weak directions converge alike
(docs/decisions/0009-gauss-newton-poses.md). Every ray's gradient comes from the tracer's adjoint (Lemma 1); no matrix
of the whole problem is formed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..config import FastCamerasConfig
from ..state import alike
from ..types import Rays
from .parameters import Poses

UNKNOWNS = 6  # turn about the camera's centre (radians, axes of the normalised frame), shift of the centre
_RUNNING = ("gradient", "scatter", "visits", "trust")


class GaussNewton:
    """Running G and H of each view; `step` turns and shifts the views that a batch has seen."""

    def __init__(self, poses: Poses, config: FastCamerasConfig) -> None:
        self.poses, self.config = poses, config
        views, like = len(poses.quaternions), {"dtype": torch.float64, "device": poses.quaternions.device}
        self.gradient = torch.zeros(views, UNKNOWNS, **like)
        self.scatter = torch.zeros(views, UNKNOWNS, UNKNOWNS, **like)
        self.visits = torch.zeros(views, **like)
        self.units = torch.tensor([1.0] * 3 + [config.shift_scale] * 3, **like)
        self.trust = torch.ones(views, **like)
        self.rate_scale = 1.0

    @torch.no_grad()
    def step(self, view: Tensor, rays: Rays, progress: float) -> None:
        """Move the views (R,) of rays (R,), whose leaves hold the gradients of the mean loss.

        progress: share of the fit that is done.
        """
        config = self.config
        seen, gradient, scatter = self._moments(view, self._ray_gradients(rays, progress))
        self.visits[seen] += 1
        for running, new, memory in (
            (self.gradient, gradient, config.momentum),
            (self.scatter, scatter, config.memory),
        ):
            running[seen] = memory * running[seen] + (1 - memory) * new
        visits = self.visits[seen]
        gradient = self.gradient[seen] / (1 - config.momentum**visits)[:, None]
        scatter = self.scatter[seen] / (1 - config.memory**visits)[:, None, None]
        share = self.rate_scale * step_size(config, progress) * self.trust[seen, None]
        move = -share * _solved(scatter, gradient, damping(config, progress))
        move = _shortened(move * self.units, math.radians(config.largest_turn))
        self.poses.move(seen, move[:, :3], move[:, 3:])

    def settle(self, views: Tensor, trust: Tensor) -> None:
        """Forget what was learnt about poses (V,) bool that have been replaced, and move them by `trust` (V,) less."""
        for running in (self.gradient, self.scatter, self.visits):
            running[views] = 0
        self.trust[views] = trust[views].to(self.trust)

    def state(self) -> dict[str, Tensor]:
        scale = torch.tensor(self.rate_scale, dtype=torch.float64)
        return {**{name: getattr(self, name) for name in _RUNNING}, "rate_scale": scale}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        for name in _RUNNING:
            getattr(self, name).copy_(alike(tensors[name], getattr(self, name)))
        self.rate_scale = float(tensors["rate_scale"])

    def _ray_gradients(self, rays: Rays, progress: float) -> Tensor:
        """g (R, 6) of each ray's own loss, shortened to the leverage that a ray may have now.

        A ray whose colour changes within less than the error of its pose points anywhere: it may say where to go, but
        not outweigh those that change slowly (silhouettes, broad shading).
        """
        count = len(rays)
        origin_bar, direction_bar = (count * _gradient(leaf) for leaf in (rays.origins, rays.directions))
        turn = torch.linalg.cross(rays.directions.double(), direction_bar)
        gradient = torch.cat([turn, origin_bar], dim=1) * self.units
        most = leverage(self.config, progress)
        return gradient * (most / turn.norm(dim=1).clamp(min=most))[:, None]

    def _moments(self, view: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Views (B,) that have rays; mean of g (B, 6) and of g g^T (B, 6, 6) over each view's rays."""
        seen, where, counts = view.long().unique(return_inverse=True, return_counts=True)
        total = gradients.new_zeros(len(seen), UNKNOWNS).index_add_(0, where, gradients)
        squares = gradients[:, :, None] * gradients[:, None, :]
        scatter = gradients.new_zeros(len(seen), UNKNOWNS, UNKNOWNS).index_add_(0, where, squares)
        return seen, total / counts[:, None], scatter / counts[:, None, None]


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf).double() if leaf.grad is None else leaf.grad.double()


def step_size(config: FastCamerasConfig, progress: float) -> float:
    """Share of the Gauss-Newton step: rising while the colours form, constant, then a cosine to nearly nothing."""
    if progress < config.warmup:
        return config.step_size * progress / config.warmup
    fall = (progress - config.decay_start) / (1 - config.decay_start)
    return config.step_size * max(0.5 * (1 + math.cos(math.pi * min(max(fall, 0.0), 1.0))), config.decay_floor)


def damping(config: FastCamerasConfig, progress: float) -> float:
    """Levenberg's lambda, as a share of the mean curvature of the turns; falls geometrically."""
    return _geometric(config.damping, config.damping_end, progress / config.released)


def leverage(config: FastCamerasConfig, progress: float) -> float:
    """Length to which a ray's gradient is cut; rises geometrically."""
    return _geometric(config.leverage, config.leverage_end, progress / config.released)


def _geometric(start: float, end: float, share: float) -> float:
    return start * (end / start) ** min(share, 1.0)


def _solved(scatter: Tensor, gradient: Tensor, damping: float) -> Tensor:
    """(H + lambda mu I)^-1 G (B, 6), mu being the mean curvature of the turns."""
    curvature = torch.diagonal(scatter, dim1=1, dim2=2)[:, :3].mean(dim=1)
    ridge = (damping * curvature + 1e-9)[:, None, None] * torch.eye(UNKNOWNS).to(scatter)
    return torch.linalg.solve(scatter + ridge, gradient)


def _shortened(move: Tensor, most: float) -> Tensor:
    """Turns and shifts (B, 6) that turn by at most `most` and shift by at most twice that.

    Both by one factor: apart they would leave the direction in which turn and shift cancel in the photo.
    """
    share = torch.maximum(move[:, :3].norm(dim=1), move[:, 3:].norm(dim=1) / 2) / most
    return move / share.clamp(min=1)[:, None]

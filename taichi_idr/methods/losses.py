"""The terms of the loss (LOSS-1 to LOSS-3), finite for empty sets; and how sharp the mask's is (LOSS-5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import LossConfig


def alpha_at(loss: LossConfig, doublings: int) -> float:
    """LOSS-5: the sharpness of the mask's logistic after so many doublings; when it doubles is the schedule's."""
    return loss.alpha * 2**doublings


def colour_loss(predicted: Tensor, observed: Tensor, rays: int) -> Tensor:
    """LOSS-1: sum |I - L| over surface pixels and channels, both (N, 3) in [-1, 1], per ray of the whole batch."""
    return (predicted - observed).abs().sum() / rays


def mask_loss(sdf: Tensor, is_object: Tensor, alpha: float, rays: int, object_weight: float = 1.0) -> Tensor:
    """LOSS-2: cross-entropy of the silhouette, f (N,) at the rays' least points, is_object (N,) bool.

    object_weight: how much more than background an object pixel counts.
    """
    weight = sdf.new_tensor(object_weight)
    logits, target = -alpha * sdf, is_object.to(sdf.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="sum")
    return entropy / (alpha * rays)


def eikonal_loss(gradient: Tensor) -> Tensor:
    """LOSS-3: mean (|grad f| - 1)^2 over gradients (N, 3); the root is kept away from zero, where it has no slope."""
    norm = torch.sqrt((gradient * gradient).sum(dim=1) + 1e-12)
    return ((norm - 1) ** 2).sum() / max(len(norm), 1)


def smoothness_loss(normals: Tensor, neighbours: Tensor) -> Tensor:
    """Mean distance of normals (N, 3) at surface points from those close by, both made unit: no square, for creases."""
    difference = F.normalize(normals, dim=1) - F.normalize(neighbours, dim=1)
    return torch.sqrt((difference * difference).sum(dim=1) + 1e-6).sum() / max(len(normals), 1)

"""Twin of ops/compositing.py: the products written out, differentiated by torch."""

from __future__ import annotations

import torch
from torch import Tensor


def weights(alpha: Tensor) -> Tensor:
    """w_i = a_i times the product of 1 - a_j over j < i, (R, S) at alpha (R, S)."""
    before = torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha[:, :-1]], dim=1)
    return alpha * torch.cumprod(before, dim=1)

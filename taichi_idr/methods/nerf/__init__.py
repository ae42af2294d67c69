"""Preset `nerf`: radiance fields, the published baseline (Mildenhall et al., ECCV 2020).

It owns its settings, networks, samples, model and trainer; it stands on the weights of samples and epochs of photos. It
never knows another method, and never trains cameras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Method
from .settings import NerfConfig

if TYPE_CHECKING:
    import torch

    from ...types import Capture
    from .model import NerfModel
    from .trainer import NerfTrainer


def _model(config: NerfConfig, device: torch.device) -> NerfModel:
    from .model import NerfModel

    return NerfModel(config, device)


def _trainer(config: NerfConfig, capture: Capture, device: torch.device) -> NerfTrainer:
    from .trainer import NerfTrainer

    return NerfTrainer(config, capture, device)


METHOD = Method(
    name="nerf",
    settings=NerfConfig,
    presets={"nerf": NerfConfig()},
    needs=frozenset(),
    model=_model,
    trainer=_trainer,
    terms=("coarse", "fine"),
    trains_cameras=False,
)

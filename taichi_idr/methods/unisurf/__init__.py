"""Preset `unisurf`: surfaces from photos without masks, the published system (Oechsle et al., ICCV 2021).

It owns its settings, samples, model and trainer; it stands on fields, sampled surfaces, the weights of samples and
epochs of photos. It never knows another method, never trains cameras, and looks at no mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Method
from .settings import UnisurfConfig

if TYPE_CHECKING:
    import torch

    from ...types import Capture
    from .model import UnisurfModel
    from .trainer import UnisurfTrainer


def _model(config: UnisurfConfig, device: torch.device) -> UnisurfModel:
    from .model import UnisurfModel

    return UnisurfModel(config, device)


def _trainer(config: UnisurfConfig, capture: Capture, device: torch.device) -> UnisurfTrainer:
    from .trainer import UnisurfTrainer

    return UnisurfTrainer(config, capture, device)


METHOD = Method(
    name="unisurf",
    settings=UnisurfConfig,
    presets={"unisurf": UnisurfConfig()},
    needs=frozenset(),
    model=_model,
    trainer=_trainer,
    terms=("colour", "smooth"),
    trains_cameras=False,
)

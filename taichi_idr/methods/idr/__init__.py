"""Preset `idr`: the published system, network by network and constant by constant (docs/idr.md).

It owns its settings, model, batches, trainer and the names of released checkpoints; it stands on fields, the exact
tracer and poses. It never knows another method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Method, Need
from .settings import IdrConfig

if TYPE_CHECKING:
    import torch

    from ...types import Capture
    from .model import IdrModel
    from .trainer import IdrTrainer


def _model(config: IdrConfig, device: torch.device) -> IdrModel:
    from .model import IdrModel

    return IdrModel(config, device)


def _trainer(config: IdrConfig, capture: Capture, device: torch.device) -> IdrTrainer:
    from .trainer import IdrTrainer

    return IdrTrainer(config, capture, device)


METHOD = Method(
    name="idr",
    settings=IdrConfig,
    presets={"idr": IdrConfig()},
    needs=frozenset({Need.MASKS}),
    model=_model,
    trainer=_trainer,
    terms=("colour", "mask", "eikonal"),
)

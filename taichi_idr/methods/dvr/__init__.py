"""Preset `dvr`: differentiable volumetric rendering, the published system (Niemeyer et al., CVPR 2020).

It owns its settings, network, cube, losses and trainer; it stands on the bridge of Lemma 1, secant kernels
and epochs of photos. It never knows another method, and never trains cameras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Method, Need
from .settings import DvrConfig

if TYPE_CHECKING:
    import torch

    from ...types import Capture, DepthSource
    from .model import DvrModel
    from .trainer import DvrTrainer


def _model(config: DvrConfig, device: torch.device) -> DvrModel:
    from .model import DvrModel

    return DvrModel(config, device)


def _trainer(config: DvrConfig, capture: Capture, device: torch.device) -> DvrTrainer:
    from .trainer import DvrTrainer

    return DvrTrainer(config, capture, device)


def _depth(config: DvrConfig) -> DepthSource:
    return config.depth.source if config.loss.depth_weight else "off"


METHOD = Method(
    name="dvr",
    settings=DvrConfig,
    presets={"dvr": DvrConfig()},
    needs=frozenset({Need.MASKS}),
    model=_model,
    trainer=_trainer,
    terms=("colour", "free", "occupied", "smooth", "depth"),
    depth=_depth,
    trains_cameras=False,
)

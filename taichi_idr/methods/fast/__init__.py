"""Presets `fast`, `quality` and `maskless`: IDR's loss and derivative on a hash grid, traced by way of a lattice.

It owns its settings, model, batches, schedules, optimisers and the terms of its loss; it stands on fields, tracing and
poses. It never knows another method.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..method import Method, Need
from .settings import FAST, MASKLESS, QUALITY, FastConfig

if TYPE_CHECKING:
    import torch

    from ...types import Capture, DepthSource
    from .model import FastModel
    from .trainer import FastTrainer


def _model(config: FastConfig, device: torch.device) -> FastModel:
    from .model import FastModel

    return FastModel(config, device)


def _trainer(config: FastConfig, capture: Capture, device: torch.device) -> FastTrainer:
    from .trainer import FastTrainer

    return FastTrainer(config, capture, device)


def _pixel_bytes(config: FastConfig) -> int:
    """Photo consistency keeps a shade of 16 bits."""
    return 2 if config.consistency.weight else 0


def _depth(config: FastConfig) -> DepthSource:
    """Poses that are to be trained are not known well enough for depth to count."""
    return "off" if config.cameras.train else config.depth.source


METHOD = Method(
    name="fast",
    settings=FastConfig,
    presets={"fast": FAST, "quality": QUALITY},
    needs=frozenset({Need.MASKS}),
    model=_model,
    trainer=_trainer,
    terms=("colour", "mask", "eikonal", "smooth", "stereo", "unseen", "hollow", "adrift", "consistency"),
    pixel_bytes=_pixel_bytes,
    depth=_depth,
    before={"colours": {"levels": 0}},
)
MASKLESS_METHOD = replace(METHOD, name="maskless", presets={"maskless": MASKLESS}, cuts_masks=True)

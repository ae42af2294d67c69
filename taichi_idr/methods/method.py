"""What the rest of the program knows of a method: a record, which stands in the `__init__` of the method's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..config import FitConfig
from ..types import DepthSource

if TYPE_CHECKING:  # settings are read before torch is
    import torch

    from ..fields.model import Model
    from .trainer import Trainer


class Need(Enum):
    """What a method asks of its input, before a run folder is made."""

    MASKS = "masks"


@dataclass(frozen=True)
class Method:
    """A way from photos to a surface.

    settings: the class of all presets; presets: by name, none of them another method's. needs: of the capture.
    trains_cameras: whether `--cameras train` is for it. cuts_masks: whether silhouettes are cut of the photos before it
    begins, whatever masks the capture has.
    before: by group, settings as runs have them that are older than these, where that is not as by default.
    model: the untrained model on a device; trainer: of a capture, on a device. Both import their work when called.
    pixel_bytes: what a fit with these settings keeps of each pixel, beside colour and mask.
    depth: what is to be read of known depth, with these settings.
    terms: names of the terms of the loss, as a trainer's reports and metrics.jsonl have them.
    """

    name: str
    settings: type[FitConfig]
    presets: Mapping[str, FitConfig]
    needs: frozenset[Need]
    model: Callable[[Any, torch.device], Model]
    trainer: Callable[[Any, Any, torch.device], Trainer]
    terms: tuple[str, ...] = ()
    pixel_bytes: Callable[[Any], int] = lambda _: 0
    depth: Callable[[Any], DepthSource] = lambda _: "off"
    trains_cameras: bool = True
    cuts_masks: bool = False
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

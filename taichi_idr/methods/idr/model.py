"""The field that preset `idr` learns."""

from __future__ import annotations

import torch

from ...fields.mlp_model import MlpFieldModel
from ...tracing.exact import trace
from ...types import Hits, Rays
from .settings import IdrConfig

PREVIEW_EFFORT = {"samples": 25, "far_front": "stragglers"}


class IdrModel(MlpFieldModel):
    """Deep networks with weight norm, and the exact tracer."""

    config: IdrConfig

    def __init__(self, config: IdrConfig, device: torch.device, generator: torch.Generator | None = None) -> None:
        super().__init__(config, config.geometry, config.radiance, device, generator)
        self.screened = self.dtype == torch.float32  # in double precision every sample is asked

    @property
    def radius(self) -> float:
        return self.config.tracer.radius

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """First surface points; for previews with fewer questions to the network."""
        tracer = self.config.tracer
        tracer = tracer.model_copy(update=PREVIEW_EFFORT) if preview else tracer
        return trace(rays, self.surface, tracer, screened=self.screened)

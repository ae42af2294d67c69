"""The field that preset `idr` learns."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import runtime
from ...errors import BadInput
from ...fields.mlp_geometry import MlpGeometry
from ...fields.model import NO_PAIR, FieldModel, Model
from ...fields.radiance import Radiance
from ...fields.sample import CHUNK
from ...tracing.exact import trace
from ...types import Hits, Rays, Sdf
from .settings import IdrConfig

CPU_CHUNK = 2048  # points: a wide network's layer still fits the cache (measured: larger is up to 40 % slower)
PREVIEW_EFFORT = {"samples": 25, "far_front": "stragglers"}


class IdrModel(FieldModel):
    """Deep networks with weight norm, and the exact tracer."""

    config: IdrConfig
    geometry: MlpGeometry

    def __init__(self, config: IdrConfig, device: torch.device, generator: torch.Generator | None = None) -> None:
        """In the precision of the running backend."""
        super().__init__()
        generator = generator or torch.Generator().manual_seed(config.seed)
        dtype = runtime.current().dtype
        self.config = config
        self.chunk = CPU_CHUNK if device.type == "cpu" else CHUNK
        self.geometry = MlpGeometry(config.geometry, device, generator, dtype)
        features, norm = config.geometry.features, {"weight_norm": True, "dtype": dtype}
        self.radiance = Radiance(config.radiance, features, device, generator, **norm)
        self.screened = dtype == torch.float32  # in double precision every sample is asked
        self._frozen: Sdf | None = None

    @property
    def radius(self) -> float:
        return self.config.tracer.radius

    @torch.no_grad()
    def surface(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) of the normalised frame; weights are normed once per change of the field."""
        self._frozen = self._frozen or self.geometry.frozen()
        return torch.cat([self._frozen(part) for part in points.split(self.chunk)])

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """First surface points; for previews with fewer questions to the network."""
        tracer = self.config.tracer
        tracer = tracer.model_copy(update=PREVIEW_EFFORT) if preview else tracer
        return trace(rays, self.surface, tracer, screened=self.screened)

    def wearing(self, look: Model) -> Model:
        """z is this surface's own, as released: the renderer must take as many features."""
        if isinstance(look, IdrModel):
            own, other = self.config.geometry.features, look.config.geometry.features
            if own != other:
                why = f"geometry.features is {own} in one and {other} in the other"
                raise BadInput(NO_PAIR, why=why, todo="fit both with the same")
        return super().wearing(look)

    def field_changed(self) -> None:
        self._frozen = None

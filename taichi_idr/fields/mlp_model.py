"""A deep geometry network and the renderer beside it, both with weight norm: what IDR and UNISURF learn."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from .. import runtime
from ..config import FitConfig, MlpGeometryConfig, RadianceConfig
from ..errors import BadInput
from ..types import Hits, Rays, Sdf
from .mlp_geometry import MlpGeometry
from .model import NO_PAIR, FieldModel, Model
from .radiance import Radiance
from .sample import CHUNK

CPU_CHUNK = 2048  # points: a wide network's layer still fits the cache (measured: larger is up to 40 % slower)


class MlpFieldModel(FieldModel):
    """Networks of NET-1 to NET-9, in the precision of the running backend."""

    geometry: MlpGeometry

    def __init__(
        self,
        config: FitConfig,
        geometry: MlpGeometryConfig,
        radiance: RadianceConfig,
        device: torch.device,
        generator: torch.Generator | None = None,
    ) -> None:
        """geometry, radiance: groups of `config`. generator: of the initial weights, by default from its seed."""
        super().__init__()
        generator = generator or torch.Generator().manual_seed(config.seed)
        dtype = runtime.current().dtype
        self.config = config
        self.chunk = CPU_CHUNK if device.type == "cpu" else CHUNK
        self.geometry = MlpGeometry(geometry, device, generator, dtype)
        self.radiance = Radiance(radiance, geometry.features, device, generator, weight_norm=True, dtype=dtype)
        self._frozen: Sdf | None = None

    @torch.no_grad()
    def surface(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) of the normalised frame; weights are normed once per change of the field."""
        self._frozen = self._frozen or self.geometry.frozen()
        return torch.cat([self._frozen(part) for part in points.split(self.chunk)])

    def wearing(self, look: Model) -> Model:
        """z is this surface's own, as released: the renderer must take as many features."""
        if type(look) is not type(self):
            why = f"presets {self.config.preset} and {look.config.preset}: their renderers see different things"
            raise BadInput(NO_PAIR, why=why, todo="fit both with one preset, or use --renderer material")
        other = cast(MlpFieldModel, look)
        features = self.geometry.config.features, other.geometry.config.features
        if features[0] != features[1]:
            why = f"geometry.features is {features[0]} in one and {features[1]} in the other"
            raise BadInput(NO_PAIR, why=why, todo="fit both with the same, or use --renderer material")
        return SwappedModel(self, other)

    def field_changed(self) -> None:
        self._frozen = None


class SwappedModel(FieldModel):
    """Everything but the colours is one model's: the other's renderer is given what the surface's own geometry says.

    A renderer sees a point, its normal, a direction and z, nothing of the surface as a whole.
    """

    def __init__(self, shape: MlpFieldModel, colours: MlpFieldModel) -> None:
        super().__init__()
        self.config, self.chunk = shape.config, shape.chunk
        self.shape, self.geometry, self.radiance = shape, shape.geometry, colours.radiance

    @property
    def radius(self) -> float:
        return self.shape.radius

    def surface(self, points: Tensor) -> Tensor:
        return self.shape.surface(points)

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        return self.shape.trace(rays, preview=preview)

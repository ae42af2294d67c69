"""The field that presets `fast` and `quality` learn, and the lattices that propose where its surface is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...config import ProxyConfig
from ...fields.frozen import FrozenHashField, frozen
from ...fields.hash_geometry import HashGeometry
from ...fields.model import FieldModel
from ...fields.radiance import Radiance
from ...state import alike
from ...tracing.lattice import ProxyLattice, interpolate
from ...tracing.proxy import trace_proxy
from ...types import Hits, Rays
from .colours import TabledRadiance
from .inside import enclosed
from .settings import FastConfig

HULL_MARGIN = 2.0  # cells of the hull's lattice by which its stairs and smoothing may err
NO_HULL = -10.0  # a distance that bounds nothing
VIEWING_RESOLUTION = 256  # lattice for pictures and measurements: twice as fine as in training
VIEWING_BAND = 3.0  # cells of the training lattice that are sampled anew on the finer one
VIEWING_EFFORT = {"widening": 0.5, "rounds": 6, "samples": 16, "polish_iterations": 16, "margin": 0.5}


class FastModel(FieldModel):
    """Hash grid, small networks, and the lattice that proposes where the surface is."""

    config: FastConfig
    geometry: HashGeometry

    def __init__(self, config: FastConfig, device: torch.device, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.hull: Tensor
        generator = generator or torch.Generator().manual_seed(config.seed)
        self.config = config
        self.geometry = HashGeometry(config.geometry, device, generator)
        z_and_encoding = config.geometry.features + self.geometry.encoding_width
        inputs = z_and_encoding, device, generator
        self.radiance = (
            TabledRadiance(config.radiance, config.colours, *inputs)
            if config.colours.levels
            else Radiance(config.radiance, *inputs)
        )
        self.lattice = ProxyLattice(config.proxy.resolution, device)
        hull = torch.full((config.schedule.hull_resolution,) * 3, NO_HULL, device=device)
        self.register_buffer("hull", hull)
        self._viewing: ProxyLattice | None = None
        self._possible: Tensor | None = None
        self._inside: tuple[Tensor, Tensor] | None = None

    @property
    def radius(self) -> float:
        return self.config.tracer.radius

    @torch.no_grad()
    def surface(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) of the normalised frame; at least the distance from the grown visual hull.

        No photo can show a surface outside the hull: a speck that the network leaves there is not part of the object.
        """
        return self.frozen()(points)

    def frozen(self) -> FrozenHashField:
        """`surface` for kernels, of the parameters as they are now."""
        return frozen(self.geometry, self.hull, self.hull_margin)

    @property
    def hull_margin(self) -> float:
        """How far outside of the visual hull a surface may be."""
        return HULL_MARGIN * 2 / (len(self.hull) - 1)

    def bound_by_hull(self, distance: Tensor) -> None:
        """Signed distance (H, H, H) from the visual hull, H = schedule.hull_resolution.

        The lattice follows at once: where the hull lost a part, no sweep would sample it anew.
        """
        self.hull.copy_(distance)
        self._possible = None
        self.lattice.values.clamp_(min=self._least_distance())
        self.lattice_changed()
        self.field_changed()

    def possible(self) -> Tensor:
        """Lattice points (M, M, M) bool in whose cells a surface can be: in the grown visual hull, or next to it."""
        if self._possible is None:
            self._possible = self._least_distance() < 2 * self.lattice.cell
        return self._possible

    def inside(self) -> tuple[Tensor, Tensor]:
        """Points (N, 3) of the training lattice deep below the surface, and those (H, 3) of them where f denies it."""
        if self._inside is None:
            deep = enclosed(self.lattice.values)
            hollow = deep & (self.lattice.values > -self.lattice.cell)
            self._inside = deep.nonzero() * self.lattice.cell - 1, hollow.nonzero() * self.lattice.cell - 1
        return self._inside

    def lattice_changed(self) -> None:
        """The training lattice has other values."""
        self._inside = None

    def _least_distance(self) -> Tensor:
        """What the hull bounds f by at the lattice's points (M, M, M)."""
        return (interpolate(self.hull, self.lattice.places()) - self.hull_margin).view_as(self.lattice.values)

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """First surface points; for previews on the coarser training lattice."""
        tracer, proxy = self.config.tracer, self.config.proxy
        if preview:
            return trace_proxy(rays, self.frozen(), self.lattice, proxy, tracer)
        return trace_proxy(rays, self.frozen(), self.viewing_lattice(), self.thorough_proxy(), tracer)

    def trace_training(self, rays: Rays, object_mask: Tensor, enough: float = math.inf) -> Hits:
        """First surface points, and the mask loss's points on the training lattice.

        An object pixel's search for the latter ends at a value below -enough.
        """
        config, mask = self.config, {"object_mask": object_mask, "enough": enough}
        return trace_proxy(rays, self.frozen(), self.lattice, config.proxy, config.tracer, **mask)

    def thorough_proxy(self) -> ProxyConfig:
        """The proxy's settings for pictures and measurements, where no ray may be given up."""
        return self.config.proxy.model_copy(update=VIEWING_EFFORT)

    def viewing_lattice(self) -> ProxyLattice:
        """The lattice for pictures, sampled when first asked for after a change of the field."""
        if self._viewing is None:
            coarse = ProxyLattice(self.config.proxy.resolution, self.device)
            coarse.refresh(self.surface)
            self._viewing = coarse.refined(self.surface, VIEWING_RESOLUTION, VIEWING_BAND)
        return self._viewing

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Parameters (`model.*`) and training lattice (`lattice`) of a checkpoint."""
        super().load_tensors(tensors)
        self._possible = None
        self.lattice.values.copy_(alike(tensors["lattice"], self.lattice.values))
        self.lattice_changed()

    def field_changed(self) -> None:
        self._viewing = None

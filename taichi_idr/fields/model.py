"""What pictures, meshes and measurements ask of a fitted object, whatever method fitted it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..config import FitConfig
from ..errors import BadInput, UsageError
from ..state import alike, unprefixed
from ..types import Hits, Rays
from .hash_geometry import HashGeometry
from .mlp_geometry import MlpGeometry
from .radiance import Radiance
from .sample import CHUNK, GeometrySample

NO_PAIR = "runs do not fit each other"


@dataclass(frozen=True)
class Look:
    """What R rays see. colour (R, 3) in [0, 1], white where missed; normal (R, 3) unit, normalised frame, 0 where
    missed; depth (R,) along the unit ray, normalised units, inf where missed; hit (R,) bool."""

    colour: Tensor
    normal: Tensor
    depth: Tensor
    hit: Tensor


class Looks(Protocol):
    """What can be looked at: all that a picture asks for."""

    chunk: int

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def look(self, rays: Rays, *, preview: bool = False) -> Look: ...


class Model(nn.Module, ABC):
    """A surface and its colours, in the normalised frame. Answers keep no graph and are worked out in chunks."""

    config: FitConfig
    chunk = CHUNK  # points asked at once
    is_distance = True  # whether f, away from the surface, tells nearly how far it is

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    @abstractmethod
    def radius(self) -> float:
        """Of the sphere around the origin outside of which nothing is."""

    @abstractmethod
    def surface(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3): zero on the surface, negative inside, as steep as a distance, nearly."""

    @abstractmethod
    def gradient(self, points: Tensor) -> Tensor:
        """grad f (N, 3), not normalised."""

    @abstractmethod
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        """Colours (N, 3) in [0, 1] of surface points seen along unit ray directions (N, 3)."""

    @abstractmethod
    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """First surface points; those of previews may be rougher."""

    def shade(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """`colour` and `gradient` of surface points (N, 3), from one question to the field where that is cheaper."""
        return self.colour(points, directions), self.gradient(points)

    @torch.no_grad()
    def look(self, rays: Rays, *, preview: bool = False) -> Look:
        """What rays (R,) see: they are traced, and what they hit is shaded."""
        hits = self.trace(rays, preview=preview)
        hit, count = hits.hit, len(rays)
        shaded, gradient = self.shade(rays.at(hits.depth)[hit], rays.directions[hit])
        colour, normal = rays.origins.new_ones(count, 3), rays.origins.new_zeros(count, 3)
        colour[hit], normal[hit] = shaded.clamp(0, 1), normalize(gradient, dim=1)
        return Look(colour, normal, hits.depth.masked_fill(~hit, torch.inf), hit)

    def wearing(self, look: Model) -> Model:
        """This surface in the colours of another model (section 9). Raises BadInput where that cannot be, says why."""
        why = f"the renderer of preset {look.config.preset} knows places of its object, or there is none"
        raise BadInput(NO_PAIR, why=why, todo="use --renderer material")

    def at_level(self, level: float) -> Model:
        """This model with its surface where the density is `level`, in 1 / normalised unit. Raises UsageError where it
        has none."""
        why = f"preset {self.config.preset} learns a surface, not a density"
        raise UsageError("no level to choose", where=f"--level {level:g}", why=why, todo="leave it out")

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Parameters (`model.*`) of a checkpoint. Raises RuntimeError, ValueError where they are another model's."""
        found, own = unprefixed("model", tensors), self.state_dict()
        self.load_state_dict({name: alike(value, own.get(name, value)) for name, value in found.items()})
        self.field_changed()

    def field_changed(self) -> None:
        """Forget what was derived from an older field."""


class FieldModel(Model):
    """A geometry network and a renderer that is given what the geometry says at a surface point."""

    geometry: HashGeometry | MlpGeometry
    radiance: Radiance

    @torch.no_grad()
    def surface(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3): a signed distance."""
        return torch.cat([self.geometry.sdf(part) for part in points.split(self.chunk)])

    @torch.no_grad()
    def gradient(self, points: Tensor) -> Tensor:
        return torch.cat([self.geometry.sample(part).gradient for part in points.split(self.chunk)])

    @torch.no_grad()
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        return self.shade(points, directions)[0]

    @torch.no_grad()
    def shade(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        parts = []
        for place, direction in zip(points.split(self.chunk), directions.split(self.chunk), strict=True):
            sample = self.sample(place)
            parts.append(((self.radiance(place, direction, sample) + 1) / 2, sample.gradient))
        return torch.cat([colour for colour, _ in parts]), torch.cat([gradient for _, gradient in parts])

    def sample(self, points: Tensor) -> GeometrySample:
        """What the renderer is given at surface points (N, 3)."""
        return self.geometry.sample(points)

"""The field that preset `nerf` learns, what rays see of it, and its level sets."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ... import runtime
from ...errors import UsageError
from ...fields.model import Look, Model
from ...ops.compositing import weights
from ...ops.sphere_bounds import sphere_bounds
from ...tracing.sampled import Ends
from ...tracing.volume import points_on, stratified
from ...types import Hits, HitStatus, Rays
from .network import RadianceNetwork
from .samples import refined
from .settings import NerfConfig

CPU_CHUNK = 8192  # points: of fewer a look's parts are some rays each, whose bookkeeping outweighs the networks
OPAQUE = 0.5  # of the light, stopped: there is something


@dataclass(frozen=True)
class VolumeLook:
    """What R rays add up of S samples. colour (R, 3) in [0, 1]; share (R, S): weights of the samples; depths (R, S)."""

    colour: Tensor
    share: Tensor
    depths: Tensor


class NerfModel(Model):
    """Density and colour. The object is what lies within the sphere of radius 1; f = 1 - density / level.

    far: radius of the sphere in which rays see anything, the object's where photos have masks. level: density on the
    surface of meshes.
    """

    config: NerfConfig
    is_distance = False

    def __init__(self, config: NerfConfig, device: torch.device, generator: torch.Generator | None = None) -> None:
        """In the precision of the running backend."""
        super().__init__()
        generator = generator or torch.Generator().manual_seed(config.seed)
        dtype = runtime.current().dtype
        self.config, self.level = config, config.volume.level
        self.chunk = CPU_CHUNK if device.type == "cpu" else Model.chunk
        self.coarse = RadianceNetwork(config.network, device, generator, dtype)
        self.fine = RadianceNetwork(config.network, device, generator, dtype)
        self.register_buffer("far", torch.tensor(config.volume.far, device=device, dtype=dtype))

    @property
    def radius(self) -> float:
        return self.config.volume.radius

    def at_level(self, level: float) -> NerfModel:
        if not level > 0:
            raise UsageError("bad level", where=f"--level {level:g}", why="expected a density above 0")
        other = copy.copy(self)
        other.level = level
        return other

    @torch.no_grad()
    def surface(self, points: Tensor) -> Tensor:
        return torch.cat([1 - self.fine.density_at(part) / self.level for part in points.split(self.chunk)])

    @torch.no_grad()
    def gradient(self, points: Tensor) -> Tensor:
        return torch.cat([self._gradient(part) for part in points.split(self.chunk)])

    @torch.no_grad()
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        pairs = zip(points.split(self.chunk), directions.split(self.chunk), strict=True)
        return torch.cat([self.fine(*pair)[1] for pair in pairs])

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """Where half of the light is stopped, if that is on the object."""
        look = self.look(rays, preview=preview)
        depth = look.depth.nan_to_num(posinf=0.0)
        return Hits(depth, depth, torch.where(look.hit, int(HitStatus.BRACKETED), int(HitStatus.MISSED)).int())

    def volume_looks(self, rays: Rays, place: Tensor, more: Tensor) -> tuple[VolumeLook, VolumeLook]:
        """What the coarse network shows of rays (R,) and what the fine one does, attached to both (NERF-1, NERF-2).

        place (R, C): of the coarse samples in their parts, as `stratified` has it. more (R, F) in [0, 1), rising or
        random: of the fine samples among what the coarse ones saw.
        """
        ends = sphere_bounds(rays.origins, rays.directions, float(cast(Tensor, self.far)))
        coarse = self._volume_look(self.coarse, rays, ends, stratified(ends[0], ends[1], place))
        return coarse, self._volume_look(self.fine, rays, ends, refined(coarse.depths, coarse.share, more))

    def _volume_look(self, network: RadianceNetwork, rays: Rays, ends: Ends, depths: Tensor) -> VolumeLook:
        density, colour = network(*points_on(rays, depths))
        steps = torch.cat([depths[:, 1:], ends[1][:, None]], dim=1) - depths
        share = weights((1 - torch.exp(-density.view_as(depths) * steps)) * ends[2][:, None])
        shown = (share[:, :, None] * colour.view(*depths.shape, 3)).sum(dim=1)
        through = (1 - share.sum(dim=1, keepdim=True)) * (self.config.volume.background == "white")
        return VolumeLook(shown + through, share, depths)

    @torch.no_grad()
    def look(self, rays: Rays, *, preview: bool = False) -> Look:
        """Colours add up along rays; depth is where half of the light is stopped, and normals are those of the density
        there."""
        volume = self.config.volume
        counts = [max(count // 2, 3) if preview else count for count in (volume.coarse, volume.fine)]
        index = torch.arange(len(rays), device=rays.origins.device)
        parts = [self._look(rays[part], *counts) for part in index.split(max(self.chunk // sum(counts), 1))]
        return Look(*(torch.cat(column) for column in zip(*(vars(part).values() for part in parts), strict=True)))

    def _look(self, rays: Rays, coarse: int, fine: int) -> Look:
        place = rays.origins.new_full((len(rays), coarse), 0.5)
        more = (torch.arange(fine, device=place.device, dtype=place.dtype) + 0.5) / fine
        _, seen = self.volume_looks(rays, place, more.expand(len(rays), fine))
        stopped = seen.share.cumsum(dim=1) > OPAQUE
        depth = seen.depths.gather(1, stopped.int().argmax(dim=1, keepdim=True))[:, 0]
        hit = stopped[:, -1] & (rays.at(depth).norm(dim=1) <= self.radius)
        normal = torch.zeros_like(rays.origins)
        normal[hit] = normalize(self.gradient(rays.at(depth)[hit]), dim=1)
        return Look(seen.colour.clamp(0, 1), normal, depth.masked_fill(~hit, torch.inf), hit)

    def _gradient(self, points: Tensor) -> Tensor:
        with torch.enable_grad():
            place = points.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.fine.density_at(place).sum(), place)
        return -slope / self.level

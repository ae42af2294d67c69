"""What a fit learns, in one object: geometry, renderer, and the lattice that proposes where the surface is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import runtime
from ..config import FastConfig, FitConfig, IdrConfig, ProxyConfig
from ..errors import BadInput, warn
from ..runs.checkpoint import load_newest, unprefixed
from ..runs.folder import open_run
from ..tracing.exact import trace
from ..tracing.proxy import CHUNK, ProxyLattice, interpolate, trace_proxy
from ..types import Cameras, Hits, Rays, Sdf
from .frozen import FrozenHashField, frozen
from .hash_geometry import GeometrySample, HashGeometry
from .mlp_geometry import MlpGeometry
from .radiance import Radiance

HULL_MARGIN = 2.0  # cells of the hull's lattice by which its stairs and smoothing may err
NO_HULL = -10.0  # a distance that bounds nothing
VIEWING_RESOLUTION = 256  # lattice for pictures and measurements: twice as fine as in training
VIEWING_BAND = 3.0  # cells of the training lattice that are sampled anew on the finer one
CPU_CHUNK = 2048  # points: a wide network's layer still fits the cache (measured: larger is up to 40 % slower)
PREVIEW_EFFORT = {"samples": 25, "far_front": "stragglers"}
VIEWING_EFFORT = {"widening": 0.5, "rounds": 6, "samples": 16, "polish_iterations": 16, "margin": 0.5}


class Model(nn.Module, ABC):
    """SDF and renderer; what pictures, meshes and measurements ask of them keeps no graph and works in chunks."""

    config: FitConfig
    geometry: HashGeometry | MlpGeometry
    radiance: Radiance
    chunk = CHUNK  # points asked at once

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @torch.no_grad()
    def sdf(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) of the normalised frame."""
        return torch.cat([self.geometry.sdf(part) for part in points.split(self.chunk)])

    @torch.no_grad()
    def gradient(self, points: Tensor) -> Tensor:
        """grad f (N, 3), not normalised."""
        return torch.cat([self.geometry.sample(part).gradient for part in points.split(self.chunk)])

    @torch.no_grad()
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        """Colours (N, 3) in [0, 1] of surface points seen along unit ray directions (N, 3)."""
        return self.shade(points, directions)[0]

    @torch.no_grad()
    def shade(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Colours (N, 3) in [0, 1] and grad f (N, 3) at surface points (N, 3)."""
        parts = []
        for place, direction in zip(points.split(self.chunk), directions.split(self.chunk), strict=True):
            sample = self.surface(place)
            parts.append(((self.radiance(place, direction, sample) + 1) / 2, sample.gradient))
        return torch.cat([colour for colour, _ in parts]), torch.cat([gradient for _, gradient in parts])

    def surface(self, points: Tensor) -> GeometrySample:
        """What the renderer is given at surface points (N, 3)."""
        return self.geometry.sample(points)

    @abstractmethod
    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """First surface points; those of previews may be rougher."""

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Parameters (`model.*`) of a checkpoint."""
        self.load_state_dict(unprefixed("model", tensors))
        self.field_changed()

    def field_changed(self) -> None:
        """Forget what was derived from an older field."""


class FastModel(Model):
    """Preset `fast`: hash grid, small networks, and the lattice that proposes where the surface is."""

    config: FastConfig
    geometry: HashGeometry

    def __init__(self, config: FastConfig, device: torch.device, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.hull: Tensor
        generator = generator or torch.Generator().manual_seed(config.seed)
        self.config = config
        self.geometry = HashGeometry(config.geometry, device, generator)
        z_and_encoding = config.geometry.features + self.geometry.encoding_width
        self.radiance = Radiance(config.radiance, z_and_encoding, device, generator)
        self.lattice = ProxyLattice(config.proxy.resolution, device)
        hull = torch.full((config.schedule.hull_resolution,) * 3, NO_HULL, device=device)
        self.register_buffer("hull", hull)
        self._viewing: ProxyLattice | None = None
        self._possible: Tensor | None = None

    @torch.no_grad()
    def sdf(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) of the normalised frame; at least the distance from the grown visual hull.

        No photo can show a surface outside the hull: a speck that the network leaves there is not part of the object.
        """
        return self.frozen()(points)

    def frozen(self) -> FrozenHashField:
        """`sdf` for kernels, of the parameters as they are now."""
        return frozen(self.geometry, self.hull, self._hull_margin)

    @property
    def _hull_margin(self) -> float:
        return HULL_MARGIN * 2 / (len(self.hull) - 1)

    def bound_by_hull(self, distance: Tensor) -> None:
        """Signed distance (H, H, H) from the visual hull, H = schedule.hull_resolution.

        The lattice follows at once: where the hull lost a part, no sweep would sample it anew.
        """
        self.hull.copy_(distance)
        self._possible = None
        self.lattice.values.clamp_(min=self._least_distance())
        self.field_changed()

    def possible(self) -> Tensor:
        """Lattice points (M, M, M) bool in whose cells a surface can be: in the grown visual hull, or next to it."""
        if self._possible is None:
            self._possible = self._least_distance() < 2 * self.lattice.cell
        return self._possible

    def _least_distance(self) -> Tensor:
        """What the hull bounds f by at the lattice's points (M, M, M)."""
        return (interpolate(self.hull, self.lattice.places()) - self._hull_margin).view_as(self.lattice.values)

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
            coarse.refresh(self.sdf)
            self._viewing = coarse.refined(self.sdf, VIEWING_RESOLUTION, VIEWING_BAND)
        return self._viewing

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Parameters (`model.*`) and training lattice (`lattice`) of a checkpoint."""
        super().load_tensors(tensors)
        self._possible = None
        self.lattice.values.copy_(tensors["lattice"])

    def field_changed(self) -> None:
        self._viewing = None


class IdrModel(Model):
    """Preset `idr`: deep networks with weight norm, and the exact tracer."""

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

    @torch.no_grad()
    def sdf(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) of the normalised frame; weights are normed once per change of the field."""
        self._frozen = self._frozen or self.geometry.frozen()
        return torch.cat([self._frozen(part) for part in points.split(self.chunk)])

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """First surface points; for previews with fewer questions to the network."""
        tracer = self.config.tracer
        tracer = tracer.model_copy(update=PREVIEW_EFFORT) if preview else tracer
        return trace(rays, self.sdf, tracer, screened=self.screened)

    def field_changed(self) -> None:
        self._frozen = None


def make_model(config: FitConfig, device: torch.device) -> Model:
    """The untrained model of a preset."""
    if isinstance(config, FastConfig):
        return FastModel(config, device)
    if isinstance(config, IdrConfig):
        return IdrModel(config, device)
    raise TypeError(f"no model for preset {config.preset}")


@dataclass(frozen=True)
class LoadedRun:
    """A fitted model and what its run knows of the capture.

    cameras: float64, camera -> normalised. T_world_normalised: (4, 4) float64. capture_folder: the photos' folder at
    the time of the fit. step: steps done.
    """

    run: Path
    model: Model
    config: FitConfig
    cameras: Cameras
    T_world_normalised: np.ndarray
    capture_folder: Path
    step: int
    reading: dict[str, Any]


def load_run(run: Path) -> LoadedRun:
    """The newest whole checkpoint of a run. Raises InputMissing, BadInput."""
    folder = open_run(run)
    config = folder.read_config()
    checkpoint = load_newest(folder.checkpoints, warn)
    if checkpoint is None:
        raise BadInput("no checkpoint", where=folder.checkpoints, why="the fit has not saved one", todo="fit again")
    model, tensors = make_model(config, runtime.current().device), checkpoint.tensors
    try:
        model.load_tensors(tensors)
        cameras = Cameras(*(tensors[f"cameras.{name}"] for name in ("quaternions", "centres", "intrinsics")))
        frame, metadata = tensors["T_world_normalised"].numpy(), checkpoint.metadata
        place, reading = Path(metadata["capture"]), metadata["reading"]
    except (KeyError, RuntimeError, ValueError) as error:
        why = f"the checkpoint does not fit config.toml ({type(error).__name__})"
        raise BadInput("unusable checkpoint", where=checkpoint.path, why=why, todo="fit again with --fresh") from error
    return LoadedRun(run, model, config, cameras, frame, place, checkpoint.step, reading)

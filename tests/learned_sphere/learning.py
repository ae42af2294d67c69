"""Model and trainer of the sphere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taichi_idr.fields.model import Model
from taichi_idr.methods.losses import mask_loss
from taichi_idr.methods.trainer import Preview, StepReport, Trainer
from taichi_idr.pictures.rendering import camera_rays
from taichi_idr.state import prefixed
from taichi_idr.tracing.exact import trace
from taichi_idr.types import Capture, Hits, Rays

from . import SphereConfig


class SphereModel(Model):
    radius = 1.0  # pyright: ignore

    def __init__(self, config: SphereConfig, device: torch.device) -> None:
        super().__init__()
        self.config = config
        self.size = nn.Parameter(torch.tensor(0.9, device=device))
        self.paint = nn.Parameter(torch.full((3,), 0.5, device=device))

    def surface(self, points: Tensor) -> Tensor:
        return points.norm(dim=1) - self.size

    def gradient(self, points: Tensor) -> Tensor:
        return points / points.norm(dim=1, keepdim=True)

    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        return self.paint.expand(len(points), 3)

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        return trace(rays, self.surface)


class SphereTrainer(Trainer):
    def __init__(self, config: SphereConfig, capture: Capture, device: torch.device) -> None:
        self.config, self.total_steps, self.capture = config, config.schedule.steps, capture
        self.model = SphereModel(config, device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=config.schedule.rate)

    def step(self) -> StepReport:
        view, rays = self.steps_done % len(self.capture), self.config.schedule.rays
        generator = torch.Generator().manual_seed(self.steps_done)
        pixels = torch.randint(min(self.capture.masks[view].shape), (rays, 2), generator=generator)
        column, row = pixels.unbind(1)
        seen = camera_rays(self.model, self.capture.cameras[[view]], pixels)
        nearest = seen.at(-(seen.origins * seen.directions).sum(dim=1))
        is_object = torch.from_numpy(self.capture.masks[view])[row, column].to(nearest.device)
        photo = torch.from_numpy(self.capture.images[view])[row, column].to(nearest) / 255
        f = self.model.surface(nearest)
        silhouette = mask_loss(f, is_object, 50.0, rays)
        paint = ((self.model.paint - photo).abs() * is_object[:, None]).sum() / rays
        self.optimiser.zero_grad()
        (silhouette + paint).backward()
        self.optimiser.step()
        self.steps_done += 1
        hit = f < 0
        measured = {"intersection": (hit & is_object).sum(), "union": (hit | is_object).sum(), "hits": hit.sum()}
        return StepReport(silhouette + paint, {"silhouette": silhouette, "paint": paint}, measured)

    def state(self) -> dict[str, Tensor]:
        return prefixed("model", self.model.state_dict())

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        self.model.load_tensors(tensors)
        self.steps_done = step

    def preview(self, view: int) -> Preview:
        return Preview(self.model, self.capture.cameras[[view]], self.capture.images[view])

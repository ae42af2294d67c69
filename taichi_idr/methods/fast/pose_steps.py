"""How poses move in a fit: a little after every batch, and by bundle adjustment at a few of its steps."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ...capture.pixels import Photos, PixelBatch
from ...config import FastCamerasConfig
from ...poses.adam import SparseAdam
from ...poses.corners import Corners, find_corners
from ...poses.gauss_newton import GaussNewton
from ...poses.parameters import Poses
from ...poses.sightings import adjusted_poses
from ...types import Rays
from .model import FastModel
from .schedules import known_poses, pose_rates


class PoseSteps:
    """Steps of Gauss-Newton or Adam on poses that are trained, and adjustments; nothing where they are fixed."""

    def __init__(self, poses: Poses, config: FastCamerasConfig) -> None:
        self.poses, self.config = poses, config
        self.newton = GaussNewton(poses, config) if config.train and config.optimiser == "gauss_newton" else None
        adam = config.train and config.optimiser == "adam"
        self.adam = SparseAdam(dict(poses.named_parameters())) if adam else None
        self.corners: Corners | None = None  # of the photos, found at the first adjustment

    def due(self, step: int, total: int) -> bool:
        """Whether poses are adjusted before that step."""
        return self.config.train and step in {round(share * total) for share in self.config.adjustments}

    def adjust(self, model: FastModel, photos: Photos, progress: float, between: Callable[[], None]) -> None:
        """Bundle adjustment over sightings of the surface (docs/decisions/0010); `between` may raise, and nothing
        has happened."""
        if self.corners is None:
            self.corners = find_corners(photos, between)
        known, fewest = known_poses(self.config, progress), self.config.fewest_sightings
        poses = self.poses.cameras()
        adjusted = adjusted_poses(model, poses, photos, self.corners, fewest, known, between)
        if adjusted is not None:
            self.poses.set(adjusted.cameras)
            if self.newton:
                trust = (self.config.trusted_sightings / adjusted.worth).square().clamp(min=self.config.settled, max=1)
                self.newton.settle(adjusted.moved, trust)

    def rays(self, batch: PixelBatch) -> Rays:
        """The batch's rays: attached to the poses for Adam, collecting their own gradients for Gauss-Newton."""
        rays = self.poses.rays(batch.view, batch.position)
        return rays.leaves() if self.newton else rays

    def gradients(self, rays: Rays) -> list[Tensor]:
        """Of the rays for Gauss-Newton, of the parameters for Adam; none of fixed poses."""
        leaves = [leaf for leaf in (rays.origins, rays.directions, *self.poses.parameters()) if leaf.is_leaf]
        return [leaf.grad for leaf in leaves if leaf.grad is not None]

    def move(self, batch: PixelBatch, rays: Rays, progress: float, rate_scale: float) -> None:
        """Move the poses of the batch's views by the gradients of its rays; rate_scale is Adam's."""
        if self.newton:
            self.newton.step(batch.view, rays, progress)
        elif self.adam:
            rates = {name: rate_scale * rate for name, rate in pose_rates(self.config, progress).items()}
            self.adam.step(batch.view.long().unique(), rates)

    def halve_rates(self) -> None:
        if self.newton:
            self.newton.rate_scale *= 0.5

    def state(self) -> dict[str, Tensor]:
        """Of the optimiser."""
        optimiser = self.newton or self.adam
        return optimiser.state() if optimiser else {}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `state()`."""
        optimiser = self.newton or self.adam
        if optimiser:
            optimiser.load_state(tensors)

"""The trainer of preset `fast`: many views a step, lattice, coarse-to-fine levels."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...capture.pixels import PixelBatch, PixelTable
from ...config import FastCamerasConfig, FastConfig, LossConfig
from ...errors import warn
from ...fields.hash_geometry import Encoded
from ...fields.model import FastModel
from ...ops.intersection import surface_points
from ...ops.visual_hull import visual_hull
from ...poses.corners import Corners, find_corners
from ...poses.gauss_newton import GaussNewton, step_size
from ...poses.parameters import Poses, SparseAdam
from ...poses.sightings import adjusted_poses
from ...runs.checkpoint import joined, unprefixed
from ...types import Capture, Hits, Rays
from ..losses import colour_loss, eikonal_loss, mask_loss, smoothness_loss
from ..trainer import StepReport, Trainer
from .initial_shape import hull_distance, teach_distance
from .optimiser import Optimiser
from .photo_consistency import PhotoConsistency

Lemma = tuple[Tensor, Tensor, Tensor]
"""Of traced points (S, 3): depth, f attached to the field, grad f as a constant."""

MASK_SATURATION = 8.0  # alpha |f| beyond which the mask loss has less than 1/3000 of its slope: not evaluated


class FastTrainer(Trainer):
    """Sections 3 to 5 of the method, with the changes that docs/decisions 0005 to 0010 give reasons for."""

    config: FastConfig
    model: FastModel
    pixels: PixelTable

    def __init__(self, config: FastConfig, capture: Capture, device: torch.device) -> None:
        self.config, self.total_steps = config, config.schedule.steps
        self.model = FastModel(config, device)
        self.pixels = PixelTable(capture, config.schedule, device)
        self.poses = Poses(capture.cameras, config.cameras, device, torch.float32)
        self.optimiser = Optimiser(self.model, config.schedule)
        self.pose_optimiser = _pose_optimiser(self.poses, config.cameras)
        self.consistency = PhotoConsistency(self.pixels, config.consistency) if config.consistency.weight else None
        self.masks = capture.masks
        self.generator = torch.Generator().manual_seed(config.seed)
        self.corners: Corners | None = None  # of the photos, found at the first adjustment

    def start(self, capture: Capture, between: Callable[[], None]) -> None:
        """Teach the geometry the visual hull, so that the first step begins near the object."""
        schedule, model = self.config.schedule, self.model
        model.geometry.active_levels = min(schedule.first_levels, self.config.geometry.levels)
        between()
        distance = self._carve()
        between()
        teach_distance(model, distance, schedule, self.generator, between)

    def prepare(self, between: Callable[[], None]) -> None:
        """Bundle adjustment over sightings of the surface, at a few points of the fit (docs/decisions/0010)."""
        cameras = self.config.cameras
        if not cameras.train or self.steps_done not in {round(s * self.total_steps) for s in cameras.adjustments}:
            return
        self._unlock_levels()
        if self.corners is None:
            self.corners = find_corners(self.pixels, between)
        known, fewest = known_poses(cameras, self.progress), cameras.fewest_sightings
        poses = self.poses.cameras()
        adjusted = adjusted_poses(self.model, poses, self.pixels, self.corners, fewest, known, between)
        if adjusted is not None:
            self.poses.set(adjusted.cameras)
            if isinstance(self.pose_optimiser, GaussNewton):
                trust = (cameras.trusted_sightings / adjusted.worth).clamp(min=cameras.settled, max=1)
                self.pose_optimiser.settle(adjusted.moved, trust)

    def step(self) -> StepReport:
        self._unlock_levels()
        self._refresh_hull()
        self._refresh_lattice()
        self.optimiser.zero_gradients()
        self.poses.zero_grad()
        batch = self.pixels.draw(self.generator)
        rays = self._rays(batch)
        report = self._losses(batch, rays)
        self.applied = bool(torch.isfinite(report.loss))
        if self.applied:
            report.loss.backward()
            self.applied = self.optimiser.step(self.progress, self._pose_gradients(rays))
        if self.applied:
            self._move_poses(batch, rays)
        self.model.field_changed()
        self.steps_done += 1
        return report

    def halve_rates(self) -> None:
        self.optimiser.rate_scale *= 0.5
        if isinstance(self.pose_optimiser, GaussNewton):
            self.pose_optimiser.rate_scale *= 0.5

    def scheduled(self) -> dict[str, float]:
        return {"alpha": alpha_at(self.config.loss, self.progress), "levels": self.model.geometry.active_levels}

    def state(self) -> dict[str, Tensor]:
        """All that a later session needs to go on bit by bit: parameters, moments, lattice, poses, random numbers."""
        parts = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state(),
            "poses": self.poses.state_dict(),
            "pose_optimiser": self.pose_optimiser.state() if self.pose_optimiser else {},
        }
        others = {"lattice": self.model.lattice.values, "doubtful": self.pixels.doubtful}
        return {**joined(parts), **others, "generator": self.generator.get_state()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_tensors(tensors)
        self.optimiser.load_state(unprefixed("optimiser", tensors))
        # Fixed poses are the capture's; checkpoints from before poses were trained have none.
        self.poses.load_state_dict(unprefixed("poses", tensors), strict=self.config.cameras.train)
        if self.pose_optimiser:
            self.pose_optimiser.load_state(unprefixed("pose_optimiser", tensors))
        doubtful = tensors.get("doubtful", self.pixels.doubtful)  # checkpoints from before the list have none
        self.pixels.doubtful = doubtful.to(self.pixels.device)
        self.generator.set_state(tensors["generator"])

    def _rays(self, batch: PixelBatch) -> Rays:
        """The batch's rays: attached to the poses for Adam, collecting their own gradients for Gauss-Newton."""
        rays = self.poses.rays(batch.view, batch.position)
        return rays.leaves() if isinstance(self.pose_optimiser, GaussNewton) else rays

    def _pose_gradients(self, rays: Rays) -> list[Tensor]:
        """Of the rays for Gauss-Newton, of the parameters for Adam; none of fixed poses."""
        leaves = [leaf for leaf in (rays.origins, rays.directions, *self.poses.parameters()) if leaf.is_leaf]
        return [leaf.grad for leaf in leaves if leaf.grad is not None]

    def _move_poses(self, batch: PixelBatch, rays: Rays) -> None:
        if isinstance(self.pose_optimiser, GaussNewton):
            self.pose_optimiser.step(batch.view, rays, self.progress)
        elif self.pose_optimiser:
            rates = pose_rates(self.config.cameras, self.progress)
            halved = {name: self.optimiser.rate_scale * rate for name, rate in rates.items()}
            self.pose_optimiser.step(batch.view.long().unique(), halved)

    def _carve(self) -> Tensor:
        """Signed distance (H, H, H) from the hull of the poses as they are, by which the field is bounded from now on.

        While poses are rough, fewer photos have to agree on a point, and the bound is wider.
        """
        cameras, resolution = self.config.cameras, self.config.schedule.hull_resolution
        rough = cameras.train and self.progress < cameras.hull_rough
        fraction = {"min_fraction": cameras.hull_fraction} if rough else {}
        hull = visual_hull(self.masks, self.poses.cameras(), resolution, **fraction)
        distance = hull_distance(hull)
        if bool(hull.any()):
            slack = cameras.hull_slack * 2 / (resolution - 1) if rough else 0.0
            self.model.bound_by_hull(distance - slack)
        else:
            rest = "the last one stays" if self.steps_done else "starting from a ball"
            warn(f"the visual hull is empty: the masks contradict each other; {rest}")
        return distance

    def _unlock_levels(self) -> None:
        """The levels of this step, whether the one before was done in this session or not."""
        self.model.geometry.active_levels = levels_at(self.config, self.progress)
        self.model.field_changed()

    def _refresh_hull(self) -> None:
        cameras = self.config.cameras
        if cameras.train and self.steps_done and self.steps_done % cameras.hull_interval == 0:
            self._carve()

    def _refresh_lattice(self) -> None:
        proxy = self.config.proxy
        turn, rest = divmod(self.steps_done, proxy.refresh_interval)
        if self.steps_done == 0:
            self.model.lattice.refresh(self.model.sdf)
        elif rest == 0:
            swept = {"sweep": turn, "sweeps": proxy.sweeps, "possible": self.model.possible()}
            self.model.lattice.refresh_near_surface(self.model.sdf, proxy.band, **swept)

    def _losses(self, batch: PixelBatch, rays: Rays) -> StepReport:
        config, count = self.config.loss, len(batch)
        alpha = alpha_at(config, self.progress)
        reach = MASK_SATURATION / alpha
        hits = self.model.trace_training(rays.detach(), batch.is_object, reach)
        on_surface = hits.hit & batch.is_object
        in_mask_loss = _undecided(hits, batch.is_object, reach)
        if self.pose_optimiser is None:  # else it may be the pose that is wrong: such pixels would drive it away
            self.pixels.doubt(batch.index[hits.hit != batch.is_object])

        surface_rays, depth = rays[on_surface], hits.depth[on_surface]
        traced = surface_rays.at(depth).detach()
        count_traced, geometry = len(traced), self.model.geometry
        # One pass over the table serves f at the traced points, the gradients around and the surface points.
        encoded = geometry.encode(torch.cat([traced, self._regular_points(traced)]))
        sdf, gradient = geometry.value_and_gradient(encoded)
        normal, beside = gradient[:count_traced].detach(), gradient[count_traced + config.eikonal_points :]
        lemma = (depth, sdf[:count_traced], normal)
        points, clamped = surface_points(surface_rays.origins, surface_rays.directions, *lemma, grazing=config.grazing)
        surface = geometry.decode(geometry.following(points, encoded[:count_traced]))
        predicted = self.model.radiance(points, surface_rays.directions, surface)

        observed = batch.colour[on_surface]
        colour = colour_loss(predicted, observed, count)
        least = geometry.sdf(rays[in_mask_loss].at(hits.search_depth[in_mask_loss]))
        mask = config.mask_weight * mask_loss(least, batch.is_object[in_mask_loss], alpha, count)
        eikonal = config.eikonal_weight * eikonal_loss(gradient)
        smooth = config.smooth_weight * self._smoothness(surface.gradient[:: config.beside_stride], beside)
        consistency = self._consistency(batch[on_surface], surface_rays, lemma, encoded[:count_traced])
        return StepReport(
            loss=colour + mask + eikonal + smooth + consistency,
            colour=colour,
            mask=mask,
            eikonal=eikonal,
            smooth=smooth,
            consistency=consistency,
            squared_error=_mean_square((predicted - observed)[batch.typical[on_surface]]) / 4,
            intersection=(on_surface & batch.typical).sum(),
            union=((hits.hit | batch.is_object) & batch.typical).sum(),
            hits=hits.hit.sum(),
            clamped=torch.as_tensor(clamped),
        )

    def _consistency(self, batch: PixelBatch, rays: Rays, lemma: Lemma, encoded: Encoded) -> Tensor:
        """Weighted photo consistency at some of the traced points (S,) of these pixels and rays.

        encoded: at the traced points. Trained poses are not moved: they follow colour and mask alone (section 4).
        """
        config, geometry = self.config.consistency, self.model.geometry
        if self.consistency is None or self.progress < config.start:
            return rays.origins.new_zeros(())
        some = batch.typical.nonzero()[: config.points, 0]
        fixed, (depth, sdf, gradient) = rays[some].detach(), (part[some] for part in lemma)
        grazing = self.config.loss.grazing
        points, _ = surface_points(fixed.origins, fixed.directions, depth, sdf, gradient, grazing=grazing)
        _, normals = geometry.value_and_gradient(geometry.following(points, encoded[some]))
        photos, lattice = self.consistency.posed(self.poses.cameras()), self.model.lattice
        return config.weight * self.consistency.loss(photos, batch[some], points, normals, lattice, self.generator)

    def _regular_points(self, traced: Tensor) -> Tensor:
        """Where else the gradient is regularised: uniform points (E, 3) of the box, then one beside some traced."""
        config = self.config.loss
        box = torch.rand(config.eikonal_points, 3, generator=self.generator) * 2 - 1
        some = traced[:: config.beside_stride]
        shift = config.surface_jitter * torch.randn(some.shape, generator=self.generator)
        return torch.cat([box.to(traced.device), some + shift.to(traced.device)])

    def _smoothness(self, normals: Tensor, beside: Tensor) -> Tensor:
        """smoothness_loss; with trained poses twice from one side: cameras follow colour and mask alone (section 4)."""
        if self.pose_optimiser is None:
            return smoothness_loss(normals, beside)
        return 2 * smoothness_loss(normals.detach(), beside)


def known_poses(cameras: FastCamerasConfig, progress: float) -> tuple[float, float]:
    """How well poses are known by now: degrees, normalised units."""
    share = min(progress / cameras.decay_start, 1.0) if cameras.decay_start else 1.0
    factor = (cameras.known_end / cameras.known_start) ** share
    turn = cameras.known_start * factor
    return turn, cameras.known_shift * math.radians(turn)


def pose_rates(cameras: FastCamerasConfig, progress: float) -> dict[str, float]:
    """Adam's rates of the pose parameters, which fall as the steps of Gauss-Newton do."""
    share = step_size(cameras, progress) / cameras.step_size
    return {"quaternions": cameras.quaternion_rate * share, "places": cameras.place_rate * share}


def _pose_optimiser(poses: Poses, cameras: FastCamerasConfig) -> GaussNewton | SparseAdam | None:
    if not cameras.train:
        return None
    newton = cameras.optimiser == "gauss_newton"
    return GaussNewton(poses, cameras) if newton else SparseAdam(dict(poses.named_parameters()))


def _mean_square(difference: Tensor) -> Tensor:
    return (difference * difference).sum() / max(difference.numel(), 1)


def _undecided(hits: Hits, is_object: Tensor, reach: float) -> Tensor:
    """Rays (R,) bool whose mask loss has a slope: least value on the wrong side of zero or within `reach` of it.

    Object pixels that are hit are among them (the paper leaves them out): only they hold an outline against the
    background pixels beside it, which push it inwards.
    """
    value = hits.search_value
    if value is None:
        return torch.ones_like(is_object)
    inward = torch.where(is_object, -value, value)
    return inward < reach


def alpha_at(loss: LossConfig, progress: float) -> float:
    """LOSS-5 in steps: doubled at equal shares of the run."""
    doublings = int(progress * (loss.alpha_doublings + 1))
    return loss.alpha * 2 ** min(doublings, loss.alpha_doublings)


def levels_at(config: FastConfig, progress: float) -> int:
    """Levels of the encoding that are active, coarse to fine."""
    schedule, total = config.schedule, config.geometry.levels
    first = min(schedule.first_levels, total)
    share = progress / schedule.levels_unlocked if schedule.levels_unlocked > 0 else 1.0
    return min(total, first + int(share * (total - first)))

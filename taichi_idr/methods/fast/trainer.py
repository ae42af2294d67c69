"""The trainer of presets `fast` and `quality`: many photos a step, lattice, coarse-to-fine levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...capture.hulls import Silhouettes
from ...capture.pixels import PixelBatch
from ...capture.thin_parts import with_thin_parts
from ...errors import Unavailable, warn
from ...ops.visual_hull import MIN_FRACTION, visual_hull
from ...poses.parameters import Poses
from ...state import alike, joined, prefixed, unprefixed
from ...stereo.surface_points import SurfacePoints
from ...types import Cameras, Capture, Rays
from ..hash_optimiser import Optimiser
from ..losses import alpha_at
from ..trainer import Preview, StepReport, Trainer
from .adrift import adrift_points
from .colours import TabledRadiance
from .gloss import follows_mirror
from .initial_shape import above_support, hull_distance, teach_distance
from .model import FastModel
from .pixels import PixelTable
from .pose_steps import PoseSteps
from .refined_masks import refined_masks
from .schedules import doublings_at, levels_at
from .settings import FastConfig
from .stereo_start import StereoStart, stereo_start
from .terms import Terms
from .unseen import onto_silhouettes, unseen_points

COLOURS = "colours"  # the renderer's own table, to the optimiser
KNOWN, UNSEEN = "known", "unseen"  # before the names of the state's surface points
UNSEEN_AGAIN = (0.05, 0.1, 0.2, 0.3, 0.6)  # shares of the steps at which unseen points are found anew
CUT_ANEW = "cut_anew"  # the state's refined masks, all pixels, eight in a byte
ADRIFT = "adrift"  # the state's points of bodies that no photo needs
POSES_KNOWN = 0.2  # share of the steps after which trained poses are known well enough to compare colours of points
SHINY = "shiny"  # there where photos show reflections
GLOSSY = "gloss     colours follow what a mirror would show: the renderer is told"
ADRIFT_AGAIN = 5  # refreshes of the lattice after which they are found anew


class FastTrainer(Trainer):
    """Sections 3 to 5 of the method, with the changes that docs/decisions 0005 to 0010 give reasons for."""

    config: FastConfig
    refined = False  # whether masks are others than the capture's

    def __init__(self, config: FastConfig, capture: Capture, device: torch.device) -> None:
        self.config, self.total_steps = config, config.schedule.steps
        self.model = FastModel(config, device)
        self.pixels = PixelTable(capture, config.schedule, device)
        self.poses = Poses(capture.cameras, config.cameras, device, torch.float32)
        colours = self.model.radiance
        tables = {COLOURS: colours.adam()} if isinstance(colours, TabledRadiance) else {}
        self.optimiser = Optimiser(self.model.geometry, self.model.parameters(), config.schedule, tables)
        self.pose_steps = PoseSteps(self.poses, config.cameras)
        self.capture = capture
        self.generator = torch.Generator().manual_seed(config.seed)
        self.terms = Terms(config, self.model, self.poses, self.pixels, self.generator)

    def start(self, capture: Capture, between: Callable[[], None]) -> None:
        """Teach the geometry the visual hull, so that the first step begins near the object."""
        schedule, model = self.config.schedule, self.model
        model.geometry.active_levels = min(schedule.first_levels, self.config.geometry.levels)
        between()
        hull = self._hull()
        between()
        rough, known = self.config.cameras.train, self.capture.stops
        self.terms.exposures.start(self.pixels, self.poses.cameras(), hull, rough=rough, known=known)
        between()
        seen = self._stereo(hull, capture, between)
        if seen:
            model.bound_by_hull(above_support(seen.bound, self.capture.support, model.hull_margin))
            self.found, self.terms.known, self.terms.shiny = (seen.line,), seen.points, seen.shiny
            distance = above_support(seen.distance, self.capture.support)
        else:
            distance = self._bound(hull)
        if not rough:
            between()
            if self._look_for_gloss(distance) and not self.terms.shiny:
                self.found = (*self.found, GLOSSY)
        self.terms.unseen = self._unseen(distance)
        teach_distance(model, distance, schedule, self.generator, between, self.terms.known)

    def prepare(self, between: Callable[[], None]) -> None:
        """At a few steps, bundle adjustment where poses are trained, and masks cut anew that the program has cut."""
        if self.pose_steps.due(self.steps_done, self.total_steps):
            self._unlock_levels()
            self.pose_steps.adjust(self.model, self.pixels, self.progress, between)
        times = self.config.schedule.masks_refined
        if self.steps_done in {round(k * self.total_steps / (times + 1)) for k in range(1, times + 1)}:
            self._cut_anew(between)

    def step(self) -> StepReport:
        self._unlock_levels()
        self._refresh_hull()
        self._refresh_lattice()
        self._look_again()
        self.optimiser.zero_gradients()
        self.poses.zero_grad()
        batch = self.pixels.draw(self.generator)
        rays = self.pose_steps.rays(batch)
        report = self._losses(batch, rays)
        self.applied = bool(torch.isfinite(report.loss))
        if self.applied:
            report.loss.backward()
            self.applied = self.optimiser.step(self.progress, self.pose_steps.gradients(rays), self._resting())
        if self.applied:
            self.pose_steps.move(batch, rays, self.progress, self.optimiser.rate_scale)
        self.model.field_changed()
        self.steps_done += 1
        return report

    def halve_rates(self) -> None:
        self.optimiser.rate_scale *= 0.5
        self.pose_steps.halve_rates()

    def scheduled(self) -> dict[str, float]:
        loss = self.config.loss
        alpha = alpha_at(loss, doublings_at(loss, self.progress))
        return {"alpha": alpha, "levels": self.model.geometry.active_levels}

    def state(self) -> dict[str, Tensor]:
        """All that a later session needs to go on bit by bit: parameters, moments, lattice, poses, random numbers."""
        parts = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state(),
            "poses": self.poses.state_dict(),
            "pose_optimiser": self.pose_steps.state(),
            "exposure": self.terms.exposures.state(),
        }
        others = {"lattice": self.model.lattice.values, "doubtful": self.pixels.doubtful}
        if self.terms.known and self.progress < self.config.stereo.until:
            others |= prefixed(KNOWN, self.terms.known.tensors())
        if self.terms.unseen:
            others |= prefixed(UNSEEN, self.terms.unseen.tensors())
        if self.terms.adrift is not None:
            others[ADRIFT] = self.terms.adrift
        if self.terms.shiny:
            others[SHINY] = torch.ones(1)
        if self.refined:
            packed = np.packbits(np.concatenate([mask.reshape(-1) for mask in self.capture.masks]))
            others[CUT_ANEW] = torch.from_numpy(packed)
        return {**joined(parts), **others, "generator": self.generator.get_state()}

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        self.model.load_tensors(tensors)
        self.optimiser.load_state(unprefixed("optimiser", tensors))
        # Fixed poses are the capture's; checkpoints from before poses were trained have none.
        self.poses.load_state_dict(unprefixed("poses", tensors), strict=self.config.cameras.train)
        self.pose_steps.load_state(unprefixed("pose_optimiser", tensors))
        known, unseen = (unprefixed(part, tensors) for part in (KNOWN, UNSEEN))
        self.terms.known = SurfacePoints.of_tensors(known).to(self.pixels.device) if known else None
        self.terms.unseen = SurfacePoints.of_tensors(unseen).to(self.pixels.device) if unseen else None
        if (adrift := tensors.get(ADRIFT)) is not None:
            adrift = alike(adrift, torch.zeros(len(adrift), 3)).to(self.pixels.device)
        self.terms.adrift = adrift
        self.terms.shiny = SHINY in tensors
        self.terms.exposures.load_state(unprefixed("exposure", tensors), self.pixels.device)
        if CUT_ANEW in tensors:
            self._remask(_unpacked(tensors[CUT_ANEW].cpu().numpy(), self.capture.masks))
        if "doubtful" in tensors:  # checkpoints from before the list have none
            self.pixels.doubtful = self._known_pixels(tensors["doubtful"]).to(self.pixels.device)
        self.generator.set_state(tensors["generator"])
        self.steps_done = step

    def _known_pixels(self, index: Tensor) -> Tensor:
        """(N,), once all are known to be there. Raises ValueError."""
        alike(index, torch.zeros(len(index), dtype=torch.int64))
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < self.pixels.count:
            raise ValueError("pixels that no photo has")
        return index

    def cameras(self) -> Cameras:
        return self.poses.cameras()

    def masks(self) -> list[np.ndarray] | None:
        return self.capture.masks if self.refined else None

    def exposures(self) -> np.ndarray | None:
        stops = self.terms.exposures.stops
        return None if stops is None else stops.cpu().numpy()

    def preview(self, view: int) -> Preview:
        return Preview(self.model, self.poses.cameras()[[view]], self.pixels.stored(view))

    def _hull(self) -> Tensor:
        """Visual hull (H, H, H) of the poses as they are; while they are rough, fewer photos have to agree."""
        fraction = self.config.cameras.hull_fraction if self._rough else MIN_FRACTION
        cameras, resolution, capture = self.poses.cameras(), self.config.schedule.hull_resolution, self.capture
        hull = visual_hull(capture.masks, cameras, resolution, min_fraction=fraction, ignored=capture.ignored)
        views = Silhouettes(capture.masks, [], tuple(capture.ignored))
        return with_thin_parts(hull, views, cameras, min_fraction=fraction).to(hull.device)

    def _bound(self, hull: Tensor) -> Tensor:
        """Signed distance (H, H, H) from the hull, by which the field is bounded from now on; wider while poses are
        rough."""
        own = hull_distance(hull)
        if bool(hull.any()):
            slack = self.config.cameras.hull_slack * 2 / (len(hull) - 1) if self._rough else 0.0
            self.model.bound_by_hull(above_support(own - slack, self.capture.support, self.model.hull_margin))
        else:
            rest = "the last one stays" if self.steps_done else "starting from a ball"
            warn(f"the visual hull is empty: the masks contradict each other; {rest}")
        return above_support(own, self.capture.support)

    @property
    def _rough(self) -> bool:
        return self.config.cameras.train and self.progress < self.config.cameras.hull_rough

    def _stereo(self, hull: Tensor, capture: Capture, between: Callable[[], None]) -> StereoStart | None:
        """Poses that are to be trained are not known well enough."""
        if self.config.cameras.train:
            return None
        return stereo_start(hull, capture, self.poses.cameras(), self.config.stereo, between)

    def _look_for_gloss(self, distance: Tensor) -> bool:
        """Tell the renderer where a mirror looks, if that says more of the colours than where the camera is."""
        mirrors = self.model.radiance.mirrors
        if mirrors is None:
            return False
        glossy = self.terms.shiny or follows_mirror(self.pixels, self.poses.cameras(), distance)
        mirrors.fill_(glossy)
        return glossy

    def _unseen(self, distance: Tensor) -> SurfacePoints | None:
        """What the loss has to hold."""
        if not self.config.loss.unseen_weight:
            return None
        cameras = self.poses.cameras()
        found = unseen_points(distance, cameras, self.pixels.sizes)
        if found is None or self._rough:
            return found
        return onto_silhouettes(found, cameras, self.pixels, 2 / (len(distance) - 1))

    def _unlock_levels(self) -> None:
        """The levels of this step, whether the one before was done in this session or not."""
        self.model.geometry.active_levels = levels_at(self.config, self.progress)
        self.model.field_changed()

    def _refresh_hull(self) -> None:
        cameras = self.config.cameras
        if cameras.train and self.steps_done and self.steps_done % cameras.hull_interval == 0:
            self._bound(self._hull())

    def _refresh_lattice(self) -> None:
        proxy = self.config.proxy
        turn, rest = divmod(self.steps_done, proxy.refresh_interval)
        if rest:
            return
        if self.steps_done == 0:
            self.model.lattice.refresh(self.model.surface)
        else:
            swept = {"sweep": turn, "sweeps": proxy.sweeps, "possible": self.model.possible()}
            self.model.lattice.refresh_near_surface(self.model.surface, proxy.band, **swept)
        self.model.lattice_changed()
        if turn % ADRIFT_AGAIN == 0 and self.config.loss.adrift_weight:
            self.terms.adrift = adrift_points(self.model.lattice.values, self.pixels, self.poses.cameras())

    def _look_again(self) -> None:
        """Silhouettes soon know the shape better than the hull, whose lattice is coarse, and trained poses settle."""
        if self.steps_done in {round(share * self.total_steps) for share in UNSEEN_AGAIN}:
            self.terms.unseen = self._unseen(self.model.lattice.values)
        if self.config.cameras.train and self.steps_done == round(POSES_KNOWN * self.total_steps):
            self._look_for_gloss(self.model.lattice.values)

    def _cut_anew(self, between: Callable[[], None]) -> None:
        if not self.capture.cut:
            return
        try:
            self._remask(refined_masks(self.model, self.poses, self.capture, between))
        except Unavailable as error:
            warn(f"masks stay as they were cut: {error}")

    def _remask(self, masks: list[np.ndarray]) -> None:
        self.capture, self.refined = replace(self.capture, masks=masks), True
        self.pixels = PixelTable(self.capture, self.config.schedule, self.pixels.device)

    def _resting(self) -> tuple[str, ...]:
        """Tables that do not learn yet."""
        cameras = self.config.cameras
        return (COLOURS,) if cameras.train and self.progress < cameras.colours_from else ()

    def _losses(self, batch: PixelBatch, rays: Rays) -> StepReport:
        report, contradicted = self.terms.of(batch, rays, self.progress)
        if not self.config.cameras.train:  # else it may be the pose that is wrong: such pixels would drive it away
            self.pixels.doubt(batch.index[contradicted])
        return report


def _unpacked(packed: np.ndarray, masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Masks of the shapes of others. Raises ValueError for what is not as long as they are."""
    ends = np.cumsum([mask.size for mask in masks])
    if packed.shape != (-(-int(ends[-1]) // 8),):
        raise ValueError(f"masks of other sizes: {packed.shape} bytes")
    parts = np.split(np.unpackbits(packed, count=int(ends[-1])).astype(bool), ends[:-1])
    return [part.reshape(mask.shape) for part, mask in zip(parts, masks, strict=True)]

"""The loss of a batch, term by term (LOSS-1 to LOSS-3, docs/decisions 0006, 0007 and 0012)."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from ...capture.pixels import Photos, PixelBatch
from ...fields.hash_geometry import Encoded
from ...ops.intersection import surface_points
from ...poses.parameters import Poses
from ...stereo.surface_points import SurfacePoints
from ...types import Hits, Rays
from ..losses import alpha_at, colour_loss, eikonal_loss, mask_loss, smoothness_loss
from ..trainer import StepReport
from .adrift import adrift_loss
from .exposures import PhotoExposures
from .initial_shape import NORMAL_WEIGHT, off_surface
from .inside import drawn_around, hollow_loss
from .model import FastModel
from .photo_consistency import PhotoConsistency
from .schedules import doublings_at
from .settings import FastConfig
from .unseen import UNSEEN_NORMAL_WEIGHT, drawn_beside


class Held(NamedTuple):
    """A term that holds f: at points, where it has these values (N,) and their normals for a gradient; the weights of
    the term, and in it of the gradient."""

    name: str
    at: SurfacePoints
    values: Tensor
    weight: float
    normal_weight: float


Lemma = tuple[Tensor, Tensor, Tensor]
"""Of traced points (S, 3): depth, f attached to the field, grad f as a constant."""
UNSEEN_PER_STEP = 128  # points
ADRIFT_PER_STEP = 128
INSIDE_PER_STEP = 64  # and as many where it is hollow, or small hollows would grow unseen
MASK_SATURATION = 8.0  # alpha |f| beyond which the mask loss has less than 1/3000 of its slope: not evaluated


class Terms:
    """What the terms need beside a batch: the model, the poses, all photos, random numbers.

    known: points of the surface that photos agree on, where a fit has begun with some; unseen: of the first shape,
    where photos say nothing; adrift (N, 3): the lattice's points in bodies that no photo needs. shiny: photos agree
    about reflections, which lie behind the surface, and are not compared along it.
    """

    def __init__(
        self, config: FastConfig, model: FastModel, poses: Poses, photos: Photos, generator: torch.Generator
    ) -> None:
        self.config, self.model, self.poses, self.generator = config, model, poses, generator
        self.known: SurfacePoints | None = None
        self.unseen: SurfacePoints | None = None
        self.adrift: Tensor | None = None
        self.shiny = False
        self.exposures = PhotoExposures(config.exposure)
        self.consistency = PhotoConsistency(photos, config.consistency) if config.consistency.weight else None

    def of(self, batch: PixelBatch, rays: Rays, progress: float) -> tuple[StepReport, Tensor]:
        """The loss of R pixels and their rays, and which of them (R,) bool are on the wrong side of the silhouette.

        progress: share of the fit that is done.
        """
        config, count = self.config.loss, len(batch)
        alpha = alpha_at(config, doublings_at(config, progress))
        reach = MASK_SATURATION / alpha
        hits = self.model.trace_training(rays.detach(), batch.is_object, reach)
        on_surface = hits.hit & batch.is_object
        in_mask_loss = undecided(hits, batch.is_object, reach)

        surface_rays, depth = rays[on_surface], hits.depth[on_surface]
        traced = surface_rays.at(depth).detach()
        count_traced, geometry = len(traced), self.model.geometry
        regular, held = self._regular_points(traced), self._held(progress)
        adrift, cell = self._adrift_points(traced), self.model.lattice.cell
        inside = torch.cat([drawn_around(part, cell, INSIDE_PER_STEP, self.generator) for part in self.model.inside()])
        # One pass over the table serves f at the traced points, the gradients around, the surface and what is held.
        encoded = geometry.encode(torch.cat([traced, regular, *(some.at.points for some in held)]))
        sdf, gradient = geometry.value_and_gradient(encoded)
        end = count_traced + len(regular)
        normal, beside = gradient[:count_traced].detach(), gradient[count_traced + config.eikonal_points : end]
        lemma = (depth, sdf[:count_traced], normal)
        points, clamped = surface_points(surface_rays.origins, surface_rays.directions, *lemma, grazing=config.grazing)
        surface = geometry.decode(geometry.following(points, encoded[:count_traced]))
        predicted = self.model.radiance(points, surface_rays.directions, surface)

        observed, view = batch.colour[on_surface], batch.view[on_surface]
        self.exposures.learn(view, predicted, observed, progress)
        predicted = self.exposures.shown(view, predicted, observed)
        colour = colour_loss(predicted, observed, count)
        deciding = rays[in_mask_loss].at(hits.search_depth[in_mask_loss])
        values = geometry.sdf(torch.cat([deciding, adrift, inside]))
        least, adrift_sdf, inside_sdf = values.split([len(deciding), len(adrift), len(inside)])
        mask = mask_loss(least, batch.is_object[in_mask_loss], alpha, count, config.object_weight)
        terms = {
            "colour": colour,
            "mask": config.mask_weight * mask,
            "eikonal": config.eikonal_weight * eikonal_loss(gradient[:end]),
            "smooth": config.smooth_weight * self._smoothness(surface.gradient[:: config.beside_stride], beside),
            **self._of_held(sdf[end:], gradient[end:], held),
            "hollow": config.hollow_weight * hollow_loss(inside_sdf, cell),
            "adrift": config.adrift_weight * adrift_loss(adrift_sdf, cell),
            "consistency": self._consistency(batch[on_surface], surface_rays, lemma, encoded[:count_traced], progress),
        }
        measured = {
            "squared_error": mean_square((predicted - observed)[batch.typical[on_surface]]) / 4,
            "intersection": (on_surface & batch.typical).sum(),
            "union": ((hits.hit | batch.is_object) & batch.typical).sum(),
            "hits": hits.hit.sum(),
            "clamped": torch.as_tensor(clamped),
        }
        return StepReport(reduce(torch.add, terms.values()), terms, measured), hits.hit != batch.is_object

    def _consistency(self, batch: PixelBatch, rays: Rays, lemma: Lemma, encoded: Encoded, progress: float) -> Tensor:
        """Weighted photo consistency at some of the traced points (S,) of these pixels and rays.

        encoded: at the traced points. Trained poses are not moved: they follow colour and mask alone (section 4).
        """
        config, geometry = self.config.consistency, self.model.geometry
        if self.consistency is None or self.shiny or progress < config.start:
            return rays.origins.new_zeros(())
        some = batch.typical.nonzero()[: config.points, 0]
        fixed, (depth, sdf, gradient) = rays[some].detach(), (part[some] for part in lemma)
        grazing = self.config.loss.grazing
        points, _ = surface_points(fixed.origins, fixed.directions, depth, sdf, gradient, grazing=grazing)
        _, normals = geometry.value_and_gradient(geometry.following(points, encoded[some]))
        photos, lattice = self.consistency.posed(self.poses.cameras()), self.model.lattice
        return config.weight * self.consistency.loss(photos, batch[some], points, normals, lattice, self.generator)

    def _held(self, progress: float) -> list[Held]:
        """Points that hold the surface in a step: those that photos agree on keep corners that coarse levels round off,
        and let go before fine ones know better; the unseen ones have nobody else."""
        held, config = list[Held](), self.config.stereo
        if self.known and progress < config.until:
            some = self.known.drawn(config.points_per_step, self.generator)
            weight = config.weight * (1 - progress / config.until)
            held.append(Held("stereo", some, torch.zeros_like(some.confidence), weight, NORMAL_WEIGHT))
        if self.unseen:
            some = self.unseen.drawn(UNSEEN_PER_STEP, self.generator)
            beside, values = drawn_beside(some, self.model.lattice.cell, self.generator)
            held.append(Held("unseen", beside, values, self.config.loss.unseen_weight, UNSEEN_NORMAL_WEIGHT))
        return held

    def _adrift_points(self, traced: Tensor) -> Tensor:
        """Points (A, 3) of a step in cells of bodies that no photo needs."""
        places = traced[:0] if self.adrift is None else self.adrift
        return drawn_around(places, self.model.lattice.cell, ADRIFT_PER_STEP, self.generator)

    def _of_held(self, sdf: Tensor, gradient: Tensor, held: list[Held]) -> dict[str, Tensor]:
        """Their terms; sdf (N,), gradient (N, 3): of f at all of them."""
        terms, begin = {"stereo": sdf.new_zeros(()), "unseen": sdf.new_zeros(())}, 0
        for name, at, values, weight, normal_weight in held:
            end = begin + len(at)
            off = sdf[begin:end] - values
            terms[name] = weight * off_surface(off, gradient[begin:end], at, normal_weight)
            begin = end
        return terms

    def _regular_points(self, traced: Tensor) -> Tensor:
        """Where else the gradient is regularised: uniform points (E, 3) of the box, then one beside some traced."""
        config = self.config.loss
        box = torch.rand(config.eikonal_points, 3, generator=self.generator) * 2 - 1
        some = traced[:: config.beside_stride]
        shift = config.surface_jitter * torch.randn(some.shape, generator=self.generator)
        return torch.cat([box.to(traced.device), some + shift.to(traced.device)])

    def _smoothness(self, normals: Tensor, beside: Tensor) -> Tensor:
        """smoothness_loss; with trained poses twice from one side: cameras follow colour and mask alone (section 4)."""
        if self.config.cameras.train:
            return 2 * smoothness_loss(normals.detach(), beside)
        return smoothness_loss(normals, beside)


def mean_square(difference: Tensor) -> Tensor:
    """Mean over all entries; 0 of none."""
    return (difference * difference).sum() / max(difference.numel(), 1)


def undecided(hits: Hits, is_object: Tensor, reach: float) -> Tensor:
    """Rays (R,) bool whose mask loss has a slope: least value on the wrong side of zero or within `reach` of it.

    Object pixels that are hit are among them (the paper leaves them out): only they hold an outline against the
    background pixels beside it, which push it inwards.
    """
    value = hits.search_value
    if value is None:
        return torch.ones_like(is_object)
    inward = torch.where(is_object, -value, value)
    return inward < reach

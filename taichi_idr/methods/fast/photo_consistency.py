"""Photos must agree on what the surface shows: the term that preset `quality` adds (docs/decisions/0012).

Around a traced point the tangent plane carries a patch of its photo to other photos; how unlike the best of them are is
the loss (Darmon et al. 2022, "Improving neural implicit surfaces geometry with patch warping"; Fu et al. 2022,
"Geo-Neus"). It moves the point along its ray and turns the normal, and knows no colours of the renderer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ... import runtime
from ...capture.pixels import Photos, PixelBatch
from ...kernels.march import least_along
from ...ops.patch_consistency import (
    CENTRE,
    TO_FRAME,
    UNSEEN,
    PosedPhotos,
    patch_likeness,
    posed_photos,
    tangent_planes,
)
from ...poses.corners import telling_shades
from ...tracing.lattice import ProxyLattice, laplacian
from ...types import Cameras
from .settings import ConsistencyConfig

CLEARANCE = 2.5  # cells of the lattice within which a point does not hide itself
LEAST_STEP = 0.5  # cells
RADIUS = 1.0  # of the sphere within which something may hide a point
HIDDEN = 0.0  # a lattice value below which something does


class PhotoConsistency:
    """The photos as the kernels want them, and the term."""

    def __init__(self, photos: Photos, config: ConsistencyConfig) -> None:
        self.config = config
        self.shades, self.sizes = telling_shades(photos), photos.sizes
        self._posed: tuple[Cameras, PosedPhotos] | None = None  # the last ones

    def posed(self, cameras: Cameras) -> PosedPhotos:
        """The photos as these cameras (V, float64, camera -> normalised) see the normalised frame."""
        if self._posed is None or self._posed[0] is not cameras:
            self._posed = cameras, posed_photos(self.shades, self.sizes, cameras)
        return self._posed[1]

    def loss(
        self,
        photos: PosedPhotos,
        batch: PixelBatch,
        points: Tensor,
        normals: Tensor,
        lattice: ProxyLattice,
        generator: torch.Generator,
    ) -> Tensor:
        """Mean of `unlikeness` over the `best` most alike patches of each of the surface points (N, 3) of pixels (N,).

        normals (N, 3): not normalised. Attached to points and normals; zero where nothing can be compared.
        """
        config, centres = self.config, photos.cameras[:, CENTRE].contiguous()
        unit = normalize(normals.detach(), dim=1)
        sources = candidate_views(points.detach(), unit, batch.view, centres, config, generator)
        sources = visible_views(points.detach(), sources, centres, lattice)
        sunk = points - self._sagitta(photos, batch.view.long(), points.detach(), unit, lattice)[:, None] * unit
        planes = tangent_planes(sunk, normals, centres[batch.view.long()])
        settings = {"reach": config.reach, "spacing": config.spacing, "least_contrast": config.least_contrast}
        likeness = patch_likeness(planes, photos, batch.view, batch.position.int(), sources, **settings)
        best = likeness.topk(min(config.best, likeness.shape[1]), dim=1).values
        compared = best > UNSEEN
        return (unlikeness(best, config.unexplained) * compared).sum() / compared.sum().clamp(min=1)

    def _sagitta(
        self, photos: PosedPhotos, view: Tensor, points: Tensor, normals: Tensor, lattice: ProxyLattice
    ) -> Tensor:
        """How far (N,) the surface lies below its tangent plane on average over a patch: sum of curvatures / 2 times
        the patch's variance along either axis.

        A plane fits what a curved patch shows best where it cuts through it: without this the term would sink convex
        points and raise hollow ones.
        """
        camera, config = photos.cameras[view], self.config
        towards = camera[:, CENTRE] - points
        distance = towards.norm(dim=1)
        facing = (towards * normals).sum(dim=1) / distance
        pixel = config.spacing * distance * camera[:, TO_FRAME : TO_FRAME + 3, 0].norm(dim=1)
        variance = config.reach * (config.reach + 1) / 3 * pixel**2
        stretched = (1 + 1 / facing.clamp(min=config.flattest) ** 2) / 2
        return laplacian(lattice, points) / 2 * variance * stretched


def unlikeness(likeness: Tensor, unexplained: float) -> Tensor:
    """log(1 + (1 - rho^2) / unexplained) of correlations rho, 0 where all is explained; not above 0 counts as 0.

    The likelihood of a patch that is the other one with gain, offset and noise of unknown size: patches that noise or
    an error has made unlike hardly pull, those nearly alike do, until `unexplained` of their variance is left.
    """
    return torch.log1p((1 - likeness.clamp(min=0) ** 2) / unexplained)


def candidate_views(
    points: Tensor,
    normals: Tensor,
    view: Tensor,
    centres: Tensor,
    config: ConsistencyConfig,
    generator: torch.Generator,
) -> Tensor:
    """Photos (N, S) int32 that may show points (N, 3) as the photo `view` (N,) does; -1 where there are fewer.

    S = config.sources of those seen from narrowest to widest degrees away, and not too flat: drawn at random, so that
    near ones (alike) and far ones (telling) have their turn. normals (N, 3): unit.
    """
    towards = normalize(centres - points[:, None], dim=2)
    own = towards[torch.arange(len(points), device=view.device), view.long()]
    cosine = (towards * own[:, None]).sum(dim=2)
    facing = (towards * normals[:, None]).sum(dim=2)
    narrowest, widest = torch.cos(torch.deg2rad(cosine.new_tensor([config.narrowest, config.widest])))
    usable = (cosine < narrowest) & (cosine > widest) & (facing > config.flattest)
    usable &= ((own * normals).sum(dim=1) > config.flattest)[:, None]
    order = torch.rand(cosine.shape, generator=generator).to(cosine)
    order = torch.where(usable, order, -1.0)
    value, index = order.topk(min(config.sources, len(centres)), dim=1)
    return torch.where(value >= 0, index, -1).int()


def visible_views(points: Tensor, sources: Tensor, centres: Tensor, lattice: ProxyLattice) -> Tensor:
    """The same photos (N, S), -1 for those from which the lattice hides points (N, 3)."""
    index, column = (sources >= 0).nonzero(as_tuple=True)
    if len(index) == 0:
        return sources
    origins = points[index]
    directions = normalize(centres[sources[index, column].long()] - origins, dim=1)
    start = torch.full_like(origins[:, 0], CLEARANCE * lattice.cell)
    depth, least = torch.empty_like(start), torch.empty_like(start)
    step = LEAST_STEP * lattice.cell
    arguments = (origins, directions, start, lattice.values, RADIUS, step, HIDDEN)
    runtime.launch(least_along, *arguments, depth, least)
    hidden = least < HIDDEN
    return sources.index_put((index[hidden], column[hidden]), sources.new_tensor(-1))

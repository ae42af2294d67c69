"""From a code to a closed mesh (OCC-4, OCC-5), and how near it comes to the shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import Diverged
from ...meshes.mesh import Mesh, make_mesh
from ...meshes.mise import mise_surface
from ...meshes.refinement import refined
from ...meshes.solid import Solid
from .network import OccupancyModel
from .samples import uniform_points
from .settings import ShapesConfig, SolidSamplesConfig, SurfaceConfig


@dataclass(frozen=True)
class Shape:
    """mesh: in the frame that was asked for; share: of the questions that all points of the lattice would be."""

    mesh: Mesh
    share: float


def shape_of(
    model: OccupancyModel,
    code: Tensor,
    config: ShapesConfig,
    T_world_normalised: np.ndarray,
    *,
    resolution: int,
    places: np.ndarray | None = None,
) -> Shape:
    """The surface f(p, code) = 1/2, closed; code (Z,). Raises Diverged where there is none.

    resolution: cells along an edge of the padded cube, at least. places (N, 3), normalised: where it is thought to be.
    """
    coarse, levels = lattice_for(resolution, config.surface.coarsest)
    half = (1 + config.samples.padding) / 2
    try:
        found = mise_surface(model.field(code), half=half, coarse=coarse, levels=levels, places=places)
    except Diverged as error:
        raise Diverged("no surface", why=f"of this code {error.why}", todo="take more --steps") from error
    vertices = _moved(model, code, config.surface, found.vertices, found.faces, config.seed)
    world = vertices @ T_world_normalised[:3, :3].T + T_world_normalised[:3, 3]
    return Shape(make_mesh(world, found.faces), found.questions / (coarse * 2**levels + 1) ** 3)


def lattice_for(resolution: int, coarsest: int) -> tuple[int, int]:
    """Cells along an axis in the beginning, and how often they are halved: the coarsest lattice for `resolution`."""
    levels = max(int(np.log2(max(resolution / coarsest, 1))), 0)
    return -(-resolution // 2**levels), levels


def mean_code(model: OccupancyModel, points: Tensor, inside: Tensor) -> Tensor:
    """The mean (Z,) of q(z | points), of points (K, 3) and inside (K,), 0 or 1."""
    with torch.no_grad():
        return model.posterior(points[None], inside[None])[0][0]


def overlap(
    model: OccupancyModel, code: Tensor, solid: Solid, config: SolidSamplesConfig, generator: torch.Generator
) -> float:
    """Intersection over union of what the network and the mesh say of uniform points, as published."""
    points = uniform_points(config, config.tested, generator).to(code)
    true, found = solid.contains(points, generator), model.field(code)(points) < 0
    return float((true & found).sum() / (true | found).sum().clamp(min=1))


def _moved(
    model: OccupancyModel, code: Tensor, config: SurfaceConfig, vertices: np.ndarray, faces: np.ndarray, seed: int
) -> np.ndarray:
    def slope(points: Tensor) -> tuple[Tensor, Tensor]:
        logit, gradient = model.slope(points.to(code), code)
        return logit.cpu(), gradient.cpu()

    options = {"steps": config.refine_steps, "rate": config.refine_rate, "normal_weight": config.normal_weight}
    return refined(vertices, faces, slope, **options, generator=torch.Generator().manual_seed(seed))

"""Distances and hulls."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from ..kernels import analytic_sdf as sdf_kernels
from ..kernels import ewer as ewer_kernels
from ..ops.chart_raster import rasterise_charts
from ..ops.closest_triangle import closest_triangle
from ..ops.crossings import crossings
from ..ops.first_triangle import first_triangle
from ..ops.triangle_tree import TriangleTree
from ..ops.visual_hull import first_occupied, hull_votes, visual_hull
from ..reference import chart_raster as chart_twin
from ..reference import closest_triangle as triangle_twin
from ..reference import crossings as crossings_twin
from ..reference import first_triangle as ray_twin
from ..reference import visual_hull as hull_twin
from ..reference.ewer import ewer_distance as ewer_twin
from ..types import Cameras
from .case import Case, Gate, Outputs, Work
from .scene import DISTANCE, MAJOR, MINOR, Scene

ROUNDED = Gate(2e-6)
MET = 64  # lattice points along each axis
VIEWS, MASK_HEIGHT, MASK_WIDTH, FOCAL = 24, 120, 160, 200.0
EWER_POOL, EWER_BAND = 1 << 16, 0.04  # farther away the kernel has a lower bound of the function
SEGMENTS, SIDES, BRUTE_POINTS = 48, 24, 1024  # 2,304 triangles; points that the twin compares with all of them
BRUTE_ROWS = 8  # of texels, the same


def analytic_sdf(scene: Scene, size: int) -> Case:
    """Distance of a torus and its gradient, in closed form."""
    points, parameters = scene.points(size), torch.tensor([MAJOR, MINOR]).to(scene.uniform(1))

    def ours() -> Outputs:
        value, gradient = scene.empty(size), scene.empty(size, 3)
        runtime.launch(sdf_kernels.analytic_sdf, sdf_kernels.TORUS, parameters, points, value, gradient)
        return value, gradient

    def twin() -> Outputs:
        leaf = points.detach().requires_grad_()
        value = scene.torus(leaf)
        return value.detach(), *torch.autograd.grad(value.sum(), leaf)

    return Case(ours, twin, (ROUNDED, Gate(1e-4)), work=Work(bytes=28, operations=20))


def ewer_distance(scene: Scene, size: int) -> Case:
    """Implicit function of the demo's object, near its surface."""
    pool = scene.points(EWER_POOL)
    near = pool[ewer_twin(pool).abs() < EWER_BAND]
    points = near[scene.integers(len(near), size)]

    def ours() -> Outputs:
        value = scene.empty(size)
        runtime.launch(ewer_kernels.ewer_distance, points, value)
        return (value,)

    # The bound is used at a few of these points too; measured: 2e-3 of them, else 2e-6.
    return Case(ours, lambda: (ewer_twin(points),), (Gate(2e-5, 5e-3),))


def carve(scene: Scene, size: int) -> Case:
    """Visual hull of a ball from 24 masks of 160 x 120."""
    masks, cameras, resolution = *_silhouettes(scene), round(size ** (1 / 3))
    # A view's masks stay in the cache: a point costs its projections, and one word for itself.
    work = Work(bytes=4, gathers=VIEWS, operations=26 * VIEWS)
    ours, twin = (
        lambda: (visual_hull(masks, cameras, resolution).flatten(),),
        lambda: (hull_twin.visual_hull(masks, cameras, resolution).flatten(),),
    )
    return Case(ours, twin, (Gate(0.0, 2e-4),), work=work)


def votes(scene: Scene, size: int) -> Case:
    """How many of 24 masks of 160 x 120 show a ball at each point, and how many do not."""
    masks, cameras, resolution = *_silhouettes(scene), round(size ** (1 / 3))
    work = Work(bytes=8, gathers=VIEWS, operations=26 * VIEWS)
    ours, twin = (
        lambda: tuple(part.flatten().float() for part in hull_votes(masks, cameras, resolution)),
        lambda: tuple(part.flatten().float() for part in hull_twin.hull_votes(masks, cameras, resolution)),
    )
    # Single precision puts a point into a neighbouring pixel of one view in so many.
    return Case(ours, twin, (Gate(0.0, 2e-3), Gate(0.0, 2e-3)), work=work)


def meet(scene: Scene, size: int) -> Case:
    """Where rays first meet the cells of a torus."""
    axis = torch.linspace(-1, 1, MET)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).view(-1, 3)
    occupied = (scene.torus(points.to(scene.empty(0))) < 0).view(MET, MET, MET)
    rays = scene.rays(size)
    ours = lambda: (first_occupied(occupied, rays),)  # noqa: E731
    twin = lambda: (hull_twin.first_occupied(occupied, rays),)  # noqa: E731
    # Rays that graze a cell meet it, or the next one, within rounding.
    return Case(ours, twin, (Gate(1e-5, 0.02),), work=None)


def triangles(scene: Scene, size: int) -> Case:
    """Distance to a mesh of 2,304 triangles; the twin compares 1,024 points with all of them."""
    corners = torus_mesh(scene)
    points = scene.points(size)
    some = points[:BRUTE_POINTS]
    ours = lambda: (closest_triangle(points, corners)[0],)  # noqa: E731
    twin = lambda: (triangle_twin.closest_triangle(some, corners)[0],)  # noqa: E731
    return Case(ours, twin, (Gate(5e-6),), beside="brute force, gate only", raced=False)


def first_triangles(scene: Scene, size: int) -> Case:
    """Where rays first meet a mesh of 2,304 triangles; the twin compares 1,024 rays with all of them."""
    corners = torus_mesh(scene)
    tree, rays = TriangleTree.build(corners), scene.rays(size)
    some = rays[:BRUTE_POINTS]
    ours = lambda: (first_triangle(rays, tree)[0],)  # noqa: E731
    twin = lambda: (ray_twin.first_triangle(some, corners)[0],)  # noqa: E731
    # Rays that graze the outline meet it, or what is behind it, within rounding.
    return Case(ours, twin, (Gate(5e-6, 0.005),), beside="brute force, gate only", raced=False)


def charts(scene: Scene, size: int) -> Case:
    """Which of 2,304 triangles each texel of a square picture lies in; the twin has a few of its rows."""
    corners = torus_mesh(scene)[..., :2]  # from above: its upper half lies on its lower one
    places = (corners / (2 * (MAJOR + MINOR)) + 0.5) * size
    ours = lambda: (rasterise_charts(places, size, size).float(),)  # noqa: E731
    twin = lambda: (chart_twin.rasterise_charts(places, BRUTE_ROWS, size).float(),)  # noqa: E731
    # A texel on an edge belongs to either side of it, within rounding.
    return Case(ours, twin, (Gate(0.0, 0.005),), beside="brute force, gate only", raced=False)


def mesh_crossings(scene: Scene, size: int) -> Case:
    """How often rays leave and enter a mesh of 2,304 triangles; the twin compares 1,024 rays with all of them."""
    corners = torus_mesh(scene)
    tree, rays = TriangleTree.build(corners), scene.rays(size)
    some = rays[:BRUTE_POINTS]
    ours = lambda: tuple(part.float() for part in crossings(rays, tree))  # noqa: E731
    twin = lambda: tuple(part.float() for part in crossings_twin.crossings(some, corners))  # noqa: E731
    # Rays that pass an edge within rounding count none or both of its faces.
    return Case(ours, twin, (Gate(0.0, 0.005),) * 2, beside="brute force, gate only", raced=False)


def torus_mesh(scene: Scene) -> Tensor:
    """Triangles (F, 3, 3)."""
    around, over = torch.meshgrid(torch.arange(SEGMENTS), torch.arange(SIDES), indexing="ij")

    def corner(along: int, up: int) -> Tensor:
        phi, psi = 2 * math.pi * (around + along) / SEGMENTS, 2 * math.pi * (over + up) / SIDES
        ring = MAJOR + MINOR * psi.cos()
        return torch.stack([ring * phi.cos(), ring * phi.sin(), MINOR * psi.sin()], dim=-1).view(-1, 3)

    a, b, c, d = corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)
    faces = torch.cat([torch.stack([a, b, c], dim=1), torch.stack([a, c, d], dim=1)])
    return faces.to(scene.uniform(1))


def _silhouettes(scene: Scene) -> tuple[list[np.ndarray], Cameras]:
    """Masks (H, W) bool of a ball of radius 0.6 around the origin, seen from all around."""
    cameras = scene.cameras(scene.normal(VIEWS, 3), FOCAL, (MASK_HEIGHT, MASK_WIDTH))
    middle = ((MASK_WIDTH - 1) / 2, (MASK_HEIGHT - 1) / 2)
    column, row = np.meshgrid(np.arange(MASK_WIDTH) - middle[0], np.arange(MASK_HEIGHT) - middle[1])
    outline = FOCAL * math.tan(math.asin(0.6 / DISTANCE))
    mask = np.hypot(column, row) < outline
    return [mask] * VIEWS, cameras

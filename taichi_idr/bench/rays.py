"""Rays: from pixels, through the bounding sphere, their differentiable point on the surface, their samples' weights."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ..config import LossConfig
from ..ops.compositing import weights
from ..ops.intersection import surface_points
from ..ops.raygen import generate_rays
from ..ops.sphere_bounds import sphere_bounds
from ..reference import compositing as compositing_twin
from ..reference import intersection as intersection_twin
from ..reference import raygen as raygen_twin
from ..reference import sphere_bounds as bounds_twin
from .case import EXACT, Case, Gate, Work, adjoints
from .scene import DISTANCE, Scene

VIEWS = 32
SAMPLES = 96  # along a ray of preset `unisurf`
ROUNDED = Gate(2e-6)  # of single precision, after some ten operations; measured 4e-7
SUMMED = Gate(2e-5)  # sums over all rays of a view; measured 1e-6
GRAZED = Gate(1e-4, 2e-3)  # the depth of a ray that just meets the sphere is a root of nearly nothing; measured 1e-5

GRAZING = LossConfig().grazing
POINTS = partial(surface_points, grazing=GRAZING)
POINTS_TWIN = partial(intersection_twin.surface_points, grazing=GRAZING)


def generate(scene: Scene, size: int) -> Case:
    """Rays through pixels of 32 cameras."""
    arguments = _cameras_and_pixels(scene, size)
    work = Work(bytes=36, operations=60)  # view and pixel in, origin and direction out
    ours, twin = lambda: generate_rays(*arguments), lambda: raygen_twin.generate_rays(*arguments)
    return Case(ours, twin, (EXACT, ROUNDED), work=work)


def generate_adjoint(scene: Scene, size: int) -> Case:
    """The same, adjoint to quaternions and centres."""
    arguments = _cameras_and_pixels(scene, size)
    leaves = [tensor.requires_grad_() for tensor in arguments[:2]]
    pulled = adjoints(generate_rays, raygen_twin.generate_rays, arguments, leaves, scene.generator)
    work = Work(bytes=36, operations=180)  # three times the value, as for any reverse sweep
    return Case(*pulled, (SUMMED, SUMMED), work=work)


def bounds(scene: Scene, size: int) -> Case:
    """Depths at which rays enter and leave the bounding sphere."""
    rays = scene.rays(size)
    arguments = (rays.origins, rays.directions, 1.0)
    work = Work(bytes=36, operations=22)
    ours, twin = lambda: sphere_bounds(*arguments), lambda: bounds_twin.sphere_bounds(*arguments)
    return Case(ours, twin, (GRAZED, GRAZED, Gate(0.0, 2e-3)), work=work)


def intersection(scene: Scene, size: int) -> Case:
    """Differentiable surface points (Lemma 1)."""
    arguments = _surface(scene, size)
    work = Work(bytes=64, operations=12)  # ray, depth, value and normal in, point out
    ours, twin = lambda: POINTS(*arguments), lambda: POINTS_TWIN(*arguments)
    return Case(ours, twin, (ROUNDED, EXACT), work=work)


def intersection_adjoint(scene: Scene, size: int) -> Case:
    """The same, adjoint to rays and field value."""
    arguments = _surface(scene, size)
    leaves = [arguments[i].requires_grad_() for i in (0, 1, 3)]
    pulled = adjoints(POINTS, POINTS_TWIN, arguments, leaves, scene.generator)
    return Case(*pulled, (Gate(1e-6),) * 3, work=Work(bytes=68, operations=20))


def compositing(scene: Scene, size: int) -> Case:
    """Weights of 96 samples along rays."""
    alpha = scene.uniform(size, SAMPLES) ** 4
    work = Work(bytes=8 * SAMPLES, operations=3 * SAMPLES)
    return Case(lambda: (weights(alpha),), lambda: (compositing_twin.weights(alpha),), (ROUNDED,), work=work)


def compositing_adjoint(scene: Scene, size: int) -> Case:
    """The same, adjoint to the samples' alphas."""
    alpha = (scene.uniform(size, SAMPLES) ** 4).requires_grad_()
    ours, twin = lambda a: (weights(a),), lambda a: (compositing_twin.weights(a),)
    pulled = adjoints(ours, twin, (alpha,), (alpha,), scene.generator)
    return Case(*pulled, (SUMMED,), work=Work(bytes=20 * SAMPLES, operations=8 * SAMPLES))


def _cameras_and_pixels(scene: Scene, size: int) -> tuple[Tensor, ...]:
    centres = DISTANCE * torch.nn.functional.normalize(scene.normal(VIEWS, 3), dim=1)
    intrinsics = torch.tensor([[1000.0, 3, 400], [0, 1000, 300], [0, 0, 1]])
    inverse = torch.linalg.inv(intrinsics).repeat(VIEWS, 1, 1).to(centres)
    pixels = scene.uniform(size, 2) * torch.tensor([800.0, 600]).to(centres)
    return scene.normal(VIEWS, 4), centres, inverse, scene.integers(VIEWS, size), pixels


def _surface(scene: Scene, size: int) -> tuple[Tensor, ...]:
    """Rays, depths, values and normals, no ray grazing."""
    rays = scene.rays(size)
    normal = torch.nn.functional.normalize(0.5 * scene.normal(size, 3) - 2 * rays.directions, dim=1)
    return rays.origins, rays.directions, 1.5 + 2 * scene.uniform(size), scene.normal(size), normal

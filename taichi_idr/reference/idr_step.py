"""One training step of IDR in plain torch (sections 1 to 4 and CAM-1 of the method): slow, obvious, any dtype.

The networks are asked as often as the released code asks them, but for one forward pass at the surface points of which
that code uses the detached values alone: f at every ray's point, grad f at surface, box and traced points, f and z at
the differentiable point, grad f there. A step here is a lower bound of what a step of the released algorithm costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .idr_networks import Shapes, State, gradient, renderer, sdf_network
from .idr_trace import Traced, TracerNumbers, trace
from .raygen import generate_rays


@dataclass(frozen=True)
class Numbers:
    """Constants of the step. grazing: the least |n.v| of Lemma 1; chunk: points of one question of the tracer."""

    shapes: Shapes = field(default_factory=Shapes)
    tracer: TracerNumbers = field(default_factory=TracerNumbers)
    mask_weight: float = 100.0
    eikonal_weight: float = 0.1
    grazing: float = 0.05
    chunk: int = 100_000


@dataclass(frozen=True)
class Batch:
    """One image's rays and the step's random numbers.

    view; pixels (R, 2) u, v; observed (R, 3) in [-1, 1]; is_object (R,) bool; box (1024, 3) uniform in [-1, 1]^3
    (LOSS-3); fractions (100,) uniform in [0, 1] (TRACE-14).
    """

    view: int
    pixels: Tensor
    observed: Tensor
    is_object: Tensor
    box: Tensor
    fractions: Tensor


@dataclass(frozen=True)
class Step:
    """What a step found: the rays' ends, Lemma 1's points (S, 3) on hit object pixels, weighted terms, their sum."""

    traced: Traced
    on_surface: Tensor
    points: Tensor
    clamped: int
    colour: Tensor
    mask: Tensor
    eikonal: Tensor
    total: Tensor


def idr_step(
    state: State,
    quaternions: Tensor,
    centres: Tensor,
    inverse_intrinsics: Tensor,
    batch: Batch,
    alpha: float,
    numbers: Numbers,
) -> Step:
    """Attached to the state's tensors, quaternions (V, 4) and centres (V, 3); K^-1 (V, 3, 3). alpha: of LOSS-5."""
    network = sdf_network(state, numbers.shapes.sdf)
    view = torch.full_like(batch.is_object, batch.view, dtype=torch.long)
    c, v = generate_rays(quaternions, centres, inverse_intrinsics, view, batch.pixels)
    traced = _trace(state, c.detach(), v.detach(), batch, numbers)
    hit = traced.hit & batch.is_object

    ends = c + traced.search_depth[:, None] * v
    f = network(ends)[:, 0]
    slopes = gradient(network, torch.cat([ends[hit], batch.box, ends]).detach())
    at_hits, regular = slopes.split([int(hit.sum()), len(batch.box) + len(ends)])
    points, clamped = lemma_1(c[hit], v[hit], traced.depth[hit], f[hit], at_hits, numbers.grazing)
    z = network(points)[:, 1:]
    normal = gradient(network, points)
    predicted = renderer(state, numbers.shapes.renderer, points, normal, -v[hit], z)

    rays = len(batch.is_object)
    colour = colour_term(predicted, batch.observed[hit], rays)
    mask = numbers.mask_weight * mask_term(f[~hit], batch.is_object[~hit], alpha, rays)
    eikonal = numbers.eikonal_weight * eikonal_term(regular)
    return Step(traced, hit, points, clamped, colour, mask, eikonal, colour + mask + eikonal)


def lemma_1(c: Tensor, v: Tensor, depth: Tensor, f: Tensor, n: Tensor, grazing: float) -> tuple[Tensor, int]:
    """x = c + t v, t = t0 - (f - stop f) / (stop n . stop v), and how many |n.v| were raised to `grazing`.

    c, v (S, 3) attached; depth (S,) as traced; f (S,) at c + t0 v, attached to parameters, c and v; n (S, 3) = grad f
    there. The denominator keeps its sign; zero counts as entering the surface.
    """
    cosine = (n.detach() * v.detach()).sum(dim=1)
    sign = torch.where(cosine > 0, 1.0, -1.0).to(cosine)
    t = depth - (f - f.detach()) / (sign * cosine.abs().clamp(min=grazing))
    return c + t[:, None] * v, int((cosine.abs() < grazing).sum())


def colour_term(predicted: Tensor, observed: Tensor, rays: int) -> Tensor:
    """LOSS-1: over hit object pixels, divided by the number of all rays."""
    return (predicted - observed).abs().sum() / max(rays, 1)


def mask_term(f: Tensor, is_object: Tensor, alpha: float, rays: int) -> Tensor:
    """LOSS-2: over all other pixels."""
    entropy = F.binary_cross_entropy_with_logits(-alpha * f, is_object.to(f.dtype), reduction="sum")
    return entropy / (alpha * max(rays, 1))


def eikonal_term(slopes: Tensor) -> Tensor:
    """LOSS-3."""
    return ((slopes.norm(dim=1) - 1) ** 2).sum() / max(len(slopes), 1)


def _trace(state: State, c: Tensor, v: Tensor, batch: Batch, numbers: Numbers) -> Traced:
    network = sdf_network({name: tensor.detach() for name, tensor in state.items()}, numbers.shapes.sdf)
    shared = (numbers.tracer, batch.is_object, batch.fractions, numbers.chunk)
    return trace(c, v, lambda x: network(x)[:, 0], *shared)

"""The plain reference of preset `idr`: its networks, its tracer beside the one-ray twin, its losses."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from scenes import rays_towards
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr.config import TracerConfig
from taichi_idr.reference import idr_networks, idr_step, idr_trace
from taichi_idr.reference import trace as one_ray
from taichi_idr.reference.analytic_sdf import sphere, torus, two_spheres
from taichi_idr.reference.idr_networks import RendererShape, SdfShape, Shapes, State
from taichi_idr.reference.idr_step import Batch, Numbers
from taichi_idr.reference.idr_trace import TracerNumbers
from taichi_idr.types import Rays

SMALL = Shapes(
    SdfShape(width=48, hidden_layers=3, features=5, skip=2),
    RendererShape(width=16, hidden_layers=2, features=5),
)
STEP = 1e-6


def parameters(state: State, network: str) -> int:
    return sum(tensor.numel() for name, tensor in state.items() if name.startswith(network))


def test_net_3_net_6_net_11_names_and_parameters(generator):
    state = idr_networks.initial_state(Shapes(), generator)
    assert parameters(state, "implicit_network") == 1_975_220
    assert parameters(state, "rendering_network") == 940_038
    layers = [f"implicit_network.lin{i}" for i in range(9)] + [f"rendering_network.lin{i}" for i in range(5)]
    assert set(state) == {f"{layer}.{part}" for layer in layers for part in ("weight_g", "weight_v", "bias")}
    assert state["implicit_network.lin3.weight_v"].shape == (473, 512)
    assert state["implicit_network.lin8.weight_g"].shape == (257, 1)


@pytest.mark.parametrize(
    ("changes", "inputs"),
    [({}, 289), ({"mode": "no_view_dir"}, 262), ({"mode": "no_normal"}, 286), ({"features": 0}, 33)],
    ids=["idr", "no_view_dir", "no_normal", "no_feature"],
)
def test_net_7_modes(changes, inputs, generator):
    shape = replace(RendererShape(width=8), **changes)
    assert shape.inputs == inputs
    state = idr_networks.initial_state(Shapes(SMALL.sdf, shape), generator)
    x, normal, view = torch.rand(3, 4, 3, generator=generator, dtype=torch.float64)
    z = torch.rand(4, shape.features, generator=generator, dtype=torch.float64)
    render = partial(idr_networks.renderer, state, shape)
    colours = render(x, normal, view, z)
    assert colours.shape == (4, 3)
    assert colours.abs().max() < 1
    assert torch.equal(render(x, normal, -view, z), colours) == (shape.mode == "no_view_dir")
    assert torch.equal(render(x, -normal, view, z), colours) == (shape.mode == "no_normal")


def test_net_1_net_2_encodings():
    x = torch.tensor([[0.1, 0.2, 0.3]], dtype=torch.float64)
    assert idr_networks.positional_encoding(x, 6).shape == (1, 39)
    assert idr_networks.positional_encoding(x, 4).shape == (1, 27)
    released = idr_networks.positional_encoding(x, 2)[0].tolist()
    columns = [wave(k * y) for k in (1, 2) for wave in (math.sin, math.cos) for y in (0.1, 0.2, 0.3)]
    assert released == pytest.approx([0.1, 0.2, 0.3, *columns])
    exponent = torch.exp(2j * math.pi * torch.arange(1, 4)[:, None] * x)
    expected = torch.cat([x, torch.view_as_real(exponent).permute(0, 2, 1).reshape(1, -1)], dim=1)
    torch.testing.assert_close(idr_networks.paper_encoding(x, 3), expected)


def test_net_4_geometric_init():
    """A ball of 0.33 to 0.62 (32 seeds: 0.48 in the mean), f(0) near -0.18, |grad f| near 0.9, features equal to f."""
    radii = torch.linspace(0.02, 1, 50)
    starts = [_start_of(seed, radii) for seed in range(4)]
    radius, at_origin, steepness, feature_gap = (torch.stack(column) for column in zip(*starts, strict=True))
    assert (radius > 0.3).all()
    assert (radius < 0.65).all()
    assert float(radius.mean()) == pytest.approx(0.46, abs=0.1)
    assert float(at_origin.mean()) == pytest.approx(-0.17, abs=0.05)
    assert float(steepness.mean()) == pytest.approx(0.9, abs=0.12)
    assert feature_gap.max() < 1e-3


def _start_of(seed: int, radii: Tensor) -> tuple[Tensor, ...]:
    """Mean radius of the zero level, f(0), mean |grad f| in the box, largest |z - f|."""
    generator = torch.Generator().manual_seed(seed)
    network = idr_networks.sdf_network(idr_networks.initial_state(Shapes(), generator, torch.float32), SdfShape())
    directions = normalize(torch.randn(25, 3, generator=generator), dim=1)
    box = torch.rand(100, 3, generator=generator) * 2 - 1
    steepness = idr_networks.gradient(network, box).detach().norm(dim=1).mean()
    with torch.no_grad():
        values = network((radii[:, None, None] * directions).reshape(-1, 3))
        inside = (values[:, 0].view(len(radii), -1) < 0).sum(dim=0)
        at_origin = network(torch.zeros(1, 3))[0, 0]
    return radii[inside - 1].mean(), at_origin, steepness, (values[:, 1:] - values[:, :1]).abs().max()


def test_net_5_weight_norm_keeps_the_drawn_weights(generator):
    """g is the length of each row: before training the norm changes nothing; scaling v does not either."""
    state = idr_networks.initial_state(SMALL, generator)
    points = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    before = idr_networks.sdf_network(state, SMALL.sdf)(points)
    for name, tensor in state.items():
        if name.endswith("weight_v"):
            torch.testing.assert_close(tensor.norm(dim=1, keepdim=True), state[name.replace("_v", "_g")])
    scaled = {name: 3 * tensor if name.endswith("weight_v") else tensor for name, tensor in state.items()}
    torch.testing.assert_close(idr_networks.sdf_network(scaled, SMALL.sdf)(points), before)


def test_net_10_gradient_of_the_gradient(generator):
    """grad f against differences of f, and its derivative in x and in a weight against differences of grad f."""
    state = idr_networks.initial_state(SMALL, generator)
    points, move = torch.rand(2, 6, 3, generator=generator, dtype=torch.float64)
    name = "implicit_network.lin1.weight_v"
    state[name].requires_grad_()
    points.requires_grad_()
    network = idr_networks.sdf_network(state, SMALL.sdf)
    slope = idr_networks.gradient(network, points)
    with torch.no_grad():
        change = (network(points + STEP * move) - network(points - STEP * move))[:, 0] / (2 * STEP)
    torch.testing.assert_close((slope * move).sum(dim=1), change, atol=1e-7, rtol=1e-7)
    to_points, to_weight = torch.autograd.grad(slope.square().sum(), (points, state[name]))

    def energy(x: Tensor, weight: Tensor) -> Tensor:
        moved = idr_networks.sdf_network({**state, name: weight.detach()}, SMALL.sdf)
        return idr_networks.gradient(moved, x.detach()).square().sum().detach()

    turn = torch.randn(to_weight.shape, generator=generator, dtype=torch.float64)
    for got, direction, f in (
        (to_points, move, lambda d: energy(points + d, state[name])),
        (to_weight, turn, lambda d: energy(points, state[name] + d)),
    ):
        expected = (f(STEP * direction) - f(-STEP * direction)) / (2 * STEP)
        assert float((got * direction).sum()) == pytest.approx(float(expected), rel=1e-6)


def shallow(points: Tensor) -> Tensor:
    return 0.1 * two_spheres(points, 0.4, 0.3)


def steep(points: Tensor) -> Tensor:
    return 2 * torus(points, 0.5, 0.2)


@pytest.mark.parametrize(
    "field", [partial(torus, major=0.5, minor=0.2), shallow, steep], ids=["torus", "flat", "steep"]
)
@pytest.mark.precision("float64")
def test_trace_all_rays_at_once_equals_one_ray_at_a_time(field, generator):
    """TRACE-1 to TRACE-14 read twice; only points that are still wanted are asked for."""
    rays = rays_towards(60, generator, spread=0.45)
    rays = Rays(rays.origins.cpu(), rays.directions.cpu())
    mask = torch.rand(60, generator=generator) < 0.5
    draw = torch.Generator().manual_seed(3)
    fractions = torch.rand(100, generator=draw, dtype=torch.float64)
    ours = idr_trace.trace(rays.origins, rays.directions, field, TracerNumbers(), mask, fractions, chunk=37)
    twin = one_ray.trace(rays, field, TracerConfig(), object_mask=mask, generator=draw.manual_seed(3))
    assert torch.equal(ours.hit, twin.hit)
    assert ours.hit.any()
    torch.testing.assert_close(ours.search_depth, twin.search_depth, atol=1e-12, rtol=0)
    torch.testing.assert_close(ours.depth[ours.hit], twin.depth[twin.hit], atol=1e-12, rtol=0)


def test_trace_counts_what_it_asks(generator):
    """A sphere's front A arrives head-on after one step: two questions; B after one: two; no samples (TRACE-2 to 6)."""
    origins, directions = torch.tensor([[0.0, 0, 3]]), torch.tensor([[0.0, 0, -1]])
    asked = []

    def counting(points: Tensor) -> Tensor:
        asked.append(len(points))
        return sphere(points, 0.5)

    mask = torch.ones(1, dtype=torch.bool)
    traced = idr_trace.trace(origins, directions, counting, TracerNumbers(), mask, torch.rand(100))
    assert traced.queries == sum(asked) == 4
    assert traced.hit.item()
    assert float(traced.depth) == pytest.approx(2.5)


def test_loss_1_to_3_by_hand():
    """LOSS-1 and LOSS-2 divide by the number of all rays, LOSS-3 by that of its points."""
    colours = torch.tensor([[0.5, -0.5, 0.0]])
    assert float(idr_step.colour_term(colours, torch.zeros(1, 3), rays=4)) == pytest.approx(0.25)
    f, is_object = torch.tensor([0.1, -0.2]), torch.tensor([True, False])
    entropy = math.log1p(math.exp(50 * 0.1)) + math.log1p(math.exp(50 * 0.2))
    assert float(idr_step.mask_term(f, is_object, alpha=50, rays=4)) == pytest.approx(entropy / 50 / 4)
    slopes = torch.tensor([[2.0, 0, 0], [0, 0, 0.5]])
    assert float(idr_step.eikonal_term(slopes)) == pytest.approx((1 + 0.25) / 2)


def batch(rays: int, objects: list[bool] | None, generator: torch.Generator, *, spread: float = 40.0) -> Batch:
    """Pixels around the principal point (100, 80) of `camera`."""
    draws = {"generator": generator, "dtype": torch.float64}
    centre = torch.tensor([100.0, 80], dtype=torch.float64)
    return Batch(
        view=1,
        pixels=centre + spread * torch.randn(rays, 2, **draws),
        observed=torch.rand(rays, 3, **draws) * 2 - 1,
        is_object=torch.tensor(objects, dtype=torch.bool) if objects is not None else torch.rand(rays, **draws) < 0.6,
        box=torch.rand(64, 3, **draws) * 2 - 1,
        fractions=torch.rand(100, **draws),
    )


def cameras() -> tuple[Tensor, Tensor, Tensor]:
    """Two cameras; the second looks at the origin along +z. Quaternions are not normalised."""
    quaternions = torch.tensor([[0.3, 0.4, 0.1, 0.2], [2.0, 0, 0, 0]], dtype=torch.float64)
    centres = torch.tensor([[1.0, 1, 1], [0, 0, -2.5]], dtype=torch.float64)
    intrinsics = torch.tensor([[250.0, 1, 100], [0, 255, 80], [0, 0, 1]], dtype=torch.float64)
    return quaternions.requires_grad_(), centres.requires_grad_(), torch.linalg.inv(intrinsics).repeat(2, 1, 1)


def attached_state(generator: torch.Generator) -> State:
    """A ball of about 0.5 whose features vary along its surface (at first they equal f, which is constant there)."""
    state = idr_networks.initial_state(SMALL, generator)
    state["implicit_network.lin3.bias"] *= 1.2
    state["implicit_network.lin3.weight_v"][1:] += 0.2 * torch.randn(5, 48, generator=generator, dtype=torch.float64)
    return {name: tensor.clone().requires_grad_() for name, tensor in state.items()}


SETS = {"no_rays": [], "only_background": [False] * 5, "only_object": [True] * 5}


@pytest.mark.parametrize("objects", SETS.values(), ids=SETS)
@pytest.mark.parametrize("spread", [1.0, 400.0], ids=["on_object", "past_object"])
def test_zero_rays_in_any_set_are_finite(objects, spread, generator):
    """No hits, no misses, no rays at all: loss and gradients stay finite."""
    state, (q, c, inverse) = attached_state(generator), cameras()
    step = idr_step.idr_step(
        state, q, c, inverse, batch(len(objects), objects, generator, spread=spread), 50.0, Numbers(SMALL)
    )
    step.total.backward()
    assert step.total.isfinite()
    gradients = [x.grad for x in (*state.values(), q, c) if x.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_loss_4_step_sets_and_gradients(generator):
    """Hit object pixels in the colour term, all others in the mask term; only the sampled image's pose moves."""
    state, (q, c, inverse) = attached_state(generator), cameras()
    rays = batch(200, None, generator)
    step = idr_step.idr_step(state, q, c, inverse, rays, 50.0, Numbers(SMALL))
    assert torch.equal(step.on_surface, step.traced.hit & rays.is_object)
    assert 20 < int(step.on_surface.sum()) < 180
    assert (step.traced.hit & ~rays.is_object).any()
    assert (~step.traced.hit).any()
    torch.testing.assert_close(step.total, step.colour + step.mask + step.eikonal)
    lighter = replace(Numbers(SMALL), mask_weight=50.0, eikonal_weight=0.2)
    again = idr_step.idr_step(state, q, c, inverse, rays, 50.0, lighter)
    torch.testing.assert_close(again.mask * 2, step.mask)
    torch.testing.assert_close(again.eikonal / 2, step.eikonal)
    step.total.backward()
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in state.values())
    for pose in (q, c):
        assert pose.grad is not None
        assert (pose.grad[0] == 0).all()
        assert (pose.grad[1] != 0).any()


def test_cameras_learn_from_colour_and_mask_only(generator):
    """The eikonal term's traced points are detached (LOSS-3)."""
    state, (q, c, inverse) = attached_state(generator), cameras()
    step = idr_step.idr_step(state, q, c, inverse, batch(100, None, generator), 50.0, Numbers(SMALL))
    assert torch.autograd.grad(step.eikonal, [q, c], retain_graph=True, allow_unused=True) == (None, None)
    for term in (step.colour, step.mask):
        assert all(g.abs().max() > 0 for g in torch.autograd.grad(term, [q, c], retain_graph=True))


@pytest.mark.parametrize("moved", ["q", "c", "theta"])
def test_step_gradient_against_differences_of_the_whole_step(moved, generator):
    """Colour of rays that hit, traced anew after each change: Lemma 1 with everything that is evaluated at x."""
    state, (q, c, inverse) = attached_state(generator), cameras()
    name = "implicit_network.lin1.weight_g"
    tracer = TracerNumbers(sdf_threshold=1e-13, sphere_tracing_iters=300)
    rays, numbers = batch(6, [True] * 6, generator, spread=8.0), replace(Numbers(SMALL), tracer=tracer)
    start = {"q": q, "c": c, "theta": state[name]}

    def colour(change: Tensor | float) -> Tensor:
        here = {**start, moved: start[moved] + change}
        changed = {**state, name: here["theta"]}
        step = idr_step.idr_step(changed, here["q"], here["c"], inverse, rays, 50.0, numbers)
        assert step.on_surface.all()
        assert idr_networks.sdf_network(changed, SMALL.sdf)(step.points)[:, 0].abs().max() < 1e-12
        return step.colour

    change = torch.zeros_like(start[moved], requires_grad=True)
    direction = torch.randn(change.shape, generator=generator, dtype=torch.float64)
    (got,) = torch.autograd.grad(colour(change), change)
    expected = (colour(STEP * direction) - colour(-STEP * direction)).item() / (2 * STEP)
    assert float((got * direction).sum()) == pytest.approx(expected, rel=2e-7)  # measured: 2e-8

"""One whole step of preset `idr`: production beside the plain reference, on the same rays and random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
import torch
from captures import make_capture
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.capture.pixels import PixelBatch
from taichi_idr.capture.reading import read_capture
from taichi_idr.methods.idr.released import from_official, to_official
from taichi_idr.methods.idr.settings import IdrConfig
from taichi_idr.methods.idr.trainer import IdrStep, IdrTrainer
from taichi_idr.reference.idr_networks import RendererShape, SdfShape, Shapes, State
from taichi_idr.reference.idr_step import Batch, Numbers, Step, idr_step

RAYS = 300
AGREEMENT = 1e-8  # relative to a tensor's largest entry; measured: 4e-12
NARROW = {
    "geometry": {"width": 48, "hidden_layers": 3, "features": 8, "skip_layer": 2, "initial_bias": 0.8},
    "radiance": {"width": 32, "hidden_layers": 2},
    "schedule": {"rays": RAYS},
    "cameras": {"train": True},
}
VARIANTS = {
    "no_view_dir": {"radiance": {"mode": "no_view_dir"}},
    "no_normal": {"radiance": {"mode": "no_normal"}},
    "no_feature": {"geometry": {"features": 0}},
    "paper_encoding": {"geometry": {"encoding": "paper", "position_frequencies": 2}},
    "no_encoding": {"geometry": {"position_frequencies": 0}},
    "no_skip": {"geometry": {"skip_layer": 0}},
}


def narrow_config(changes: dict[str, dict[str, object]]) -> IdrConfig:
    """The published numbers with small networks."""
    preset = IdrConfig().model_dump()
    groups = {name: {**preset[name], **NARROW.get(name, {}), **changes.get(name, {})} for name in NARROW}
    return IdrConfig.model_validate({**preset, **groups})


def numbers_of(config: IdrConfig) -> Numbers:
    """The published constants of the reference, with the networks' sizes of `config`."""
    geometry, radiance = config.geometry, config.radiance
    sdf = SdfShape(
        width=geometry.width,
        hidden_layers=geometry.hidden_layers,
        features=geometry.features,
        skip=geometry.skip_layer or None,
        frequencies=geometry.position_frequencies,
        encoding=geometry.encoding,
    )
    renderer = RendererShape(radiance.width, radiance.hidden_layers, geometry.features, mode=radiance.mode)
    return Numbers(Shapes(sdf, renderer))


@dataclass(frozen=True)
class Both:
    """A step by production, and the same one by the reference; gradients by name, absent where none arrives."""

    ours: IdrStep
    our_gradients: dict[str, Tensor]
    twin: Step
    twin_gradients: dict[str, Tensor]
    view: int


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return read_capture(make_capture(tmp_path_factory.mktemp("captures") / "balls"))


def step_both(capture, config: IdrConfig, seed: int, pick: Callable[[PixelBatch], Tensor] | None = None) -> Both:
    """`pick` chooses among the batch's rays."""
    trainer = IdrTrainer(config.model_copy(update={"seed": seed}), capture, runtime.current().device)
    state = moved(to_official(trainer.model.state_dict()), torch.Generator().manual_seed(seed))
    trainer.model.load_state_dict(from_official(state), strict=False)
    trainer.model.field_changed()
    batch, box = trainer.pixels.at_step(seed), trainer.draw_box()
    if pick:
        batch = PixelBatch(*(tensor[pick(batch)] for tensor in vars(batch).values()))
    ours = trainer.losses_with(batch, box, torch.Generator().manual_seed(seed))
    ours.report.loss.backward()

    poses = {"quaternions": trainer.poses.quaternions, "places": trainer.poses.places}
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in {**state, **poses}.items()}
    rays = reference_batch(batch, box, torch.Generator().manual_seed(seed))
    inverse = torch.linalg.inv(capture.cameras.intrinsics).to(box)
    cameras = (leaves["quaternions"], leaves["places"], inverse)
    twin = idr_step(leaves, *cameras, rays, trainer.alpha, numbers_of(config))
    twin.total.backward()
    networks = to_official(gradients_of(trainer.model.named_parameters()))
    return Both(ours, networks | gradients_of(poses.items()), twin, gradients_of(leaves.items()), rays.view)


def moved(state: State, generator: torch.Generator) -> State:
    """Away from the initialisation, whose zero columns and equal features hide mistakes."""
    return {
        name: tensor + 0.03 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
        for name, tensor in state.items()
    }


def reference_batch(batch: PixelBatch, box: Tensor, generator: torch.Generator) -> Batch:
    (view,) = batch.view.unique().tolist()
    fractions = torch.rand(100, generator=generator, dtype=box.dtype).to(box.device)
    return Batch(view, batch.position.to(box), batch.colour.to(box), batch.is_object, box, fractions)


def gradients_of(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    return {name: tensor.grad for name, tensor in tensors if tensor.grad is not None}


def assert_same_step(both: Both) -> None:
    """Hits, points, terms and gradients. No ray is left out: in double precision both decide alike at silhouettes."""
    ours, twin = both.ours, both.twin
    assert torch.equal(ours.hits.hit, twin.traced.hit)
    assert torch.equal(ours.on_surface, twin.on_surface)
    assert_equal(ours.hits.search_depth, twin.traced.search_depth, "search depth")
    assert_equal(ours.points, twin.points, "points")
    assert int(ours.report.measured["clamped"]) == twin.clamped
    assert_equal(ours.report.loss, twin.total, "loss")
    for term, theirs in {"colour": twin.colour, "mask": twin.mask, "eikonal": twin.eikonal}.items():
        assert_equal(ours.report.terms[term], theirs, term)
    for name, theirs in both.twin_gradients.items():
        assert_equal(both.our_gradients.get(name, torch.zeros_like(theirs)), theirs, name)
    assert set(both.our_gradients) <= set(both.twin_gradients)


def assert_equal(ours: Tensor, twin: Tensor, name: str) -> None:
    scale = twin.detach().abs().max().item() if twin.numel() else 0.0
    torch.testing.assert_close(ours, twin, atol=AGREEMENT * scale, rtol=0, msg=lambda text: f"{name}: {text}")


@pytest.mark.precision("float64")
@pytest.mark.parametrize("seed", [0, 1, 3], ids=lambda seed: f"seed{seed}")
def test_step_hits_terms_and_every_gradient(capture, seed):
    """NET-1 to NET-10, TRACE-1 to TRACE-14, LOSS-1 to LOSS-4, CAM-1, CAM-4 and Lemma 1, in one comparison."""
    both = step_both(capture, narrow_config({}), seed)
    assert_same_step(both)
    hits, on_surface = both.ours.hits, both.ours.on_surface
    assert min(int(rays.sum()) for rays in (on_surface, hits.hit & ~on_surface, ~hits.hit)) > 20
    assert len(both.our_gradients) == 3 * (4 + 3) + 2
    assert all(gradient.abs().max() > 0 for gradient in both.our_gradients.values())
    others = [view for view in range(len(capture)) if view != both.view]
    for pose in ("quaternions", "places"):
        assert (both.our_gradients[pose][others] == 0).all()


@pytest.mark.precision("float64")
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_step_of_variants(capture, variant):
    """NET-2 and NET-7: other encodings, inputs left out of the renderer."""
    both = step_both(capture, narrow_config(variant), 1)
    assert_same_step(both)
    assert int(both.ours.on_surface.sum()) > 20


SETS: dict[str, Callable[[PixelBatch], Tensor]] = {
    "background": lambda batch: ~batch.is_object,
    "object": lambda batch: batch.is_object,
    "one_object_pixel": lambda batch: batch.is_object.nonzero()[:1, 0],
    "one_background_pixel": lambda batch: (~batch.is_object).nonzero()[:1, 0],
}


@pytest.mark.precision("float64")
@pytest.mark.parametrize("pick", SETS.values(), ids=SETS)
def test_step_of_few_rays(capture, pick):
    """Zero rays in any set, and a single pixel (a trap of the released tracer), give the same finite step."""
    both = step_both(capture, narrow_config({}), 1, pick)
    assert_same_step(both)
    assert both.ours.report.loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in both.our_gradients.values())


def test_published_constants():
    """What the reference takes from the method is what preset `idr` runs with (section 2, LOSS-4, NET-3, NET-6)."""
    config, numbers = IdrConfig(), Numbers()
    assert numbers_of(config) == numbers
    tracer, theirs = config.tracer, numbers.tracer
    assert (tracer.radius, tracer.tolerance) == (theirs.radius, theirs.sdf_threshold)
    assert (tracer.line_search_step, tracer.line_search_iterations) == (theirs.line_search_step, theirs.line_step_iters)
    assert tracer.sphere_tracing_iterations == theirs.sphere_tracing_iters
    assert (tracer.samples, tracer.secant_iterations) == (theirs.n_steps, theirs.n_secant_steps)
    assert (config.loss.mask_weight, config.loss.eikonal_weight) == (numbers.mask_weight, numbers.eikonal_weight)
    assert (config.loss.eikonal_points, config.loss.grazing) == (1024, numbers.grazing)
    assert config.loss.smooth_weight == 0
    assert config.geometry.softplus_beta == numbers.shapes.sdf.beta
    assert config.radiance.view_frequencies == numbers.shapes.renderer.frequencies
    assert config.cameras.parameters == "centre"

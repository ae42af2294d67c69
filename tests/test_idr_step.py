"""One whole step of preset `idr`: production beside the plain reference, on the same rays and random numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from captures import make_capture
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.capture import read_capture
from taichi_idr.config import IdrConfig
from taichi_idr.fields.official import from_official, to_official
from taichi_idr.pixels import PixelBatch
from taichi_idr.reference.idr_networks import RendererShape, SdfShape, Shapes, State
from taichi_idr.reference.idr_step import Batch, Numbers, Step, idr_step
from taichi_idr.training_idr import IdrStep, IdrTrainer

RAYS = 300
AGREEMENT = 1e-8  # relative to a tensor's largest entry; measured:
NARROW = {
    "geometry": {"width": 48, "hidden_layers": 3, "features": 8, "skip_layer": 2, "initial_bias": 0.8},
    "radiance": {"width": 32, "hidden_layers": 2},
    "schedule": {"rays": RAYS},
    "cameras": {"train": True},
}
VARIANTS = {
    "idr": {},
    "no_view_dir": {"radiance": {"mode": "no_view_dir"}},
    "no_normal": {"radiance": {"mode": "no_normal"}},
    "no_feature": {"geometry": {"features": 0}},
    "paper_encoding": {"geometry": {"encoding": "paper", "position_frequencies": 2}},
    "no_encoding": {"geometry": {"position_frequencies": 0}},
}
CASES = [*((name, 0) for name in VARIANTS), ("idr", 1), ("idr", 3)]


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
        skip=geometry.skip_layer,
        frequencies=geometry.position_frequencies,
        encoding=geometry.encoding,
    )
    renderer = RendererShape(radiance.width, radiance.hidden_layers, geometry.features, mode=radiance.mode)
    return Numbers(Shapes(sdf, renderer))


@dataclass(frozen=True)
class Both:
    """A step by production, and the same one by the reference with leaves of its own."""

    trainer: IdrTrainer
    ours: IdrStep
    state: State
    quaternions: Tensor
    centres: Tensor
    twin: Step
    view: int


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return read_capture(make_capture(tmp_path_factory.mktemp("captures") / "balls"))


def moved(state: State, generator: torch.Generator) -> State:
    """Away from the initialisation, whose zero columns and equal features hide mistakes."""
    return {
        name: tensor + 0.03 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
        for name, tensor in state.items()
    }


def step_both(capture, config: IdrConfig, seed: int) -> Both:
    trainer = IdrTrainer(config.model_copy(update={"seed": seed}), capture, runtime.current().device)
    state = moved(to_official(trainer.model.state_dict()), torch.Generator().manual_seed(seed))
    trainer.model.load_state_dict(from_official(state), strict=False)
    trainer.model.field_changed()
    batch, box = trainer.pixels.at_step(seed), trainer.draw_box()
    ours = trainer.losses(batch, box, torch.Generator().manual_seed(seed))
    ours.report.loss.backward()

    attached = {name: tensor.detach().clone().requires_grad_() for name, tensor in state.items()}
    poses = [p.detach().clone().requires_grad_() for p in (trainer.poses.quaternions, trainer.poses.places)]
    rays = reference_batch(batch, box, torch.Generator().manual_seed(seed))
    inverse = torch.linalg.inv(capture.cameras.intrinsics).to(box)
    twin = idr_step(attached, poses[0], poses[1], inverse, rays, trainer.alpha, numbers_of(config))
    twin.total.backward()
    return Both(trainer, ours, attached, poses[0], poses[1], twin, rays.view)


def reference_batch(batch: PixelBatch, box: Tensor, generator: torch.Generator) -> Batch:
    (view,) = batch.view.unique().tolist()
    fractions = torch.rand(100, generator=generator, dtype=box.dtype).to(box.device)
    return Batch(view, batch.position.to(box), batch.colour.to(box), batch.is_object, box, fractions)


def assert_equal(ours: Tensor, twin: Tensor, name: str) -> None:
    apart = ((ours - twin).abs().max() / twin.abs().max()).item()
    assert apart <= AGREEMENT, f"{name}: {apart:.1e}"


@pytest.mark.autodiff
@pytest.mark.precision("float64")
@pytest.mark.parametrize(
    ("variant", "seed"), CASES, ids=lambda value: f"seed{value}" if isinstance(value, int) else value
)
def test_step_hits_terms_and_every_gradient(capture, variant, seed):
    """NET-1 to NET-10, TRACE-1 to TRACE-14, LOSS-1 to LOSS-4, CAM-1, CAM-4 and Lemma 1, in one comparison.

    No ray is left out: in double precision production and reference decide alike even at silhouettes.
    """
    both = step_both(capture, narrow_config(VARIANTS[variant]), seed)
    ours, twin = both.ours, both.twin
    assert torch.equal(ours.hits.hit, twin.traced.hit)
    assert torch.equal(ours.on_surface, twin.on_surface)
    background_hits = ours.hits.hit & ~ours.on_surface
    assert min(int(rays.sum()) for rays in (ours.on_surface, background_hits, ~ours.hits.hit)) > 20
    assert_equal(ours.hits.search_depth, twin.traced.search_depth, "search depth")
    assert_equal(ours.points, twin.points, "points")
    assert int(ours.report.clamped) == twin.clamped
    for term, theirs in {"colour": twin.colour, "mask": twin.mask, "eikonal": twin.eikonal, "loss": twin.total}.items():
        assert theirs.detach() > 0
        assert_equal(getattr(ours.report, term), theirs, term)
    gradients = to_official({name: p.grad for name, p in both.trainer.model.named_parameters() if p.grad is not None})
    assert set(gradients) == set(both.state)
    for name, leaf in both.state.items():
        assert leaf.grad is not None
        assert leaf.grad.abs().max() > 0
        assert_equal(gradients[name], leaf.grad, name)
    for name, leaf in {"quaternions": both.quaternions, "places": both.centres}.items():
        pose = getattr(both.trainer.poses, name)
        assert_equal(pose.grad, leaf.grad, name)
        assert pose.grad[both.view].abs().max() > 0


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

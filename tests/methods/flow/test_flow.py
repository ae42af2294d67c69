"""FLOW-1, FLOW-2 and FLOW-4 at small size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_meshes import ball
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.errors import Diverged
from taichi_idr.meshes.mesh import topology
from taichi_idr.meshes.motions import moving_shape
from taichi_idr.meshes.sequences import MeshSequence
from taichi_idr.methods.flow.network import OccupancyFlow
from taichi_idr.methods.flow.prepared import LabelledSequence, labelled
from taichi_idr.methods.flow.result import first_mesh, moving_mesh, scores
from taichi_idr.methods.flow.settings import FLOW_PRESETS, FlowConfig, make_flow_config
from taichi_idr.methods.flow.trainer import FlowTrainer, fit_flow

SMALL = ["occupancy.width=64", "occupancy.blocks=2", "velocity.width=32", "velocity.blocks=2"]
SMALL += ["samples.per_frame=3000", "samples.first=256", "samples.later=512"]
ERROR_TOLD, ERROR_UNTOLD = 0.005, 0.02
"""Mean distance of vertices from their true places, in the longest edge of the sequence's box."""


def seen(meshes: list, config: FlowConfig, seed: int = 0) -> LabelledSequence:
    return labelled(MeshSequence([str(k) for k in range(len(meshes))], meshes), config.samples, seed)


def sliding(count: int = 5) -> list:
    """A ball of radius 0.5 that goes 0.6 along x."""
    return [ball(0.5, (0.6 * time, 0, 0)) for time in np.linspace(0, 1, count)]


def trainer_for(meshes: list, *assignments: str, **settings) -> FlowTrainer:
    config = make_flow_config("fast", [*SMALL, *assignments], **settings)
    return FlowTrainer(config, seen(meshes, config), runtime.current().device)


def test_flow_1_and_3_published_sizes():
    """FLOW-1 to FLOW-3 against the released settings: 5 x 512, 512 points of 16 sequences a step, dopri5."""
    published = FLOW_PRESETS["published"]
    for network in (published.occupancy, published.velocity):
        assert (network.width, network.blocks) == (512, 5)
    assert (published.samples.first, published.samples.later, published.samples.surface) == (8192, 8192, 1600)
    how = published.integration
    assert (how.method, how.rtol, how.atol) == ("dopri5", 1e-3, 1e-5)
    assert (published.schedule.rate, published.schedule.floor, published.schedule.unlocked) == (1e-4, 1, 0)
    assert (published.loss.strain_weight, published.loss.correspondence_weight) == (0, 0)


def test_flow_1_a_point_is_pulled_back_and_asked_there(generator):
    """FLOW-1: the occupancy of (p, t) is that of where p was; nothing moves before the first step."""
    config = make_flow_config("fast", SMALL)
    flow = OccupancyFlow(config, runtime.current().device, generator)
    points = torch.rand(20, 3, generator=generator).to(runtime.current().device)
    times = torch.rand(20, generator=generator).to(points)
    assert torch.equal(flow.moved(points, times, torch.zeros_like(times)), points)
    flow.velocity = lambda places, then: 2 * then[:, None] * torch.ones_like(places)  # pyright: ignore
    pulled = flow.moved(points, times, torch.zeros_like(times))
    torch.testing.assert_close(pulled, points - times[:, None] ** 2)


def test_flow_2_points_are_of_the_frames_and_labels_true():
    """FLOW-2: half around the surface, half anywhere in the padded cube."""
    config = make_flow_config("fast", SMALL)
    found = seen(sliding(), config)
    assert found.T_world_normalised[0, 0] == pytest.approx(1.6) and found.half == pytest.approx(0.55)
    for time, points, inside in zip(found.times, found.points, found.inside, strict=True):
        world = 1.6 * points + [0.3, 0, 0]
        distance = np.linalg.norm(world - [0.6 * time, 0, 0], axis=1) - 0.5
        clear = np.abs(distance) > 0.005
        assert np.array_equal(inside[clear], distance[clear] < 0)
        near = np.abs(distance) < 3 * 1.6 * config.samples.near
        assert 0.5 < near.mean() < 0.75 and np.abs(points).max() <= 0.55
    assert found.ways is not None
    np.testing.assert_allclose(found.ways[-1] - found.ways[0], np.tile([0.6 / 1.6, 0, 0], (642, 1)), atol=1e-6)


def test_flow_2_the_true_motion_and_shape_have_no_loss(generator):
    """FLOW-2: both terms vanish where they should and nowhere else."""
    trainer = trainer_for(sliding(), "schedule.unlocked=0")
    flow, speed = trainer.flow, torch.tensor([0.6 / 1.6, 0, 0])
    start, radius = torch.tensor([-0.3 / 1.6, 0, 0]), 0.5 / 1.6
    flow.logit = lambda p: 1e4 * (radius - (p - start.to(p)).norm(dim=1))  # pyright: ignore[reportAttributeAccessIssue]
    flow.velocity = lambda p, t: speed.to(p).expand_as(p)  # pyright: ignore[reportAttributeAccessIssue]
    assert trainer._reconstruction() < 0.2  # chords of the mesh's faces
    assert trainer._correspondence() < 1e-6
    flow.velocity = lambda p, t: torch.zeros_like(p)  # pyright: ignore[reportAttributeAccessIssue]
    assert trainer._reconstruction() > 50
    late = float(trainer._correspondence())
    assert late == pytest.approx(0.6 / 1.6 * 0.625, rel=0.1)  # the mean over frames 1 to 4


def test_strain_is_that_of_the_motion():
    """None where rigid, whatever the turn; mean (u . E u)^2 = 1/5 where x alone is stretched."""
    trainer = trainer_for(sliding(), "samples.later=4096", "schedule.unlocked=0")
    axis = torch.tensor([0.3, -0.5, 0.8])

    def rigid(p: Tensor, t: Tensor) -> Tensor:
        return torch.linalg.cross(axis.to(p).expand_as(p), p) + 1

    trainer.flow.velocity = rigid  # pyright: ignore[reportAttributeAccessIssue]
    assert trainer._strain(4096) < 1e-8
    trainer.flow.velocity = lambda p, t: p * p.new_tensor([1, 0, 0])  # pyright: ignore[reportAttributeAccessIssue]
    assert float(trainer._strain(4096)) == pytest.approx(0.2, rel=0.1)


def test_later_frames_are_asked_later():
    trainer = trainer_for(sliding(9), schedule={"steps": 100})
    asked = []
    for trainer.steps_done in (0, 12, 25, 50, 99):
        asked.append(trainer.frames)
    assert asked == [2, 3, 5, 9, 9]
    assert trainer_for(sliding(9), "schedule.unlocked=0").frames == 9


def test_flow_4_the_same_vertices_move():
    """FLOW-4: one closed mesh of time 0, whose faces stay; crumbs are left out."""
    trainer = trainer_for(sliding())
    flow, speed = trainer.flow, torch.tensor([0.6 / 1.6, 0.1, 0])

    def two_balls(p: Tensor) -> Tensor:
        large, crumb = 0.3 - p.norm(dim=1), 0.03 - (p - 0.45).norm(dim=1)
        return torch.maximum(large, crumb)

    flow.logit = two_balls  # pyright: ignore[reportAttributeAccessIssue]
    flow.velocity = lambda p, t: speed.to(p).expand_as(p)  # pyright: ignore[reportAttributeAccessIssue]
    first = first_mesh(flow, 0.55, 64)
    found = topology(first.faces, len(first.vertices))
    assert found.closed and found.bodies == 1
    np.testing.assert_allclose(np.linalg.norm(first.vertices, axis=1), 0.3, atol=2e-3)
    first = replace(first, colours=np.full(first.vertices.shape, 7, np.uint8))
    for time, mesh in zip((0, 0.3, 1), moving_mesh(flow, first, np.array([0, 0.3, 1])), strict=True):
        assert np.array_equal(mesh.faces, first.faces) and mesh.colours is first.colours
        np.testing.assert_allclose(
            mesh.vertices - first.vertices, np.tile(time * speed.numpy(), (len(first.vertices), 1)), atol=1e-5
        )
    flow.logit = lambda p: -1 - p.norm(dim=1)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(Diverged, match="take more --steps"):
        first_mesh(flow, 0.55, 32)


def test_scores_are_those_of_the_motion():
    """A ball that stays while it should move: it overlaps less and less, and its vertices stay behind."""
    trainer = trainer_for(sliding())
    start, radius = torch.tensor([-0.3 / 1.6, 0, 0]), 0.5 / 1.6
    trainer.flow.logit = lambda p: radius - (p - start.to(p)).norm(dim=1)  # pyright: ignore[reportAttributeAccessIssue]
    even = make_flow_config("fast", [*SMALL, "samples.near_share=0", "samples.per_frame=40000"])
    found = scores(trainer.flow, seen(sliding(), even, seed=5))
    assert found.iou[0] > 0.97 and (np.diff(found.iou) < 0).all()
    lens = (2 * 0.5 - 0.6) ** 2 * (0.6**2 + 4 * 0.6 * 0.5) / (12 * 0.6)  # over pi, of two balls 0.6 apart
    assert found.iou[-1] == pytest.approx(lens / (8 / 3 * 0.5**3 - lens), abs=0.02)
    assert found.correspondence is not None
    np.testing.assert_allclose(found.correspondence, 0.6 / 1.6 * np.linspace(0, 1, 5), atol=1e-5)


def test_flow_2_without_correspondences_there_is_no_such_number():
    meshes = [*sliding(2), ball(0.5, (0.6, 0, 0), subdivisions=2)]
    trainer = trainer_for(meshes)
    assert trainer.ways is None and scores(trainer.flow, seen(meshes, trainer.config)).correspondence is None


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_a_short_fit_finds_shape_and_way(method):
    """FLOW-1 to FLOW-3, with both ways of integration: a ball that goes along x."""
    steps, more = 100, [] if method == "rk4" else ["samples.later=128"]
    trainer = trainer_for(
        sliding(3), f"integration.method={method}", "schedule.rate=5e-3", *more, schedule={"steps": steps}
    )
    fit_flow(trainer, lambda step, loss: None)
    found = scores(trainer.flow, seen(sliding(3), trainer.config, seed=9))
    assert found.iou.min() > 0.75
    assert found.correspondence is not None and found.correspondence.max() < 0.2 * 0.6 / 1.6


def test_a_loss_that_is_not_finite_ends_the_fit():
    trainer = trainer_for(sliding(3))
    before = trainer.flow.logit(torch.zeros(1, 3, device=runtime.current().device))
    trainer.points[:] = torch.nan
    with pytest.raises(Diverged, match="not finite"):
        fit_flow(trainer, lambda step, loss: None)
    assert torch.equal(trainer.flow.logit(torch.zeros(1, 3, device=before.device)), before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("motion", "told", "seed"),
    [("turning", False, 0), ("bending", False, 1), ("breathing", False, 0), ("bending", True, 0)],
)
def test_flow_4_places_are_followed(motion, told, seed):
    """FLOW-4: by the preset as it is, with L_corr and without; benchmarks/moving_shapes.py measures more of them."""
    config = make_flow_config("fast", [], seed=seed, loss={"correspondence_weight": float(told)})
    meshes = moving_shape(motion)
    trainer = FlowTrainer(config, seen(meshes, config, seed), runtime.current().device)
    fit_flow(trainer, lambda step, loss: None)
    even = config.samples.model_copy(update={"per_frame": 5000, "near_share": 0.0})
    found = scores(trainer.flow, labelled(MeshSequence([""] * 17, meshes), even, 100))
    assert found.iou.min() > 0.9
    assert found.correspondence is not None
    assert found.correspondence[1:].mean() < (ERROR_TOLD if told else ERROR_UNTOLD)

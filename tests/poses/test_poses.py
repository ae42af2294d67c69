"""Poses that train: both parametrisations, exact moves, and the optimiser that touches a batch's rows alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ball_run import around
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.rotations import rotation_matrices
from taichi_idr.config import CamerasConfig
from taichi_idr.poses.adam import SparseAdam
from taichi_idr.poses.parameters import Poses
from taichi_idr.types import Cameras

pytestmark = pytest.mark.precision("float64")
EXACT = 1e-12
DIFFERENCE, DIFFERENCE_ERROR = 1e-6, 1e-7  # step of the central differences, and what they are off by
VIEWS = 4
RATES = {"quaternions": 1e-2, "places": 3e-3}


def cameras() -> Cameras:
    return around(VIEWS, elevation=0.4)


def poses(parameters: str = "object", train: bool = True) -> Poses:
    config = CamerasConfig.model_validate({"train": train, "parameters": parameters})
    return Poses(cameras(), config, torch.device("cpu"), torch.float64)


def some_pixels() -> tuple[torch.Tensor, torch.Tensor]:
    """Of views 0, 1, 1 and 3."""
    positions = [[3.0, 4.0], [60.0, 1.0], [20.5, 40.0], [31.0, 7.0]]
    return torch.tensor([0, 1, 1, 3], dtype=torch.int32), torch.tensor(positions, dtype=torch.float64)


@pytest.mark.parametrize("parameters", ["object", "centre"])
def test_a_pose_is_a_quaternion_of_any_length_and_a_place(parameters):
    """CAM-4: quaternions are normalised on use; as given the cameras are those of the start."""
    mine = poses(parameters)
    before = mine.rays(*some_pixels())
    with torch.no_grad():
        mine.quaternions *= torch.tensor([[2.0], [0.3], [1.0], [7.0]])
    after, found = mine.rays(*some_pixels()), mine.cameras()
    assert torch.allclose(after.origins, before.origins, atol=EXACT)
    assert torch.allclose(after.directions, before.directions, atol=EXACT)
    assert torch.allclose(found.quaternions, cameras().quaternions, atol=EXACT)
    assert torch.allclose(found.centres, cameras().centres, atol=EXACT)
    assert mine.quaternions.shape == (VIEWS, 4) and mine.places.shape == (VIEWS, 3)


def test_the_object_centred_place_is_the_origin_seen_from_the_camera():
    mine = poses("object")
    R = rotation_matrices(cameras().quaternions)
    expected = (R.transpose(1, 2) @ (-cameras().centres)[:, :, None])[:, :, 0]
    assert torch.allclose(mine.places, expected, atol=EXACT)


@pytest.mark.parametrize("parameters", ["object", "centre"])
def test_a_move_turns_about_the_centre_and_shifts_it(parameters, generator):
    """Against matrices; views that are not named stay."""
    mine, views = poses(parameters), torch.tensor([3, 1])
    turn, shift = torch.randn(2, 2, 3, generator=generator, dtype=torch.float64)
    mine.move(views, turn, shift)
    found = mine.cameras()
    R, centres = rotation_matrices(cameras().quaternions), cameras().centres.clone()
    centres[views] += shift
    R[views] = torch.from_numpy(Rotation.from_rotvec(turn.numpy()).as_matrix()) @ R[views]
    assert torch.allclose(rotation_matrices(found.quaternions), R, atol=EXACT)
    assert torch.allclose(found.centres, centres, atol=EXACT)


def test_a_move_by_nothing_is_none():
    mine = poses()
    mine.move(torch.arange(VIEWS), torch.zeros(VIEWS, 3).double(), torch.zeros(VIEWS, 3).double())
    assert torch.allclose(mine.cameras().centres, cameras().centres, atol=EXACT)
    assert torch.isfinite(mine.quaternions).all()


@pytest.mark.parametrize("parameters", ["object", "centre"])
def test_rays_lead_back_to_both_parameters(parameters):
    """Central differences: with the origin seen from the camera the quaternion moves the centre too."""
    mine, weights = poses(parameters), torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(4, 6)

    def value() -> torch.Tensor:
        rays = mine.rays(*some_pixels())
        return (weights * torch.cat([rays.origins, rays.directions], dim=1)).sum()

    value().backward()
    for parameter in (mine.quaternions, mine.places):
        assert parameter.grad is not None
        for index in np.ndindex(*parameter.shape):
            found = []
            for step in (DIFFERENCE, -DIFFERENCE):
                with torch.no_grad():
                    parameter[index] += step
                    found.append(value())
                    parameter[index] -= step
            expected = (found[0] - found[1]) / (2 * DIFFERENCE)
            assert float(parameter.grad[index]) == pytest.approx(float(expected), abs=DIFFERENCE_ERROR)
    assert not mine.quaternions.grad[2].any()


def test_cameras_are_a_copy():
    """What was noted of an earlier step stays."""
    mine = poses("centre")
    before = mine.cameras()
    mine.move(torch.arange(VIEWS), torch.zeros(VIEWS, 3).double(), torch.ones(VIEWS, 3).double())
    assert torch.equal(before.centres, cameras().centres)


def test_fixed_poses_are_exactly_those_given():
    mine = poses(train=False)
    assert torch.equal(mine.cameras().centres, cameras().centres)
    assert not any(parameter.requires_grad for parameter in mine.parameters())


def test_only_the_sampled_rows_and_their_moments_move(generator):
    """CAM-5."""
    mine = poses("centre")
    adam = SparseAdam(dict(mine.named_parameters()))
    for rows in ([0], [2], [0]):
        before = {name: p.detach().clone() for name, p in mine.named_parameters()}
        moments = {name: value.clone() for name, value in adam.state().items() if name != "count"}
        for parameter in mine.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        adam.step(torch.tensor(rows), RATES)
        others = [view for view in range(VIEWS) if view not in rows]
        for name, parameter in mine.named_parameters():
            assert torch.equal(parameter[others], before[name][others])
            assert (parameter[rows] != before[name][rows]).all()
        for name, value in moments.items():
            assert torch.equal(adam.state()[name][others], value[others])


def test_sparse_adam_is_that_of_torch(generator):
    """CAM-5: the same rows, rates and bias correction as in torch.optim.SparseAdam."""
    start = torch.randn(VIEWS, 3, generator=generator, dtype=torch.float64)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine = SparseAdam({"places": ours})
    yours = torch.optim.SparseAdam([theirs], lr=RATES["places"])
    for rows in ([1, 3], [0], [1], [0, 1, 2, 3]):
        gradient = torch.randn(VIEWS, 3, generator=generator, dtype=torch.float64)
        ours.grad = gradient
        mine.step(torch.tensor(rows), RATES)
        theirs.grad = torch.sparse_coo_tensor(torch.tensor([rows]), gradient[rows], (VIEWS, 3), check_invariants=True)
        yours.step()
    assert torch.allclose(ours, theirs, atol=EXACT)


def test_sparse_adam_goes_on_from_its_state(generator):
    gradients = torch.randn(6, VIEWS, 3, generator=generator, dtype=torch.float64)
    straight, stopped = (torch.nn.Parameter(torch.zeros(VIEWS, 3, dtype=torch.float64)) for _ in range(2))
    one, first, second = (SparseAdam({"places": p}) for p in (straight, stopped, stopped))
    for step, gradient in enumerate(gradients):
        if step == 3:
            second.load_state({name: value.clone() for name, value in first.state().items()})
        straight.grad, stopped.grad = gradient, gradient
        one.step(torch.tensor([step % VIEWS]), RATES)
        (first if step < 3 else second).step(torch.tensor([step % VIEWS]), RATES)
    assert torch.equal(straight, stopped)

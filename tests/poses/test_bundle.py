"""Bundle adjustment against derivatives, loops, scipy, and scenes of which everything is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import torch
from ball_run import around
from textured_balls import disturbed
from torch import Tensor

from taichi_idr.cameras.alignment import camera_accuracy
from taichi_idr.cameras.rotations import rotated, rotation_matrices
from taichi_idr.poses import bundle
from taichi_idr.poses.bundle import HUBERS, Sightings, adjust, geman_mcclures, reproject
from taichi_idr.types import Cameras

VIEWS, POINTS = 8, 60
SHARP = 0.01  # pixels
LONG, HUBERS_ALONE = (20, 40), (40, 0)  # iterations
SQUARES = 1e9  # Huber's constant, for least squares
UNKNOWN = (300.0, 10.0)  # degrees and units: a prior that holds the gauge, no more
DIFFERENCE, DIFFERENCE_ERROR = 1e-6, 1e-6  # step of the central differences, and what they are off by, relatively
STAYED = 1e-12
OF_GAUGE = 0.3 / VIEWS  # degrees: what turns with all views when one of them is off by 0.3
LIKE_SCIPY = 1e-5  # shares of a cost, normalised units, radians


def points_in_ball(count: int, generator: torch.Generator) -> Tensor:
    return 0.5 * torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1).double()


def sighted(cameras: Cameras, points: Tensor, *, deviation: float, noise: Tensor | None = None) -> Sightings:
    """Every camera sees every point; noise (V N, 2) in pixels."""
    point = torch.arange(len(points)).repeat(len(cameras))
    view = torch.arange(len(cameras)).repeat_interleave(len(points))
    whitening = torch.eye(2, dtype=torch.float64).repeat(len(point), 1, 1) / deviation
    bare = Sightings(point, view, torch.zeros(len(point), 2).double(), whitening)
    pixel = reproject(cameras, points, bare)
    return Sightings(point, view, pixel if noise is None else pixel + noise, whitening)


def noise_for(count: int, deviation: float, generator: torch.Generator) -> Tensor:
    return deviation * torch.randn(count, 2, generator=generator).double()


def test_jacobians_are_central_differences(generator):
    cameras = disturbed(around(3, elevation=0.4), 5, 0.1, generator)
    points = points_in_ball(4, generator)
    sightings = sighted(cameras, points, deviation=1.0)
    whitening = torch.randn(len(sightings), 2, 2, generator=generator).double()
    sightings = Sightings(sightings.point, sightings.view, sightings.pixel, whitening)
    to_pose, to_point = bundle._jacobians(cameras, points, sightings)

    def errors(pose: Tensor, move: Tensor) -> Tensor:
        quaternions = rotated(cameras.quaternions, pose[None, :3].expand(len(cameras), 3))
        moved = Cameras(quaternions, cameras.centres + pose[3:], cameras.intrinsics)
        return sightings.errors(moved, points + move)

    steps = DIFFERENCE * torch.eye(6, dtype=torch.float64)
    still = torch.zeros(6, dtype=torch.float64)
    of_pose = [(errors(step, still[:3]) - errors(-step, still[:3])) / (2 * DIFFERENCE) for step in steps]
    of_point = [(errors(still, step) - errors(still, -step)) / (2 * DIFFERENCE) for step in steps[:3, :3]]
    assert torch.allclose(to_pose, torch.stack(of_pose, dim=2), rtol=DIFFERENCE_ERROR, atol=DIFFERENCE_ERROR)
    assert torch.allclose(to_point, torch.stack(of_point, dim=2), rtol=DIFFERENCE_ERROR, atol=DIFFERENCE_ERROR)


def test_pairs_are_those_of_two_loops():
    point = torch.tensor([2, 0, 2, 4, 0, 2])
    one, other = bundle._pairs(point)
    found = set(zip(one.tolist(), other.tolist(), strict=True))
    expected = {(i, j) for i in range(len(point)) for j in range(len(point)) if point[i] == point[j]}
    assert found == expected and len(one) == len(expected)


def test_exact_sightings_bring_poses_back(generator):
    true, points = around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    rough = disturbed(true, 1.0, 0.02, generator)
    sightings = sighted(true, points, deviation=SHARP)
    before = camera_accuracy(rough, true)
    near = points + 0.02 * torch.randn(points.shape, generator=generator)
    adjusted = adjust(rough, near, sightings, known=UNKNOWN, iterations=LONG)
    after = camera_accuracy(adjusted.cameras, true)
    assert before.rotation_mean_deg > 1 and before.centre_mean > 0.02
    assert after.rotation_mean_deg < 1e-4 and after.centre_mean < 1e-5
    assert float(adjusted.residual.max()) < 0.1
    assert adjusted.error[1] < 1e-3 < adjusted.error[0]


def test_residuals_are_what_so_many_unknowns_leave_of_the_noise(generator, monkeypatch):
    """Of 2 M numbers 3 N + 6 V - 7 are used up by points, poses and the open similarity."""
    monkeypatch.setattr(bundle, "HUBER", SQUARES)
    deviation, true, points = 0.1, around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    noise = noise_for(VIEWS * POINTS, deviation, generator)
    adjusted = adjust(true, points, sighted(true, points, deviation=deviation, noise=noise), iterations=HUBERS_ALONE)
    left = 2 * VIEWS * POINTS - 3 * POINTS - 6 * VIEWS + 7
    assert float((adjusted.residual**2).sum()) == pytest.approx(left, rel=0.12)


def test_errors_of_poses_grow_with_those_of_sightings(generator):
    true, points = around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    noise = noise_for(VIEWS * POINTS, 1.0, generator)
    found = []
    for deviation in (0.05, 0.1):
        adjusted = adjust(true, points, sighted(true, points, deviation=0.1, noise=deviation * noise), iterations=LONG)
        found.append(camera_accuracy(adjusted.cameras, true).rotation_mean_deg)
    assert found[1] == pytest.approx(2 * found[0], rel=0.15)


def test_outliers_hardly_count(generator, monkeypatch):
    """A fifth of the sightings is anywhere within 20 pixels, to one side."""
    deviation, true, points = 0.1, around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    noise = noise_for(VIEWS * POINTS, deviation, generator)
    wild = torch.rand(len(noise), generator=generator) < 0.2
    spoilt = torch.where(wild[:, None], 20 * torch.rand(noise.shape, generator=generator).double(), noise)
    rough = disturbed(true, 0.5, 0.01, generator)

    def error(noise: Tensor, iterations: tuple[int, int]) -> float:
        sightings = sighted(true, points, deviation=deviation, noise=noise)
        adjusted = adjust(rough, points, sightings, known=UNKNOWN, iterations=iterations)
        return camera_accuracy(adjusted.cameras, true).rotation_mean_deg

    robust = error(spoilt, LONG)
    monkeypatch.setattr(bundle, "HUBER", SQUARES)
    assert robust < 2.5 * error(noise, HUBERS_ALONE)
    assert error(spoilt, HUBERS_ALONE) > 5 * robust


def test_sightings_that_are_far_off_count_for_nothing(generator):
    """Huber's function pulls as hard from any distance, Geman and McClure's lets go."""
    true, points = around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    noise = torch.zeros(VIEWS * POINTS, 2).double()
    noise[:: VIEWS + 1] = 5.0
    sightings = sighted(true, points, deviation=0.1, noise=noise)
    hubers, both = (
        camera_accuracy(adjust(true, points, sightings, iterations=iterations).cameras, true).rotation_mean_deg
        for iterations in (HUBERS_ALONE, LONG)
    )
    assert both < 1e-3 * hubers


def test_sightings_less_sharp_than_told_still_count(generator, monkeypatch):
    """What is let go of is measured by what is usual."""
    true, points, noise = around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator), 0.1
    pixels = noise_for(VIEWS * POINTS, noise, generator)
    rough = disturbed(true, 0.5, 0.01, generator)

    def error(deviation: float) -> float:
        sightings = sighted(true, points, deviation=deviation, noise=pixels)
        adjusted = adjust(rough, points, sightings, known=UNKNOWN, iterations=LONG)
        return camera_accuracy(adjusted.cameras, true).rotation_mean_deg

    told = error(noise / 10)
    assert told < 1.2 * error(noise)
    monkeypatch.setattr(bundle, "DOUBTED", (bundle.DOUBTED[0], 0.0))
    assert error(noise / 10) > 1.3 * told


@pytest.mark.parametrize("loss", [HUBERS, geman_mcclures(1.5)])
def test_weights_are_slopes_over_sizes(loss):
    """What makes reweighted squares descend the loss (Black and Rangarajan 1996)."""
    size = torch.linspace(0.1, 8, 50, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss.values(size).sum(), size)
    assert torch.allclose(loss.weights(size.detach()), slope / size.detach(), rtol=1e-9)


def test_a_view_without_sightings_stays(generator):
    true, points = around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    rough = disturbed(true, 0.5, 0.01, generator)
    sightings = sighted(true, points, deviation=0.1)
    adjusted = adjust(rough, points, sightings[sightings.view != 3]).cameras
    moved = (adjusted.centres - rough.centres).norm(dim=1)
    assert moved[3] < STAYED
    assert torch.allclose(adjusted.quaternions[3], rough.quaternions[3], atol=STAYED)
    assert (moved[[0, 1, 2, 4, 5, 6, 7]] > 1e-4).all()


def test_a_direction_that_sightings_do_not_know_stays(generator):
    """View 0 sees a row of points, and columns only: its yaw is theirs to tell, its pitch is not."""
    true, view = around(VIEWS, elevation=0.4), 0
    R = rotation_matrices(true.quaternions)[view]
    across, deep = torch.rand(2, POINTS, generator=generator).double() - 0.5
    points = across[:, None] * R[:, 0] + deep[:, None] * R[:, 2]
    noise = torch.where(torch.arange(VIEWS * POINTS)[:, None] < POINTS, torch.tensor([0.0, 30.0]), torch.zeros(2))
    sightings = sighted(true, points, deviation=SHARP, noise=noise.double())
    sightings.whitening[sightings.view == view, 1] = 0
    yaw_and_pitch = np.radians(0.3) * (R[:, 0] + R[:, 1])
    turn = torch.zeros(VIEWS, 3).double()
    turn[view] = yaw_and_pitch
    start = Cameras(rotated(true.quaternions, turn), true.centres, true.intrinsics)
    adjusted = adjust(start, points, sightings, iterations=LONG).cameras
    left = rotation_matrices(adjusted.quaternions)[view] @ R.T
    vector = torch.stack([left[2, 1] - left[1, 2], left[0, 2] - left[2, 0], left[1, 0] - left[0, 1]]) / 2
    pitch, yaw = np.degrees(float(vector @ R[:, 0])), np.degrees(float(vector @ R[:, 1]))
    assert pitch == pytest.approx(0.3, abs=OF_GAUGE)
    assert yaw == pytest.approx(0.0, abs=OF_GAUGE)


def test_the_least_cost_is_that_of_scipy(generator):
    views, count, deviation = 3, 8, 0.3
    true, points = around(6, elevation=0.4)[[0, 1, 2]], points_in_ball(count, generator)
    noise = noise_for(views * count, deviation, generator)
    noise[5] += 5  # one outlier, so that Huber's function counts
    sightings = sighted(true, points, deviation=deviation, noise=noise)
    start = disturbed(true, 0.2, 0.01, generator)
    prior = bundle._prior(bundle.KNOWN).sqrt()

    def unpack(x: np.ndarray) -> tuple[Cameras, Tensor, Tensor]:
        pose = torch.from_numpy(x[: 6 * views]).view(views, 6)
        cameras = Cameras(rotated(start.quaternions, pose[:, :3]), start.centres + pose[:, 3:], start.intrinsics)
        return cameras, points + torch.from_numpy(x[6 * views :]).view(count, 3), pose

    def residuals(x: np.ndarray) -> np.ndarray:
        cameras, moved, pose = unpack(x)
        error = sightings.errors(cameras, moved)
        size = error.norm(dim=1, keepdim=True)
        rooted = torch.where(size < bundle.HUBER, size, (2 * bundle.HUBER * size - bundle.HUBER**2).clamp(min=0).sqrt())
        return torch.cat([(error / size * rooted).view(-1), (prior * pose).view(-1)]).numpy()

    theirs = scipy.optimize.least_squares(residuals, np.zeros(6 * views + 3 * count), xtol=1e-12, ftol=1e-14)
    ours = adjust(start, points, sightings, iterations=(80, 0))
    cameras, moved, pose = unpack(theirs.x)
    prior_cost = float((prior * pose).square().sum()) / 2
    assert ours.error[1] * len(sightings) == pytest.approx(theirs.cost - prior_cost, rel=LIKE_SCIPY)
    assert torch.allclose(ours.cameras.centres, cameras.centres, atol=LIKE_SCIPY)
    assert torch.allclose(ours.points, moved, atol=LIKE_SCIPY)


def test_no_step_makes_it_worse(generator):
    """Even where the first step lands behind the cameras."""
    true, points = around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    sightings = sighted(true, points, deviation=0.1)
    adjusted = adjust(disturbed(true, 20, 0.5, generator), points, sightings, iterations=HUBERS_ALONE)
    assert adjusted.error[1] < adjusted.error[0]


def test_a_sighting_that_is_not_a_number_moves_nothing(generator):
    """It spoils every step, and none is taken."""
    cameras, points = around(4, elevation=0.4), points_in_ball(10, generator)
    sightings = sighted(cameras, points, deviation=1.0)
    sightings.pixel[0] = torch.nan
    found = adjust(cameras, points, sightings)
    assert torch.equal(found.cameras.centres, cameras.centres) and torch.equal(found.points, points)


def test_poses_that_are_known_well_move_less(generator):
    true, points = around(VIEWS, elevation=0.4), points_in_ball(POINTS, generator)
    rough, sightings = disturbed(true, 0.3, 0.01, generator), sighted(true, points, deviation=0.1)
    turned = []
    for known in ((0.3, 0.01), (1e-4, 1e-5)):
        found = adjust(rough, points, sightings, known=known).cameras
        turned.append(float((found.centres - rough.centres).norm(dim=1).mean()))
    assert turned[1] < 0.02 * turned[0]

"""Bodies that no photo needs, and the term that lets them vanish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ball_run import HEIGHT, RADIUS, WIDTH, around
from captures import make_capture
from tiny_fits import SMALL
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.capture.pixels import Photos
from taichi_idr.capture.reading import read_capture
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast.adrift import adrift_loss, adrift_points
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.ops.visual_hull import first_occupied
from taichi_idr.poses.parameters import Poses
from taichi_idr.types import Cameras, Capture

VIEWS, RESOLUTION = 24, 64
IN_FRONT, SMALL_RADIUS = 0.85, 0.08  # where a flake floats before the ball, on the way to camera 0
BESIDE = (0.0, 0.0, 0.75)  # above the ball
STEPS = 10
SHORT = [*SMALL, "schedule.hull_steps=40", f"schedule.steps={STEPS}"]


def ball(middle: tuple[float, float, float], radius: float) -> Tensor:
    """Its signed distance on the lattice."""
    axis = torch.linspace(-1, 1, RESOLUTION)
    places = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    return (places - torch.tensor(middle)).norm(dim=-1) - radius


def photographed(distance: Tensor, cameras: Cameras, ignored: bool = False) -> Photos:
    """Silhouettes of a shape; with everything to be ignored, if asked for."""
    device = runtime.current().device
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    position = torch.stack([columns, rows], dim=-1).view(-1, 2).float().to(device)
    poses = Poses(cameras, make_config("fast", SHORT).cameras, device, torch.float32)
    masks = list[np.ndarray]()
    for view in range(len(cameras)):
        rays = poses.rays(torch.full((len(position),), view, dtype=torch.int32, device=device), position).detach()
        hit = first_occupied((distance < 0).to(device), rays) >= 0
        masks.append(hit.view(HEIGHT, WIDTH).cpu().numpy())
    everything = tuple(np.ones_like(mask) for mask in masks) if ignored else ()
    photos = [np.zeros((*mask.shape, 3), np.uint8) for mask in masks]
    names = [str(view) for view in range(len(cameras))]
    masks = [mask & (not ignored) for mask in masks]
    return Photos(Capture(Path(), names, photos, masks, cameras, np.eye(4), ignored=everything), device)


@pytest.fixture
def cameras() -> Cameras:
    return around(VIEWS, elevation=0.1)


@pytest.fixture
def object_() -> Tensor:
    return ball((0.0, 0.0, 0.0), RADIUS)


@pytest.fixture(params=[0, VIEWS // 2])
def flake(cameras: Cameras, request: pytest.FixtureRequest) -> Tensor:
    """Before one of two cameras: bodies are numbered along x, the ball comes first or last."""
    direction = torch.nn.functional.normalize(cameras.centres[request.param].float(), dim=0)
    x, y, z = (IN_FRONT * direction).tolist()
    return ball((x, y, z), SMALL_RADIUS)


def test_a_flake_before_the_object_is_adrift(object_, flake, cameras):
    found = adrift_points(torch.minimum(object_, flake), photographed(object_, cameras), cameras)
    assert found is not None
    cells = ((found.cpu() + 1) / 2 * (RESOLUTION - 1)).round().long()
    assert len(found) == int((flake < 0).sum())
    assert (flake[tuple(cells.T)] < 0).all()


def test_a_part_that_silhouettes_have_is_needed(object_, cameras):
    both = torch.minimum(object_, ball(BESIDE, SMALL_RADIUS))
    assert adrift_points(both, photographed(both, cameras), cameras) is None
    assert adrift_points(both, photographed(object_, cameras), cameras) is not None


def test_what_many_photos_show_is_believed(object_, flake, cameras):
    """The same flake, photographed from its side alone."""
    both = torch.minimum(object_, flake)
    x, y, _ = (flake.argmin() // torch.tensor([RESOLUTION**2, RESOLUTION, 1]) % RESOLUTION).tolist()
    side = cameras.centres @ torch.tensor([x, y, RESOLUTION / 2], dtype=torch.float64).sub(RESOLUTION / 2)
    beside = cameras[side.topk(5).indices.tolist()]
    assert adrift_points(both, photographed(object_, cameras), cameras) is not None
    assert adrift_points(both, photographed(object_, beside), beside) is None


def test_what_no_photo_shows_is_adrift(object_, cameras):
    """Far above what the photos have, and where they are to be ignored."""
    outside = torch.minimum(object_, ball((0.0, 0.0, 0.9), SMALL_RADIUS))
    low = around(VIEWS, elevation=0.1, distance=1.2)
    assert adrift_points(outside, photographed(outside, low), low) is not None
    beside = torch.minimum(object_, ball(BESIDE, SMALL_RADIUS))
    assert adrift_points(beside, photographed(beside, cameras, ignored=True), cameras) is not None


def test_one_body_and_none(object_, cameras):
    photos = photographed(object_, cameras)
    assert adrift_points(object_, photos, cameras) is None
    assert adrift_points(torch.ones_like(object_), photos, cameras) is None


def test_what_is_no_cell_from_a_surface_costs():
    sdf = torch.tensor([-0.2, 0.05, 0.4], requires_grad=True)
    loss = adrift_loss(sdf, 0.1)
    assert float(loss.detach()) == pytest.approx((0.3 + 0.05) / 3)
    loss.backward()
    assert sdf.grad is not None and sdf.grad.tolist() == pytest.approx([-1 / 3, -1 / 3, 0])
    assert adrift_loss(sdf[:0], 0.1) == 0


def trainer(photos: Capture) -> FastTrainer:
    config = make_config("fast", SHORT)
    assert isinstance(config, FastConfig)
    return FastTrainer(config, photos, runtime.current().device)


@pytest.fixture
def fit(tmp_path: Path) -> FastTrainer:
    """A fit that believes some points of the object to be adrift."""
    photos = read_capture(make_capture(tmp_path / "balls", views=6))
    made = trainer(photos)
    made.start(photos, lambda: None)
    made.step()
    made.terms.adrift = 0.3 * torch.rand(50, 3, generator=torch.Generator().manual_seed(0)).to(made.model.device)
    return made


def test_a_fit_empties_their_cells(fit):
    assert fit.terms.adrift is not None
    before = fit.model.surface(fit.terms.adrift)
    values = [float(fit.step().terms["adrift"].detach()) for _ in range(STEPS - 1)]
    assert (before < 0).any() and (fit.model.surface(fit.terms.adrift) - before).mean() > 0
    assert all(value > 0 for value in values)


def test_a_checkpoint_has_them(fit, tmp_path):
    state = {name: part.clone() for name, part in fit.state().items()}
    photos = read_capture(tmp_path / "balls")
    other = trainer(photos)
    other.load_state(state, fit.steps_done)
    assert other.terms.adrift is not None and torch.equal(other.terms.adrift, fit.terms.adrift)
    assert torch.equal(fit.step().loss, other.step().loss)

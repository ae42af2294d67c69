"""Surface points that a fit has begun with: a term that fades, in checkpoints as long as it counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from captures import make_capture
from tiny_fits import SMALL

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.stereo.surface_points import SurfacePoints
from taichi_idr.types import Capture

STEPS = 10
SHORT = [*SMALL, "schedule.hull_steps=40", f"schedule.steps={STEPS}", "stereo.points_per_step=64"]


def trainer(photos: Capture) -> FastTrainer:
    made = FastTrainer(make_config("fast", SHORT), photos, runtime.current().device)
    made.start(photos, lambda: None)
    directions = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    device = made.model.device
    known = SurfacePoints(0.4 * directions, directions, torch.full((500,), 0.8))
    made.terms.known = known.to(device)
    return made


@pytest.fixture
def photos(tmp_path: Path) -> Capture:
    return read_capture(make_capture(tmp_path / "balls", views=6))


def test_the_term_fades_until_half_of_the_steps(photos: Capture) -> None:
    fit, values = trainer(photos), list[float]()
    for _ in range(STEPS):
        values.append(float(fit.step().terms["stereo"].detach()))
    assert all(value > 0 for value in values[: STEPS // 2])
    assert values[STEPS // 2 :] == [0] * (STEPS - STEPS // 2)


def test_it_moves_the_surface_to_the_points(photos: Capture) -> None:
    beside = {}
    for weight in (0.0, 100.0):
        fit = trainer(photos)
        fit.terms.config = fit.config.model_copy(
            update={"stereo": fit.config.stereo.model_copy(update={"weight": weight, "until": 1.0})}
        )
        for _ in range(STEPS):
            fit.step()
        assert fit.terms.known is not None
        beside[weight] = float(fit.model.surface(fit.terms.known.points).abs().mean())
    assert beside[100.0] < 0.8 * beside[0.0]


def test_unseen_points_hold_the_surface_to_the_end(photos: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taichi_idr.methods.fast.trainer.UNSEEN_AGAIN", ())
    beside = {}
    for weight in (0.0, 100.0):
        fit = trainer(photos)
        fit.terms.unseen, fit.terms.known = fit.terms.known, None
        loss = fit.config.loss.model_copy(update={"unseen_weight": weight})
        fit.terms.config = fit.config.model_copy(update={"loss": loss})
        values = [float(fit.step().terms["unseen"].detach()) for _ in range(STEPS)]
        assert all((value > 0) == (weight > 0) for value in values)
        beside[weight] = float(fit.model.surface(fit.terms.unseen.points).abs().mean())
    assert beside[100.0] < 0.8 * beside[0.0]
    assert any(name.startswith("unseen") for name in fit.state())


def test_a_checkpoint_has_the_points_while_they_count(photos: Capture) -> None:
    fit = trainer(photos)
    fit.step()
    state = {name: part.clone() for name, part in fit.state().items()}
    other = FastTrainer(make_config("fast", SHORT), photos, runtime.current().device)
    other.load_state(state, fit.steps_done)
    assert other.terms.known is not None and fit.terms.known is not None
    assert torch.equal(other.terms.known.normals, fit.terms.known.normals)
    assert torch.equal(fit.step().loss, other.step().loss)
    while fit.steps_done < STEPS:
        fit.step()
    assert not any(name.startswith("known") for name in fit.state())

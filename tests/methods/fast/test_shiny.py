"""A fit whose photos show reflections does not compare them along the surface, and tells its renderer of mirrored
directions, whether it stopped meanwhile or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from captures import make_capture
from tiny_fits import SMALL

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.fast import trainer as trainers
from taichi_idr.methods.fast.stereo_start import StereoStart
from taichi_idr.methods.fast.trainer import FastTrainer
from taichi_idr.types import Capture

SHORT = [*SMALL, "schedule.hull_steps=40", "schedule.steps=10", "consistency.start=0", "consistency.weight=0.1"]
HALF = torch.linspace(-1, 1, 32)[:, None, None].expand(32, 32, 32).contiguous()
"""Distances from a half of the space, at points of the hull's lattice."""


@pytest.fixture
def photos(tmp_path: Path) -> Capture:
    return read_capture(make_capture(tmp_path / "balls", views=6))


def trainer(photos: Capture) -> FastTrainer:
    """One in which photos compared along the surface differ by 1."""
    made = FastTrainer(make_config("fast", SHORT), photos, runtime.current().device)
    assert made.terms.consistency is not None
    made.terms.consistency.loss = lambda *_: torch.ones((), device=made.model.device)
    return made


@pytest.mark.parametrize("shiny", [False, True])
def test_it_goes_on_as_it_began(shiny: bool, photos: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    start = StereoStart(HALF, HALF, None, "line", shiny)
    monkeypatch.setattr(trainers, "stereo_start", lambda *_: start)
    fit = trainer(photos)
    fit.start(photos, lambda: None)
    expected = 0.0 if shiny else fit.config.consistency.weight
    assert float(fit.step().terms["consistency"]) == pytest.approx(expected)
    assert fit.model.radiance.mirrors is not None and bool(fit.model.radiance.mirrors) == shiny
    other = trainer(photos)
    other.load_state({name: part.clone() for name, part in fit.state().items()}, fit.steps_done)
    assert torch.equal(other.step().loss, fit.step().loss)
    assert float(other.step().terms["consistency"]) == pytest.approx(expected)
    assert other.model.radiance.mirrors is not None and bool(other.model.radiance.mirrors) == shiny

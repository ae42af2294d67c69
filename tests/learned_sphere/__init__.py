"""A method of its own: the sphere around the origin, and its one colour, that explain the photos best."""

from __future__ import annotations

from typing import Any, Literal

from taichi_idr.config import FitConfig
from taichi_idr.methods.method import Method
from taichi_idr.settings import Group


class Schedule(Group):
    steps: int = 100
    rays: int = 256
    rate: float = 0.01


class SphereConfig(FitConfig):
    preset: Literal["sphere"] = "sphere"
    schedule: Schedule = Schedule()


def _model(config: SphereConfig, device: Any) -> Any:
    from .learning import SphereModel

    return SphereModel(config, device)


def _trainer(config: SphereConfig, capture: Any, device: Any) -> Any:
    from .learning import SphereTrainer

    return SphereTrainer(config, capture, device)


PRESETS = {"sphere": SphereConfig()}
METHOD = Method(
    name="sphere",
    settings=SphereConfig,
    presets=PRESETS,
    needs=frozenset(),
    model=_model,
    trainer=_trainer,
    terms=("silhouette", "paint"),
    trains_cameras=False,
)

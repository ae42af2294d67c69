"""Settings of preset `idr`: the paper's, and its released code's where they differ."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ...config import FitConfig, LossConfig, MlpGeometryConfig, RadianceConfig, TracerConfig
from ...settings import Group, listed

Epochs = Annotated[tuple[int, ...], BeforeValidator(listed)]


class EpochScheduleConfig(Group):
    """Section 5 of the method: one photo a step, an epoch shows each once; counted in epochs as published."""

    epochs: int = Field(default=2001, ge=1)
    steps: int | None = Field(default=None, ge=1, description="all epochs squeezed into so many; unset: as published")
    rays: int = Field(default=2048, ge=1)
    rate: float = Field(default=1e-4, gt=0)
    rate_epochs: Epochs = Field(default=(1000, 1500), description="epochs at which the rate falls")
    rate_decay: float = Field(default=0.5, gt=0, le=1)
    alpha_epochs: Epochs = Field(default=(250, 500, 750, 1000, 1250), description="LOSS-5: alpha doubles")


class IdrConfig(FitConfig):
    """All settings of this method."""

    preset: Literal["idr"] = "idr"
    geometry: MlpGeometryConfig = MlpGeometryConfig()
    radiance: RadianceConfig = RadianceConfig(width=512, hidden_layers=4)
    tracer: TracerConfig = TracerConfig()
    loss: LossConfig = LossConfig(mask_weight=100, eikonal_points=1024, smooth_weight=0)
    schedule: EpochScheduleConfig = EpochScheduleConfig()

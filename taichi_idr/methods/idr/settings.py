"""Settings of preset `idr`: the paper's, and its released code's where they differ."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...config import (
    Epochs,
    EpochScheduleConfig,
    FitConfig,
    LossConfig,
    MlpGeometryConfig,
    RadianceConfig,
    TracerConfig,
)


class IdrScheduleConfig(EpochScheduleConfig):
    """Section 5 of the method."""

    epochs: int = Field(default=2001, ge=1, le=10**8)
    rate_epochs: Epochs = Field(default=(1000, 1500), description="epochs at which the rate falls")
    alpha_epochs: Epochs = Field(default=(250, 500, 750, 1000, 1250), description="LOSS-5: alpha doubles")


class IdrConfig(FitConfig):
    """All settings of this method."""

    preset: Literal["idr"] = "idr"
    geometry: MlpGeometryConfig = MlpGeometryConfig()
    radiance: RadianceConfig = RadianceConfig(width=512, hidden_layers=4)
    tracer: TracerConfig = TracerConfig()
    loss: LossConfig = LossConfig(mask_weight=100, eikonal_points=1024, smooth_weight=0)
    schedule: IdrScheduleConfig = IdrScheduleConfig()

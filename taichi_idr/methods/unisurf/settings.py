"""Settings of preset `unisurf`, as published; IDs refer to docs/methods.md.

What is published in steps, of 400,000, is a share of the steps here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...config import Epochs, EpochScheduleConfig, FitConfig, MlpGeometryConfig, RadianceConfig
from ...settings import Group


class VolumeConfig(Group):
    """UNI-1 to UNI-3, and what space is looked at."""

    sharpness: float = Field(default=10.0, gt=0, description="o = sigmoid(-sharpness f)")
    radius: float = Field(default=1.0, gt=0, description="of the sphere that holds the object: what is meshed")
    far: float = Field(default=4.0, gt=0, description="radius of the sphere in which photos see anything")
    background: Literal["black", "white"] = Field(default="black", description="what a ray sees that nothing stops")


class SurfaceConfig(Group):
    """UNI-5: how the first surface along a ray is found."""

    samples: int = Field(default=256, ge=2, le=4096)
    secant_iterations: int = Field(default=8, ge=0, le=64)


class IntervalConfig(Group):
    """UNI-4 and UNI-5: where samples of a ray lie, about its surface point and before it."""

    widest: float = Field(default=2.0, gt=0, description="half width about the surface at the beginning")
    narrowest: float = Field(default=0.1, gt=0, description="and at least")
    decay: float = Field(default=6.0, ge=0, description="falling by e to this power in all steps")
    samples: int = Field(default=64, ge=1, le=4096, description="in it")
    before: int = Field(default=32, ge=0, le=4096, description="from the camera to it")
    before_from: float = Field(default=0.0125, ge=0, le=1, description="share of the steps from which there are those")


class UnisurfLossConfig(Group):
    """UNI-6."""

    smooth_weight: float = Field(default=0.005, ge=0, description="normals of neighbouring surface points")
    neighbour: float = Field(default=0.005, gt=0, description="farthest such neighbour along each axis")


class UnisurfScheduleConfig(EpochScheduleConfig):
    """UNI-7: 400,000 steps of 49 photos."""

    epochs: int = Field(default=8164, ge=1, le=10**8)
    rays: int = Field(default=1024, ge=1, le=1 << 22)
    rate_epochs: Epochs = Field(default=(4000, 8000), description="epochs at which the rate falls")


class UnisurfConfig(FitConfig):
    """All settings of this method."""

    preset: Literal["unisurf"] = "unisurf"
    geometry: MlpGeometryConfig = MlpGeometryConfig(width=256)
    radiance: RadianceConfig = RadianceConfig(width=256, hidden_layers=4)
    volume: VolumeConfig = VolumeConfig()
    surface: SurfaceConfig = SurfaceConfig()
    interval: IntervalConfig = IntervalConfig()
    loss: UnisurfLossConfig = UnisurfLossConfig()
    schedule: UnisurfScheduleConfig = UnisurfScheduleConfig()

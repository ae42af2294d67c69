"""Settings of preset `dvr`, as published; IDs refer to docs/methods.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ...config import DepthConfig, Epochs, EpochScheduleConfig, FitConfig, Shares
from ...settings import Group, listed

Counts = Annotated[tuple[int, ...], BeforeValidator(listed), Field(min_length=1)]


class NetworkConfig(Group):
    """DVR-1: one network for occupancy and colour, without encoding."""

    width: int = Field(default=512, ge=8, le=4096)
    blocks: int = Field(default=5, ge=1, le=64, description="residual ones, of two layers each")


class MarchConfig(Group):
    """DVR-2 and DVR-3: equal samples in a cube, to the first that is inside."""

    half: float = Field(default=1.1, gt=0, description="of the cube's side, normalised frame: padding 0.1 in all")
    samples: Counts = Field(default=(16, 32, 64, 128), description="along a ray, more and more")
    finer: Shares = Field(default=(0.17, 0.34, 0.85), description="shares of the steps at which the next number holds")
    secant_iterations: int = Field(default=8, ge=0, le=64)


class DvrLossConfig(Group):
    """DVR-5 to DVR-7."""

    free_weight: float = Field(default=1.0, ge=0, description="background pixels see nothing")
    occupied_weight: float = Field(default=1.0, ge=0, description="missed object pixels see something")
    depth_weight: float = Field(default=1.0, ge=0, description="of known depth, lengths of the published frame")
    smooth_weight: float = Field(default=0.05, ge=0, description="normals of neighbouring surface points")
    neighbour: float = Field(default=1e-3, gt=0, description="farthest such neighbour along each axis")
    grazing: float = Field(default=0.01, gt=0, lt=1, description="least |n.v| in Lemma 1's denominator")


class DvrScheduleConfig(EpochScheduleConfig):
    """DVR-8."""

    epochs: int = Field(default=6000, ge=1, le=10**8)
    rate_epochs: Epochs = Field(default=(3000, 5000), description="epochs at which the rate falls")


class DvrConfig(FitConfig):
    """All settings of this method."""

    preset: Literal["dvr"] = "dvr"
    network: NetworkConfig = NetworkConfig()
    march: MarchConfig = MarchConfig()
    loss: DvrLossConfig = DvrLossConfig()
    depth: DepthConfig = DepthConfig()
    schedule: DvrScheduleConfig = DvrScheduleConfig()

"""Settings of preset `nerf`, as published; IDs refer to docs/methods.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...config import Epochs, EpochScheduleConfig, FitConfig
from ...settings import Group


class NetworkConfig(Group):
    """NERF-2: one such network for coarse samples, one for all."""

    width: int = Field(default=256, ge=8, le=4096)
    layers: int = Field(default=8, ge=1, le=64)
    skip: int = Field(
        default=4, ge=0, le=10**9, description="layer, from 0, after which the encoded point comes in again"
    )
    position_frequencies: int = Field(default=10, ge=0, le=32)
    view_frequencies: int = Field(default=4, ge=0, le=32)


class VolumeConfig(Group):
    """NERF-1 to NERF-3, and what space is looked at."""

    coarse: int = Field(default=64, ge=3, le=4096, description="samples along a ray, in equal parts of it")
    fine: int = Field(default=128, ge=1, le=4096, description="and more of them where those saw something")
    radius: float = Field(default=1.0, gt=0, description="of the sphere that holds the object: what is meshed")
    far: float = Field(default=4.0, gt=0, description="radius of the sphere in which photos without masks see anything")
    background: Literal["black", "white"] = Field(default="white", description="what a ray sees that nothing stops")
    level: float = Field(default=50.0, gt=0, description="density on the surface of meshes")


class NerfScheduleConfig(EpochScheduleConfig):
    """NERF-4: 250,000 steps of 50 photos."""

    epochs: int = Field(default=5000, ge=1, le=10**8)
    rays: int = Field(default=1024, ge=1, le=1 << 22)
    rate: float = Field(default=5e-4, gt=0)
    rate_end: float = Field(default=5e-5, gt=0, description="rate to which it falls, by the same factor every step")
    rate_epochs: Epochs = Field(default=(), description="epochs at which it falls beside that")


class NerfConfig(FitConfig):
    """All settings of this method."""

    preset: Literal["nerf"] = "nerf"
    network: NetworkConfig = NetworkConfig()
    volume: VolumeConfig = VolumeConfig()
    schedule: NerfScheduleConfig = NerfScheduleConfig()

"""Settings of the presets of `tidr points`: `fast`, and `igr` and `sal` as published; IDs refer to docs/methods.md."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ...config import HashGeometryConfig, MlpGeometryConfig, RatesConfig
from ...errors import UsageError
from ...settings import Group, chosen


class CloudConfig(Group):
    """What is made of the cloud before the fit. Lengths are in its frame: its farthest point is at `radius`."""

    points: int = Field(
        default=200_000, ge=10, le=1 << 26, description="about so many at the most; those of a cell are averaged"
    )
    neighbours: int = Field(default=12, ge=3, le=256, description="that say whether a point is an outlier")
    apart: float = Field(
        default=1.8, gt=1, description="times farther from them than they from theirs, a point is an outlier"
    )
    radius: float = Field(default=0.8, gt=0, le=0.9)
    lattice: int = Field(default=192, ge=32, le=512, multiple_of=2, description="points along an axis, at most")


class SamplesConfig(Group):
    """Points of a step: on the surface, around these, and elsewhere (PTS-1)."""

    surface: int = Field(default=16384, ge=1, le=1 << 22, description="of the cloud, each with one around it")
    neighbour: int = Field(default=50, ge=1, le=4096, description="whose distance is the deviation of those around")
    elsewhere: float = Field(default=1 / 8, ge=0, description="as a share of these")
    spread: Literal["uniform", "normal"] = Field(default="uniform", description="in a cube, or around the cloud")
    reach: float = Field(default=1.8, gt=0, description="half the cube's edge, or the deviation")


class PointsLossConfig(Group):
    """Weights of the terms (PTS-1, PTS-2)."""

    surface_weight: float = Field(default=1.0, ge=0, description="|f| on the cloud")
    eikonal_weight: float = Field(default=0.1, ge=0)
    normal_weight: float = Field(default=1.0, ge=0, description="grad f from normals that the file has")
    unsigned_weight: float = Field(default=0.0, ge=0, description="of |f| from the distance to the cloud, PTS-2")


class StepScheduleConfig(Group):
    """Adam, whose rate falls in steps."""

    steps: int = Field(default=100_000, ge=1, le=10**9)
    rate: float = Field(default=5e-3, gt=0)
    rate_interval: int | None = Field(
        default=2000, ge=1, le=10**9, description="steps after which it falls; none: it does not"
    )
    rate_decay: float = Field(default=0.5, gt=0, le=1)


class PointsConfig(Group):
    """What the settings of all presets have in common."""

    preset: str
    seed: int = Field(default=0, ge=0, le=(1 << 63) - 1)
    cloud: CloudConfig = CloudConfig()


class PublishedConfig(PointsConfig):
    """PTS-1 and PTS-2: a network without encoding, which starts as a ball."""

    preset: Literal["igr", "sal"] = "igr"
    geometry: MlpGeometryConfig = MlpGeometryConfig(position_frequencies=0, features=0, initial_bias=1.0)
    samples: SamplesConfig = SamplesConfig()
    loss: PointsLossConfig = PointsLossConfig()
    schedule: StepScheduleConfig = StepScheduleConfig()


class FastSamplesConfig(Group):
    """Points of a step."""

    surface: int = Field(default=4096, ge=1, le=1 << 22, description="of the cloud")
    around: int = Field(default=2048, ge=1, le=1 << 22, description="around these")
    neighbour: int = Field(default=50, ge=1, le=4096, description="whose distance is the deviation of those around")
    elsewhere: int = Field(default=2048, ge=1, le=1 << 22, description="around the lattice's surface and anywhere")
    near_share: float = Field(default=0.75, ge=0, le=1, description="of these, around the lattice's surface")
    near: float = Field(default=0.1, gt=0, description="deviation of those, normalised units")


class FastPointsLossConfig(Group):
    """Weights of the terms (PTS-3)."""

    surface_weight: float = Field(default=1.0, ge=0, description="|f| on the cloud")
    eikonal_weight: float = Field(default=0.1, ge=0)
    normal_weight: float = Field(default=0.1, ge=0, description="grad f from normals, the file's or estimated")
    distance_weight: float = Field(default=1.0, ge=0, description="of f from the lattice's distance, off the cloud")
    unmeasured: float = Field(default=3.0, gt=0, description="spacings, or cells, from the cloud where that counts")


class FastScheduleConfig(RatesConfig):
    """Steps and learning rates."""

    steps: int = Field(default=1500, ge=1, le=10**9)
    first_levels: int = Field(default=4, ge=1, le=10**9, description="levels of the encoding active at the start")
    levels_unlocked: float = Field(default=0.25, ge=0, le=1, description="share of the steps after which all are")


class FastPointsConfig(PointsConfig):
    """PTS-3: a hash grid, as fine as the cloud is dense and precise."""

    preset: Literal["fast"] = "fast"
    geometry: HashGeometryConfig = HashGeometryConfig(features=0)
    detail: float = Field(default=1.5, gt=0, description="finest cell, in spacings or deviations of noise")
    samples: FastSamplesConfig = FastSamplesConfig()
    loss: FastPointsLossConfig = FastPointsLossConfig()
    schedule: FastScheduleConfig = FastScheduleConfig()


SAL = PublishedConfig(
    preset="sal",
    geometry=MlpGeometryConfig(position_frequencies=0, features=0, initial_bias=1.0, skip_layer=0),
    samples=SamplesConfig(elsewhere=1.0, spread="normal", reach=1.0),
    loss=PointsLossConfig(surface_weight=0, eikonal_weight=0, normal_weight=0, unsigned_weight=1),
    schedule=StepScheduleConfig(rate=5e-4, rate_interval=None),
)
PRESETS: dict[str, PublishedConfig | FastPointsConfig] = {
    "fast": FastPointsConfig(),
    "igr": PublishedConfig(),
    "sal": SAL,
}


def make_points_config(preset: str, assignments: list[str], **settings: Any) -> PublishedConfig | FastPointsConfig:
    """A preset, changed by `--set` assignments, then by `settings` (top-level keys and groups; None means unset).

    Raises UsageError for an unknown preset or key (with the nearest name) and for a value out of range.
    """
    if preset not in PRESETS:
        raise UsageError("unknown preset", where=f"--preset {preset}", todo=f"choose {' or '.join(PRESETS)}")
    return chosen(PRESETS[preset], assignments, settings)

"""Settings of the presets of `tidr flow`: `fast`, and `published`; IDs refer to docs/methods.md."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ...errors import UsageError
from ...settings import Group, chosen


class BlocksConfig(Group):
    """A network of residual blocks, without encoding."""

    width: int = Field(default=128, ge=8, le=4096)
    blocks: int = Field(default=5, ge=1, le=64, description="residual ones, of two layers each")


class FlowCloudConfig(Group):
    """What is made of frames that are point clouds: closed surfaces."""

    points: int = Field(
        default=50_000, ge=10, le=1 << 26, description="about so many at the most; those of a cell are averaged"
    )
    neighbours: int = Field(default=12, ge=3, le=256, description="that say whether a point is an outlier")
    apart: float = Field(
        default=1.8, gt=1, description="times farther from them than they from theirs, a point is an outlier"
    )
    lattice: int = Field(default=128, ge=32, le=512, multiple_of=2, description="points along an axis, at most")


class FlowSamplesConfig(Group):
    """Points with labels. Lengths are in the normalised frame: the longest edge of the sequence's box is 1."""

    per_frame: int = Field(
        default=20_000, ge=100, le=1 << 22, description="points of each frame that are labelled once"
    )
    near_share: float = Field(default=0.5, ge=0, le=1, description="of these, around the surface")
    near: float = Field(default=0.03, gt=0, description="deviation of those")
    padding: float = Field(default=0.1, ge=0, description="of the cube that holds the points, both sides together")
    first: int = Field(default=512, ge=1, le=1 << 22, description="points of a step at time 0")
    later: int = Field(default=1024, ge=1, le=1 << 22, description="points of a step at the times of any frames")
    surface: int = Field(
        default=512, ge=1, le=1 << 22, description="points of a step whose ways are known, with correspondences"
    )


class FlowLossConfig(Group):
    """Weights of the terms (FLOW-2)."""

    reconstruction_weight: float = Field(default=1.0, gt=0, description="without it there is no shape")
    correspondence_weight: float = Field(
        default=0.0, ge=0, description="distance of vertices from where they are known to go; frames must share them"
    )
    strain_weight: float = Field(
        default=1.0, ge=0, description="of squared strain rates, which rigid motion has not; falls with the rate"
    )
    strain_reach: float = Field(default=0.05, gt=0, description="length over which they are measured")


class IntegrationConfig(Group):
    """FLOW-3: how a point is moved through time."""

    method: Literal["rk4", "dopri5"] = "rk4"
    steps: int = Field(default=4, ge=1, le=10**9, description="of rk4, from time 0 to 1 in training")
    fine_steps: int = Field(default=16, ge=1, le=4096, description="of rk4, likewise in results")
    rtol: float = Field(default=1e-3, gt=0, description="of dopri5")
    atol: float = Field(default=1e-5, gt=0, description="of dopri5")


class FlowScheduleConfig(Group):
    """Adam, whose rate falls by a cosine."""

    steps: int = Field(default=700, ge=1, le=10**9)
    rate: float = Field(default=2e-3, gt=0)
    floor: float = Field(default=0.02, gt=0, le=1, description="share of the rate at the end")
    unlocked: float = Field(default=0.5, ge=0, le=1, description="share of the steps after which all times are asked")


class FlowConfig(Group):
    """All settings of a preset."""

    preset: Literal["fast", "published"] = "fast"
    seed: int = Field(default=0, ge=0, le=(1 << 63) - 1)
    cloud: FlowCloudConfig = FlowCloudConfig()
    occupancy: BlocksConfig = BlocksConfig()
    velocity: BlocksConfig = BlocksConfig(width=64)
    samples: FlowSamplesConfig = FlowSamplesConfig()
    integration: IntegrationConfig = IntegrationConfig()
    loss: FlowLossConfig = FlowLossConfig()
    schedule: FlowScheduleConfig = FlowScheduleConfig()


PUBLISHED = FlowConfig(
    preset="published",
    occupancy=BlocksConfig(width=512),
    velocity=BlocksConfig(width=512),
    samples=FlowSamplesConfig(per_frame=100_000, first=8192, later=8192, surface=1600),
    integration=IntegrationConfig(method="dopri5"),
    loss=FlowLossConfig(strain_weight=0.0),
    schedule=FlowScheduleConfig(steps=200_000, rate=1e-4, floor=1.0, unlocked=0.0),
)
FLOW_PRESETS = {"fast": FlowConfig(), "published": PUBLISHED}


def make_flow_config(preset: str, assignments: list[str], **settings: Any) -> FlowConfig:
    """A preset, changed by `--set` assignments, then by `settings` (top-level keys and groups; None means unset).

    Raises UsageError for an unknown preset or key (with the nearest name) and for a value out of range.
    """
    if preset not in FLOW_PRESETS:
        raise UsageError("unknown preset", where=f"--preset {preset}", todo=f"choose {' or '.join(FLOW_PRESETS)}")
    return chosen(FLOW_PRESETS[preset], assignments, settings)

"""Settings of `tidr paint`, and its presets; IDs refer to docs/methods.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ..config import HashTableConfig, RadianceConfig
from ..errors import UsageError
from ..settings import Group, chosen


class TextureConfig(Group):
    """TEX-1: colours of points. hash: the encoding and a small network; residual: blocks as DVR-1, no encoding."""

    network: Literal["hash", "residual", "light"] = "hash"
    width: int = Field(default=64, ge=8, le=4096)
    hidden_layers: int = Field(default=2, ge=1, le=64, description="of the network behind the encoding")
    blocks: int = Field(default=5, ge=1, le=64, description="residual ones, of two layers each")
    light_code: int = Field(
        default=8, ge=1, le=4096, description="numbers that tell lighting conditions apart (LIGHT-1)"
    )


class SeenConfig(Group):
    """Which pixels of photos tell the colour of the mesh."""

    grazing: float = Field(default=0.15, gt=0, lt=1, description="least |n.v|")
    step: float = Field(
        default=3.0, gt=0, description="pixels off the tangent plane from which a neighbour is another surface"
    )
    margin: int = Field(default=1, ge=0, le=64, description="pixels kept away from such steps and from outlines")
    samples: int = Field(default=1 << 23, ge=1, le=1 << 27, description="pixels of all photos together, at most")


class PaintScheduleConfig(Group):
    """Steps, batches and learning rates; all rates fall by a cosine."""

    steps: int = Field(default=1000, ge=1, le=10**9)
    pixels: int = Field(default=8192, ge=1, le=1 << 22, description="per step")
    rate: float = Field(default=3e-3, gt=0, description="of the network")
    table_rate: float = Field(default=1e-2, gt=0, description="of the hash table's coarsest level")
    fine_rate: float = Field(
        default=1.0, ge=0, description="power of a level's cell size, over the coarsest one's, that scales its rate"
    )
    floor: float = Field(default=0.01, ge=0, le=1, description="share of the rates at the end")


class PaintConfig(Group):
    """All settings."""

    preset: str = "texture"
    seed: int = Field(default=0, ge=0, le=(1 << 63) - 1)
    downscale: int = Field(default=1, ge=1, le=32)
    table: HashTableConfig = HashTableConfig()
    texture: TextureConfig = TextureConfig()
    radiance: RadianceConfig = RadianceConfig(mode="reflected", width=64, hidden_layers=2)
    seen: SeenConfig = SeenConfig()
    schedule: PaintScheduleConfig = PaintScheduleConfig()
    most_vertices: int = Field(default=3_000_000, ge=3, le=1 << 27, description="of a mesh whose edges are split")


PRESETS: Mapping[str, PaintConfig] = {
    "texture": PaintConfig(),
    "texture_field": PaintConfig(
        preset="texture_field",
        texture=TextureConfig(network="residual", width=512),
        schedule=PaintScheduleConfig(steps=5000, pixels=2048, rate=1e-4),
    ),
    "light_field": PaintConfig(preset="light_field", texture=TextureConfig(network="light")),
}


def make_paint_config(preset: str, assignments: list[str], **settings: Any) -> PaintConfig:
    """A preset, changed by `--set` assignments, then by `settings` (None means unset).

    Raises UsageError for an unknown preset or key (with the nearest name) and for a value out of range.
    """
    if preset not in PRESETS:
        raise UsageError("unknown preset", where=f"--preset {preset}", todo=f"choose {' or '.join(PRESETS)}")
    return chosen(PRESETS[preset], assignments, settings)

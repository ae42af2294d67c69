"""Settings of the presets of `tidr shapes`: `fast`, `latent`, and `published`; IDs refer to docs/methods.md."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ...config import HashGeometryConfig, RatesConfig, Shares
from ...errors import UsageError
from ...settings import Group, chosen


class OccupancyConfig(Group):
    """OCC-1. hash: a hash grid and a small network, of one shape. blocks: conditional residual blocks, of one shape
    without a code or of several with one each."""

    kind: Literal["hash", "blocks"] = "blocks"
    width: int = Field(default=256, ge=8, le=4096)
    blocks: int = Field(default=5, ge=1, le=64, description="residual ones, of two layers each")
    code: int = Field(default=128, ge=1, le=4096, description="numbers that tell shapes apart; one shape has none")
    frequencies: int = Field(default=0, ge=0, le=32, description="octaves of the encoding of points; 0 is none")
    norm: Literal["batch", "off"] = Field(
        default="batch", description="before a layer's conditional gain: over the step's points, or not"
    )
    encoder_width: int = Field(default=128, ge=8, le=4096)


class SolidSamplesConfig(Group):
    """OCC-3: points of which it is known whether they are inside. Lengths in the longest edge of a shape's box."""

    padding: float = Field(default=0.1, gt=0, le=1, description="of the cube around the box, of its edge")
    pool: int = Field(default=200_000, ge=16, le=1 << 26, description="points a shape that steps draw from")
    near_share: float = Field(default=0.5, ge=0, le=1, description="of these, around the surface")
    near: Shares = Field(default=(0.1, 0.02, 0.005), min_length=1, description="deviations of those, in equal parts")
    tested: int = Field(default=100_000, ge=1, le=1 << 26, description="uniform points that the overlap is measured at")


class OccupancyScheduleConfig(RatesConfig):
    """Steps and learning rates."""

    steps: int = Field(default=300_000, ge=1, le=10**9)
    points: int = Field(default=2048, ge=1, le=1 << 26, description="a shape a step (OCC-2)")
    shapes: int = Field(default=64, ge=1, le=10**9, description="a step, at most")
    checkpoint_interval: int = Field(default=1000, ge=1, le=10**9)
    kl_weight: float = Field(
        default=1.0, ge=0, description="of KL(q(z | points) | N(0, 1)), beside the sum over points"
    )


class SurfaceConfig(Group):
    """Meshes: OCC-4 and OCC-5."""

    coarsest: int = Field(
        default=32, ge=4, le=1200, description="cells along an axis that all of the cube is asked at, at least"
    )
    places: int = Field(
        default=16384, ge=1, le=1 << 26, description="of a shape's surface, near which cells are halved anyway"
    )
    refine_steps: int = Field(default=30, ge=0, le=4096, description="of RMSprop, over all faces; 0 for none")
    refine_rate: float = Field(default=1e-4, gt=0, description="of RMSprop, in the longest edge of a shape's box")
    normal_weight: float = Field(default=0.01, ge=0, description="of |n_face - n_field|^2, beside (f - 1/2)^2")


class ShapesConfig(Group):
    """All settings. table: of network.kind=hash."""

    preset: str = "published"
    seed: int = Field(default=0, ge=0, le=(1 << 63) - 1)
    network: OccupancyConfig = OccupancyConfig()
    table: HashGeometryConfig = HashGeometryConfig(features=0)
    samples: SolidSamplesConfig = SolidSamplesConfig()
    schedule: OccupancyScheduleConfig = OccupancyScheduleConfig(network_rate=1e-4, warmup=0, decay_start=1)
    surface: SurfaceConfig = SurfaceConfig()


PRESETS: dict[str, ShapesConfig] = {
    "fast": ShapesConfig(
        preset="fast",
        network=OccupancyConfig(kind="hash"),
        table=HashGeometryConfig(features=0, levels=8, finest=64),
        samples=SolidSamplesConfig(pool=1_000_000),
        schedule=OccupancyScheduleConfig(steps=800, points=8192, table_rate=5e-3, fine_rate=2, network_rate=2e-3),
        surface=SurfaceConfig(refine_steps=0),
    ),
    "latent": ShapesConfig(
        preset="latent",
        network=OccupancyConfig(width=64, code=32, frequencies=5, norm="off", encoder_width=64),
        schedule=OccupancyScheduleConfig(steps=1500, points=1024, shapes=4, network_rate=2e-3, decay_start=0.3),
        surface=SurfaceConfig(refine_steps=0),
    ),
    "published": ShapesConfig(),
}


def make_shapes_config(preset: str | None, shapes: int, assignments: list[str], **settings: Any) -> ShapesConfig:
    """A preset, changed by `--set` assignments, then by `settings` (top-level keys and groups; None means unset).

    preset: None is `fast` for one shape, `latent` for several. Raises UsageError for an unknown preset or key (with the
    nearest name), a value out of range, and for several shapes in a network that holds one.
    """
    name = preset or ("fast" if shapes == 1 else "latent")
    if name not in PRESETS:
        raise UsageError("unknown preset", where=f"--preset {name}", todo=f"choose {' or '.join(PRESETS)}")
    config = chosen(PRESETS[name], assignments, settings)
    if config.network.kind == "hash" and shapes > 1:
        why = f"there are {shapes} meshes, and a hash grid holds one"
        raise UsageError("too many shapes", where=f"--preset {name}", why=why, todo="take preset latent or published")
    return config

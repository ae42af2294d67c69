"""Settings of the presets `fast` and `quality`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...config import (
    DepthConfig,
    FastCamerasConfig,
    FitConfig,
    HashGeometryConfig,
    HashTableConfig,
    LossConfig,
    ProxyConfig,
    RadianceConfig,
    RatesConfig,
    StereoConfig,
    TracerConfig,
)
from ...settings import Group


class ScheduleConfig(RatesConfig):
    """Steps, batches and learning rates."""

    steps: int = Field(default=4500, ge=1, le=10**9)
    rays: int = Field(default=2048, ge=1, le=1 << 22)
    views_per_step: int = Field(default=32, ge=1, le=10**9)
    first_levels: int = Field(default=4, ge=1, le=10**9, description="levels of the encoding active at the start")
    levels_unlocked: float = Field(default=0.25, ge=0, le=1, description="share of the steps after which all are")
    outline_share: float = Field(default=0.2, ge=0, le=0.5, description="pixels within two of the silhouette")
    doubtful_share: float = Field(
        default=0.05, ge=0, le=0.5, description="pixels drawn again that were on the wrong side of the silhouette"
    )
    uniform_share: float = Field(
        default=0.1, ge=0, le=1, description="pixels from the whole photo, not the object's surroundings"
    )
    surround: float = Field(
        default=0.1, ge=0, description="how far the surroundings reach, in sizes of the object's box"
    )
    masks_refined: int = Field(
        default=3,
        ge=0,
        le=10**9,
        description="times that masks which the program has cut are cut anew, evenly over the fit",
    )
    hull_resolution: int = Field(default=96, ge=16, le=256, description="visual hull that the fit starts from")
    hull_steps: int = Field(
        default=150, ge=1, le=10**9, description="steps of fitting the field to the hull's distance"
    )


class FastLossConfig(LossConfig):
    """Weights of this method's own terms, beside those of the paper (docs/decisions/0025)."""

    object_weight: float = Field(default=2.0, gt=0, description="of object pixels in the mask's term")
    alpha_doublings: int = Field(default=6, ge=0, le=64)
    hollow_weight: float = Field(default=1.0, ge=0, description="of what f lacks to a cell below, deep inside")
    adrift_weight: float = Field(default=0.3, ge=0, description="of bodies that no photo needs")
    unseen_weight: float = Field(default=0.1, ge=0, description="of the first shape where no photo shows the surface")


class ConsistencyConfig(Group):
    """Photos compared along the surface, patch by patch (docs/decisions/0012)."""

    weight: float = Field(default=0.1, ge=0, description="0 leaves the term out")
    start: float = Field(default=0.5, ge=0, le=1, description="share of the steps after which the shape stands")
    points: int = Field(default=256, ge=1, le=1 << 26, description="surface points per step")
    sources: int = Field(default=6, ge=1, le=256, description="other photos that each is looked for in")
    best: int = Field(default=4, ge=1, le=256, description="of these, the most alike, that count")
    unexplained: float = Field(
        default=0.05, gt=0, description="share of a patch's variance that is left where photos agree"
    )
    reach: int = Field(default=5, ge=1, le=32, description="pixels from a patch's middle to its edge")
    spacing: int = Field(default=1, ge=1, le=32, description="between a patch's pixels")
    narrowest: float = Field(default=5.0, ge=0, le=90, description="degrees between the directions to two cameras")
    widest: float = Field(default=60.0, gt=0, le=90, description="and at most")
    flattest: float = Field(default=0.35, ge=0, lt=1, description="least cosine between normal and view")
    least_contrast: float = Field(default=0.01, ge=0, lt=1, description="deviation of a patch, of 1, that tells")


class ColoursConfig(HashTableConfig):
    """The renderer's own hash table (docs/decisions/0041)."""

    levels: int = Field(default=8, ge=0, le=32, description="0: the renderer has none")
    log2_rows: int = Field(default=16, ge=8, le=24, description="rows of a hashed level")
    rate: float = Field(default=0.04, gt=0, description="of the coarsest level")
    fine_rate: float = Field(
        default=0.5, ge=0, description="power of a level's cell size, over the coarsest one's, that scales its rate"
    )
    pull: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="share with which its colours, where they change along a ray, move the surface",
    )


class ExposureConfig(Group):
    """Exposure and white balance of each photo, fitted beside the object (docs/decisions/0023)."""

    mode: Literal["auto", "on", "fixed", "off"] = Field(
        default="auto",
        description="on: fitted; fixed: as points shared by photos say; auto: fitted where photos differ and poses are "
        "not trained, fixed where the capture says how they differ",
    )
    least_spread: float = Field(
        default=0.25, gt=0, description="EV, robust deviation of photos from those beside them: auto fits from there on"
    )
    start: float = Field(default=0.03, ge=0, lt=1, description="share of the steps that keep the first estimate")
    memory: float = Field(default=0.98, ge=0, lt=1, description="of a photo's pixels, in its visits")
    known: float = Field(default=200.0, gt=0, description="pixels that the first estimate counts as, and fades like")
    prior: float = Field(default=5.0, gt=0, description="pixels of each photo that say that it needs no gain")


class FastConfig(FitConfig):
    """All settings of this method."""

    preset: Literal["fast", "quality", "maskless"] = "fast"
    geometry: HashGeometryConfig = HashGeometryConfig()
    radiance: RadianceConfig = RadianceConfig(view_frequencies=2, mode="auto")
    colours: ColoursConfig = ColoursConfig()
    tracer: TracerConfig = TracerConfig()
    loss: FastLossConfig = FastLossConfig()
    cameras: FastCamerasConfig = FastCamerasConfig()
    proxy: ProxyConfig = ProxyConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    stereo: StereoConfig = StereoConfig()
    depth: DepthConfig = DepthConfig()
    consistency: ConsistencyConfig = ConsistencyConfig()
    exposure: ExposureConfig = ExposureConfig()


FAST = FastConfig()
QUALITY = FastConfig(
    preset="quality",
    colours=ColoursConfig(log2_rows=17),
    schedule=ScheduleConfig(steps=10000),
    consistency=ConsistencyConfig(start=0.4, points=512),
)
"""`fast` with photos compared along the surface, and the time that takes."""
MASKLESS = FastConfig(preset="maskless")
"""`fast` with silhouettes that are cut of the photos (docs/decisions/0035)."""

"""Groups of settings for what lies below the methods, or that several use: every number once.

IDs such as TRACE-5 refer to docs/idr.md. A method's own groups, and its presets, stand in its folder.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .settings import Group, listed
from .types import DepthSource

Shares = Annotated[tuple[float, ...], BeforeValidator(listed)]
Epochs = Annotated[tuple[int, ...], BeforeValidator(listed)]


class TracerConfig(Group):
    """The exact tracer, section 2 of the method (TRACE-1 to TRACE-11)."""

    radius: float = Field(default=1.0, gt=0, description="bounding sphere, normalised frame")
    tolerance: float = Field(default=5e-5, gt=0, description="|f| that counts as on the surface")
    line_search_step: float = Field(default=0.5, gt=0, lt=1)
    line_search_iterations: int = Field(default=3, ge=0, le=64)
    sphere_tracing_iterations: int = Field(default=10, ge=1, le=4096)
    samples: int = Field(default=100, ge=2, le=4096, description="equal samples where sphere tracing has not converged")
    secant_iterations: int = Field(default=8, ge=0, le=64)
    far_front: Literal["all", "stragglers"] = Field(
        default="all", description="rays also walked from the far end: all (released), or the unconverged (paper)"
    )
    search: Literal["released", "paper"] = Field(
        default="released", description="mask loss of background pixels that are hit: least f behind it, or anywhere"
    )


class HashGeometryConfig(Group):
    """SDF field of preset `fast`: hash grid and a small Softplus network."""

    levels: int = Field(default=10, ge=1, le=32)
    coarsest: int = Field(default=16, ge=2, le=1200, description="cells along [-1, 1] of the first level")
    finest: int = Field(default=1024, ge=2, le=1200, description="and of the last")
    log2_rows: int = Field(default=16, ge=8, le=24, description="rows of a hashed level")
    table_scale: float = Field(default=1e-4, gt=0, description="features start uniform in +- this")
    width: int = Field(default=64, ge=8, le=4096)
    hidden_layers: int = Field(default=2, ge=1, le=64)
    features: int = Field(
        default=32, ge=0, le=4096, description="z: what the renderer gets beside point, normal and view"
    )
    softplus_beta: float = Field(default=100.0, gt=0)


class HashTableConfig(Group):
    """A hash table that tells of colours: of points on a mesh in `tidr paint`, of the renderer in preset `fast`."""

    levels: int = Field(default=12, ge=1, le=32)
    coarsest: int = Field(default=16, ge=2, le=1200, description="cells along [-1, 1] of the first level")
    finest: int = Field(default=1024, ge=2, le=1200, description="and of the last")
    log2_rows: int = Field(default=18, ge=8, le=24, description="rows of a hashed level")
    scale: float = Field(default=1e-4, gt=0, description="features start uniform in +- this")


class MlpGeometryConfig(Group):
    """SDF field of preset `idr`: positional encoding and a deep Softplus network (NET-1 to NET-5)."""

    position_frequencies: int = Field(default=6, ge=0, le=32, description="octaves of the encoding; 0 is none")
    encoding: Literal["code", "paper"] = Field(default="code", description="as released (NET-1) or as printed (NET-2)")
    width: int = Field(default=512, ge=8, le=4096)
    hidden_layers: int = Field(default=8, ge=1, le=64)
    skip_layer: int = Field(default=4, ge=0, le=10**9, description="layer that sees the encoded point again; 0 is none")
    features: int = Field(
        default=256, ge=0, le=4096, description="z: what the renderer gets beside point, normal and view"
    )
    softplus_beta: float = Field(default=100.0, gt=0)
    initial_bias: float = Field(default=0.6, gt=0, description="of the last layer: size of the starting ball (NET-4)")
    initialisation: Literal["geometric", "random"] = "geometric"


class RadianceConfig(Group):
    """Neural renderer M(x, n, v, z, encoding) -> colour in [-1, 1]; modes leave out an input (NET-7), or add one."""

    width: int = Field(default=128, ge=8, le=4096)
    hidden_layers: int = Field(default=3, ge=1, le=64)
    view_frequencies: int = Field(default=4, ge=0, le=32, description="NET-1 on the view direction")
    mode: Literal["idr", "no_view_dir", "no_normal", "reflected", "auto"] = Field(
        default="idr",
        description="reflected: idr, and v mirrored at n; auto: idr, but that instead of v where colours follow it",
    )


class ProxyConfig(Group):
    """The lattice of signed distances, and what the network does in the intervals that the march reports."""

    resolution: int = Field(default=96, ge=16, le=512)
    refresh_interval: int = Field(default=40, ge=1, le=10**9, description="steps between refreshes near the surface")
    sweeps: int = Field(
        default=24, ge=1, le=4096, description="refreshes in which every other lattice point has its turn"
    )
    band: float = Field(default=2.5, gt=0, description="cells: lattice points with |f| below this are near the surface")
    margin: float = Field(
        default=0.3, ge=0, description="cells: interpolated values below this are decided by the network"
    )
    least_step: float = Field(default=0.5, gt=0, description="cells")
    widening: float = Field(default=2.0, ge=0, description="cells added at both ends of an interval: the lattice ages")
    head_on: float = Field(default=8.0, gt=0, description="cells: a shorter interval is entered head-on")
    secant_steps: int = Field(default=3, ge=1, le=64, description="secant steps in such an interval")
    samples: int = Field(
        default=8, ge=2, le=4096, description="network samples in a longer interval, or where the secant failed"
    )
    rounds: int = Field(default=2, ge=1, le=64, description="intervals tried along one ray")
    polish_iterations: int = Field(
        default=4, ge=1, le=64, description="regula falsi (Illinois) steps in a sampled interval"
    )


class LossConfig(Group):
    """Weights of the terms (LOSS-1 to LOSS-5)."""

    mask_weight: float = Field(default=30.0, ge=0)
    eikonal_weight: float = Field(default=0.1, ge=0)
    eikonal_points: int = Field(default=256, ge=0, le=1 << 22, description="uniform points in the box per step")
    surface_jitter: float = Field(default=0.01, gt=0, description="standard deviation of the points beside the surface")
    beside_stride: int = Field(
        default=2, ge=1, le=10**9, description="every so many surface points have one beside them"
    )
    smooth_weight: float = Field(default=0.03, ge=0, description="normals of neighbouring surface points")
    alpha: float = Field(default=50.0, gt=0, description="sharpness of the mask's logistic")
    alpha_doublings: int = Field(default=5, ge=0, le=64)
    grazing: float = Field(default=0.05, gt=0, lt=1, description="least |n.v| in Lemma 1's denominator")


class CamerasConfig(Group):
    """Poses: as given, or trained with the shape, in the paper's way (CAM-4, CAM-5)."""

    train: bool = False
    parameters: Literal["object", "centre"] = Field(
        default="centre", description="beside the quaternion: the origin seen from the camera, or the camera's centre"
    )
    quaternion_rate: float = Field(default=1e-4, gt=0, description="of Adam")
    place_rate: float = Field(default=1e-4, gt=0, description="of Adam")


class FastCamerasConfig(CamerasConfig):
    """Poses of preset `fast` (docs/decisions 0009 and 0010)."""

    parameters: Literal["object", "centre"] = "object"
    optimiser: Literal["gauss_newton", "adam"] = Field(
        default="gauss_newton", description="blocks of six numbers per view, or Adam on the parameters as they are"
    )
    quaternion_rate: float = Field(default=3e-3, gt=0, description="of Adam")
    place_rate: float = Field(default=1.5e-3, gt=0, description="of Adam")
    step_size: float = Field(default=0.05, gt=0, le=1, description="share of a Gauss-Newton step")
    warmup: float = Field(default=0.04, ge=0, lt=1, description="share of the steps in which steps get longer")
    decay_start: float = Field(default=0.5, ge=0, lt=1, description="share of the steps after which steps get shorter")
    decay_floor: float = Field(default=0.0, ge=0, le=1)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="memory of a view's gradient, in its visits")
    memory: float = Field(default=0.98, ge=0, lt=1, description="memory of a view's curvature, in its visits")
    shift_scale: float = Field(
        default=0.3, gt=0, description="shift, normalised units, as likely as a turn by a radian: rough poses turn more"
    )
    damping: float = Field(default=0.1, gt=0, description="of the first Gauss-Newton steps, share of the curvature")
    damping_end: float = Field(default=1e-3, gt=0)
    leverage: float = Field(default=10.0, gt=0, description="cut of a ray's gradient in the first steps")
    leverage_end: float = Field(default=200.0, gt=0)
    released: float = Field(default=0.3, gt=0, le=1, description="share of the steps after which both have their end")
    largest_turn: float = Field(default=0.1, gt=0, description="degrees per step")
    adjustments: Shares = Field(
        default=(0.04, 0.08, 0.15, 0.3, 0.5, 0.7, 0.85), description="shares of the steps at which poses are adjusted"
    )
    trusted_sightings: float = Field(
        default=40.0, gt=0, description="sharp sightings of a view beyond which its rays move it less, by the square"
    )
    settled: float = Field(default=0.02, ge=0, le=1, description="least share of their steps that adjusted poses keep")
    known_start: float = Field(default=0.3, gt=0, description="degrees: how well an adjustment takes poses to be known")
    known_end: float = Field(default=0.05, gt=0, description="degrees: the same, from decay_start on")
    known_shift: float = Field(default=2.0, gt=0, description="shift, normalised units, as well known as a radian")
    fewest_sightings: int = Field(
        default=10, ge=1, le=10**9, description="sharp ones of a view, for an adjustment to move it"
    )
    hull_fraction: float = Field(
        default=0.8, gt=0, le=1, description="share of the photos that must agree on the first hull"
    )
    hull_slack: float = Field(default=4.0, ge=0, description="cells by which that hull is grown further")
    hull_rough: float = Field(default=0.6, ge=0, le=1, description="share of the steps with such a hull")
    hull_interval: int = Field(default=500, ge=1, le=10**9, description="steps between hulls carved anew")
    colours_from: float = Field(
        default=0.5, ge=0, le=1, description="share of the steps before which the renderer's own table does not learn"
    )


class StereoConfig(Group):
    """Depth maps of the photos before the first step (docs/decisions/0021)."""

    enabled: bool = True
    side: int = Field(
        default=200, ge=64, le=4096, description="pixels of the object's longer side in the photos compared, at most"
    )
    views: int = Field(default=64, ge=3, le=10**9, description="photos with a depth map, at most")
    sources: int = Field(default=6, ge=2, le=256, description="other photos that each is compared with")
    best: int = Field(default=3, ge=1, le=4, description="of these, the most alike, that count")
    narrowest: float = Field(default=4.0, ge=0, le=90, description="degrees between the directions to two photos")
    widest: float = Field(default=45.0, gt=0, le=90, description="and at most")
    reach: int = Field(default=2, ge=1, le=5, description="pixels from a patch's middle to its edge")
    least_contrast: float = Field(
        default=0.005, ge=0, lt=1, description="deviation of a patch, of 1, that tells, beside a slope"
    )
    least_likeness: float = Field(default=0.6, ge=0, lt=1, description="correlation of photos that agree")
    neighbours: int = Field(default=10, ge=2, le=256, description="other maps that are asked about each depth")
    agreeing: int = Field(default=2, ge=1, le=10**9, description="of these, that have to say the same")
    apart: float = Field(default=1.0, gt=0, description="pixels, at that depth, by which they may differ")
    clear: float = Field(default=1.5, gt=0, description="pixels behind a point from which a map sees through it")
    through_share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="of the photos that show a hull point, those whose maps must see through",
    )
    through: int = Field(default=3, ge=1, le=10**9, description="maps that are enough to carve it")
    thickness: float = Field(default=2.0, gt=0, description="cells of the hull from a map's surface to which it tells")
    points: int = Field(default=200_000, ge=1, le=1 << 26, description="of the surface, at most")
    points_per_step: int = Field(default=256, ge=1, le=1 << 22, description="of these, in a step of the fit")
    weight: float = Field(default=3.0, ge=0, description="of their distance from the surface, falling to 0")
    until: float = Field(default=0.5, ge=0, le=1, description="at this share of the steps")
    least_share: float = Field(
        default=0.15, ge=0, le=1, description="object pixels with a depth, for any of it to count"
    )


class DepthConfig(Group):
    """Depth that is known of the photos (DVR-7)."""

    source: DepthSource = Field(
        default="maps", description="maps: of depth/, where it is there; points: else of structure from motion; off"
    )


class RatesConfig(Group):
    """Learning rates of a hash grid and its networks, and how they rise and fall with the share of the steps done."""

    table_rate: float = Field(default=2e-2, gt=0, description="of the coarsest level")
    fine_rate: float = Field(
        default=1.0, ge=0, description="power of a level's cell size, over the coarsest one's, that scales its rate"
    )
    network_rate: float = Field(default=6e-3, gt=0)
    warmup: float = Field(default=0.01, ge=0, le=1, description="share of the steps in which the rates rise from zero")
    decay_start: float = Field(
        default=0.4, ge=0, le=1, description="share of the steps after which the rates fall (cosine)"
    )
    decay_floor: float = Field(default=0.02, ge=0, le=1)


class EpochScheduleConfig(Group):
    """One photo a step, an epoch shows each once; counted in epochs, as published systems are."""

    epochs: int = Field(ge=1, le=10**8)
    steps: int | None = Field(
        default=None, ge=1, le=10**9, description="all epochs squeezed into so many; unset: as published"
    )
    rays: int = Field(default=2048, ge=1, le=1 << 22)
    rate: float = Field(default=1e-4, gt=0)
    rate_epochs: Epochs = Field(description="epochs at which the rate falls")
    rate_decay: float = Field(default=0.5, gt=0, le=1)


class LogConfig(Group):
    """How often the run says what it does, in steps. judge_seconds: for the judgement at its end, 0 for none."""

    metrics_interval: int = Field(default=50, ge=1, le=10**9)
    preview_interval: int = Field(default=1000, ge=1, le=10**9)
    checkpoint_interval: int = Field(default=1000, ge=1, le=10**9)
    judge_seconds: float = Field(default=20.0, ge=0)


class FitConfig(Group):
    """What the settings of every method have in common. A method adds its groups; one of them is `schedule`, with the
    `steps` and `rays` that the options of these names set."""

    preset: str
    seed: int = Field(default=0, ge=0, le=(1 << 63) - 1)
    downscale: int = Field(default=1, ge=1, le=32)
    time_limit: float | None = Field(
        default=None, gt=0, description="seconds after which the fit ends with a checkpoint"
    )
    until: float | None = Field(
        default=None, gt=0, description="minutes that the fit takes in all: its steps are as many as there is time for"
    )
    until_converged: bool = Field(default=False, description="whether it goes on while more steps help")
    cameras: CamerasConfig = CamerasConfig()
    log: LogConfig = LogConfig()

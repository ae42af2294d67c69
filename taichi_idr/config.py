"""Every number of a fit, once, as frozen data. IDs such as TRACE-5 refer to docs/idr.md.

Presets are instances; `--set tracer.samples=64` makes a changed copy. Unknown keys are refused with the nearest.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import BadInput, TidrError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TracerConfig(_Frozen):
    """The exact tracer, section 2 of the method (TRACE-1 to TRACE-11)."""

    radius: float = Field(default=1.0, gt=0, description="bounding sphere, normalised frame")
    tolerance: float = Field(default=5e-5, gt=0, description="|f| that counts as on the surface")
    line_search_step: float = Field(default=0.5, gt=0, lt=1)
    line_search_iterations: int = Field(default=3, ge=0)
    sphere_tracing_iterations: int = Field(default=10, ge=1)
    samples: int = Field(default=100, ge=2, description="equal samples where sphere tracing has not converged")
    secant_iterations: int = Field(default=8, ge=0)
    far_front: Literal["all", "stragglers"] = Field(
        default="all", description="rays also walked from the far end: all (released), or the unconverged (paper)"
    )
    search: Literal["released", "paper"] = Field(
        default="released", description="mask loss of background pixels that are hit: least f behind it, or anywhere"
    )


class HashGeometryConfig(_Frozen):
    """SDF field of preset `fast`: hash grid and a small Softplus network."""

    levels: int = Field(default=10, ge=1, le=32)
    coarsest: int = Field(default=16, ge=2, description="cells along [-1, 1] of the first level")
    finest: int = Field(default=1024, ge=2, le=1200, description="and of the last")
    log2_rows: int = Field(default=16, ge=8, le=24, description="rows of a hashed level")
    table_scale: float = Field(default=1e-4, gt=0, description="features start uniform in +- this")
    width: int = Field(default=64, ge=8)
    hidden_layers: int = Field(default=2, ge=1)
    features: int = Field(default=32, ge=0, description="z: what the renderer gets beside point, normal and view")
    softplus_beta: float = Field(default=100.0, gt=0)


class MlpGeometryConfig(_Frozen):
    """SDF field of preset `idr`: positional encoding and a deep Softplus network (NET-1 to NET-5)."""

    position_frequencies: int = Field(default=6, ge=0, description="octaves of the encoding; 0 is none")
    encoding: Literal["code", "paper"] = Field(default="code", description="as released (NET-1) or as printed (NET-2)")
    width: int = Field(default=512, ge=8)
    hidden_layers: int = Field(default=8, ge=1)
    skip_layer: int = Field(default=4, ge=0, description="layer that sees the encoded point again; 0 is none")
    features: int = Field(default=256, ge=0, description="z: what the renderer gets beside point, normal and view")
    softplus_beta: float = Field(default=100.0, gt=0)
    initial_bias: float = Field(default=0.6, gt=0, description="of the last layer: size of the starting ball (NET-4)")
    initialisation: Literal["geometric", "random"] = "geometric"


class RadianceConfig(_Frozen):
    """Neural renderer M(x, n, v, z, encoding) -> colour in [-1, 1]; modes leave out an input (NET-7)."""

    width: int = Field(default=128, ge=8)
    hidden_layers: int = Field(default=3, ge=1)
    view_frequencies: int = Field(default=4, ge=0, description="NET-1 on the view direction")
    mode: Literal["idr", "no_view_dir", "no_normal"] = "idr"


class ProxyConfig(_Frozen):
    """The lattice of signed distances, and what the network does in the intervals that the march reports."""

    resolution: int = Field(default=96, ge=16, le=512)
    refresh_interval: int = Field(default=40, ge=1, description="steps between refreshes near the surface")
    sweeps: int = Field(default=24, ge=1, description="refreshes in which every other lattice point has its turn")
    band: float = Field(default=2.5, gt=0, description="cells: lattice points with |f| below this are near the surface")
    margin: float = Field(
        default=0.3, ge=0, description="cells: interpolated values below this are decided by the network"
    )
    least_step: float = Field(default=0.5, gt=0, description="cells")
    widening: float = Field(default=2.0, ge=0, description="cells added at both ends of an interval: the lattice ages")
    head_on: float = Field(default=8.0, gt=0, description="cells: a shorter interval is entered head-on")
    secant_steps: int = Field(default=3, ge=1, description="secant steps in such an interval")
    samples: int = Field(
        default=8, ge=2, description="network samples in a longer interval, or where the secant failed"
    )
    rounds: int = Field(default=2, ge=1, description="intervals tried along one ray")
    polish_iterations: int = Field(default=4, ge=1, description="regula falsi (Illinois) steps in a sampled interval")


class LossConfig(_Frozen):
    """Weights of the terms (LOSS-1 to LOSS-5)."""

    mask_weight: float = Field(default=30.0, ge=0)
    eikonal_weight: float = Field(default=0.1, ge=0)
    eikonal_points: int = Field(default=256, ge=0, description="uniform points in the box per step")
    surface_jitter: float = Field(default=0.01, gt=0, description="standard deviation of the points beside the surface")
    beside_stride: int = Field(default=2, ge=1, description="every so many surface points have one beside them")
    smooth_weight: float = Field(default=0.03, ge=0, description="normals of neighbouring surface points")
    alpha: float = Field(default=50.0, gt=0, description="sharpness of the mask's logistic")
    alpha_doublings: int = Field(default=5, ge=0)
    grazing: float = Field(default=0.05, gt=0, lt=1, description="least |n.v| in Lemma 1's denominator")


def _listed(value: Any) -> Any:
    """`--set` writes a list as 1,2,3."""
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


Epochs = Annotated[tuple[int, ...], BeforeValidator(_listed)]
Shares = Annotated[tuple[float, ...], BeforeValidator(_listed)]


class CamerasConfig(_Frozen):
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
        default=30.0, gt=0, description="sharp sightings of a view beyond which its rays move it less"
    )
    settled: float = Field(default=0.05, ge=0, le=1, description="least share of their steps that adjusted poses keep")
    known_start: float = Field(default=0.3, gt=0, description="degrees: how well an adjustment takes poses to be known")
    known_end: float = Field(default=0.05, gt=0, description="degrees: the same, from decay_start on")
    known_shift: float = Field(default=2.0, gt=0, description="shift, normalised units, as well known as a radian")
    fewest_sightings: int = Field(default=10, ge=1, description="sharp ones of a view, for an adjustment to move it")
    hull_fraction: float = Field(
        default=0.8, gt=0, le=1, description="share of the photos that must agree on the first hull"
    )
    hull_slack: float = Field(default=4.0, ge=0, description="cells by which that hull is grown further")
    hull_rough: float = Field(default=0.6, ge=0, le=1, description="share of the steps with such a hull")
    hull_interval: int = Field(default=500, ge=1, description="steps between hulls carved anew")


class ScheduleConfig(_Frozen):
    """Steps, batches and learning rates."""

    steps: int = Field(default=6000, ge=1)
    rays: int = Field(default=2048, ge=1)
    views_per_step: int = Field(default=32, ge=1)
    table_rate: float = Field(default=5e-3, gt=0, description="of the coarsest level")
    fine_rate: float = Field(
        default=1.0, ge=0, description="power of a level's cell size, over the coarsest one's, that scales its rate"
    )
    network_rate: float = Field(default=1e-3, gt=0)
    warmup: float = Field(default=0.01, ge=0, le=1, description="share of the steps in which the rates rise from zero")
    decay_start: float = Field(
        default=0.4, ge=0, le=1, description="share of the steps after which the rates fall (cosine)"
    )
    decay_floor: float = Field(default=0.02, ge=0, le=1)
    first_levels: int = Field(default=4, ge=1, description="levels of the encoding active at the start")
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
    hull_resolution: int = Field(default=96, ge=16, le=256, description="visual hull that the fit starts from")
    hull_steps: int = Field(default=300, ge=1, description="steps of fitting the field to the hull's distance")


class ConsistencyConfig(_Frozen):
    """Photos compared along the surface, patch by patch (docs/decisions/0012)."""

    weight: float = Field(default=0.0, ge=0, description="0 leaves the term out")
    start: float = Field(default=0.4, ge=0, le=1, description="share of the steps after which the shape stands")
    points: int = Field(default=512, ge=1, description="surface points per step")
    sources: int = Field(default=6, ge=1, description="other photos that each is looked for in")
    best: int = Field(default=4, ge=1, description="of these, the most alike, that count")
    unexplained: float = Field(
        default=0.05, gt=0, description="share of a patch's variance that is left where photos agree"
    )
    reach: int = Field(default=5, ge=1, description="pixels from a patch's middle to its edge")
    spacing: int = Field(default=1, ge=1, description="between a patch's pixels")
    narrowest: float = Field(default=5.0, ge=0, le=90, description="degrees between the directions to two cameras")
    widest: float = Field(default=60.0, gt=0, le=90, description="and at most")
    flattest: float = Field(default=0.35, ge=0, lt=1, description="least cosine between normal and view")
    least_contrast: float = Field(default=0.01, ge=0, lt=1, description="deviation of a patch, of 1, that tells")


class LogConfig(_Frozen):
    """How often the run says what it does, in steps."""

    metrics_interval: int = Field(default=50, ge=1)
    preview_interval: int = Field(default=1000, ge=1)
    checkpoint_interval: int = Field(default=1000, ge=1)


class EpochScheduleConfig(_Frozen):
    """Section 5 of the method: one photo a step, an epoch shows each once; counted in epochs as published."""

    epochs: int = Field(default=2001, ge=1)
    steps: int | None = Field(default=None, ge=1, description="all epochs squeezed into so many; unset: as published")
    rays: int = Field(default=2048, ge=1)
    rate: float = Field(default=1e-4, gt=0)
    rate_epochs: Epochs = Field(default=(1000, 1500), description="epochs at which the rate falls")
    rate_decay: float = Field(default=0.5, gt=0, le=1)
    alpha_epochs: Epochs = Field(default=(250, 500, 750, 1000, 1250), description="LOSS-5: alpha doubles")


class FitConfig(_Frozen):
    """What all presets have in common."""

    preset: str
    seed: int = Field(default=0, ge=0)
    downscale: int = Field(default=1, ge=1, le=32)
    time_limit: float | None = Field(
        default=None, gt=0, description="seconds after which the fit ends with a checkpoint"
    )
    radiance: RadianceConfig = RadianceConfig()
    tracer: TracerConfig = TracerConfig()
    loss: LossConfig = LossConfig()
    cameras: CamerasConfig = CamerasConfig()
    log: LogConfig = LogConfig()


class FastConfig(FitConfig):
    """All settings of preset `fast`."""

    preset: Literal["fast"] = "fast"
    geometry: HashGeometryConfig = HashGeometryConfig()
    radiance: RadianceConfig = RadianceConfig(view_frequencies=2)
    cameras: FastCamerasConfig = FastCamerasConfig()
    proxy: ProxyConfig = ProxyConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    consistency: ConsistencyConfig = ConsistencyConfig()


class QualityConfig(FastConfig):
    """Preset `fast` with photos compared along the surface, and the time that takes."""

    preset: Literal["quality"] = "quality"  # pyright: ignore[reportIncompatibleVariableOverride]
    schedule: ScheduleConfig = ScheduleConfig(steps=12000)
    consistency: ConsistencyConfig = ConsistencyConfig(weight=0.1)


class IdrConfig(FitConfig):
    """All settings of preset `idr`: the paper's, and its released code's where they differ."""

    preset: Literal["idr"] = "idr"
    geometry: MlpGeometryConfig = MlpGeometryConfig()
    radiance: RadianceConfig = RadianceConfig(width=512, hidden_layers=4)
    loss: LossConfig = LossConfig(mask_weight=100, eikonal_points=1024, smooth_weight=0)
    schedule: EpochScheduleConfig = EpochScheduleConfig()


Settings = FastConfig | IdrConfig
PRESETS: dict[str, Settings] = {"fast": FastConfig(), "quality": QualityConfig(), "idr": IdrConfig()}


def make_config(preset: str, assignments: list[str], **settings: Any) -> Settings:
    """A preset, changed by `--set` assignments, then by `settings` (top-level keys and groups; None means unset).

    Raises UsageError for an unknown preset or key (with the nearest name) and for a value out of range.
    """
    if preset not in PRESETS:
        raise UsageError("unknown preset", where=f"--preset {preset}", todo=f"choose {' or '.join(PRESETS)}")
    tree = _merged(PRESETS[preset].model_dump(), parse_assignments(assignments))
    tree = _merged(tree, _without_none(settings))
    return _validated(tree, UsageError, lambda key: f"--set {key}")


def config_to_toml(config: FitConfig) -> str:
    """Every setting; those that are None are left out."""
    import tomli_w

    return tomli_w.dumps(_without_none(config.model_dump()))


def config_from_toml(text: str, path: Path) -> Settings:
    """The settings in `text`, read from `path`. Raises BadInput: no TOML, unknown key (nearest name), bad value."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        todo = "restore the file, or fit again with --fresh"
        raise BadInput("not TOML", where=path, why=str(error), todo=todo) from error
    return _validated(tree, BadInput, lambda key: f"{path}: {key}")


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """`["loss.mask_weight=30"]` -> `{"loss": {"mask_weight": "30"}}`; values are converted by the model.

    Raises UsageError for a text without `=`.
    """
    tree: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError("not an assignment", where=f"--set {text}", todo="write key=value")
        *groups, leaf = key.strip().split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
            if not isinstance(node, dict):
                todo = f"set keys below {group}"
                raise UsageError("a value where a group is needed", where=f"--set {text}", todo=todo)
        node[leaf] = None if value.strip() == "none" else value.strip()
    return tree


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _without_none(tree: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in tree.items() if value is not None}
    return {key: _without_none(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _validated(tree: dict[str, Any], error_class: type[TidrError], place: Callable[[str], str]) -> Settings:
    """The first fault is reported, by its full key."""
    preset = PRESETS.get(str(tree.get("preset", "fast")))
    if preset is None:
        why = f"{_shown(tree['preset'])}: expected {' or '.join(PRESETS)}"
        raise error_class("bad value", where=place("preset"), why=why)
    try:
        return type(preset).model_validate(tree)
    except ValidationError as error:
        fault = error.errors()[0]
        *groups, leaf = [str(part) for part in fault["loc"]]
        where = place(".".join((*groups, leaf)))
        if fault["type"] == "extra_forbidden":
            raise error_class("unknown key", where=where, why=_nearest_name(type(preset), groups, leaf)) from error
        wanted = fault["msg"][0].lower() + fault["msg"][1:]
        if fault["type"] == "model_type":
            wanted = f"expected a group of settings; set {leaf}.KEY"
        raise error_class("bad value", where=where, why=f"{_shown(fault['input'])}: {wanted}") from error


def _nearest_name(model: type[FitConfig], groups: list[str], leaf: str) -> str:
    """Look in the same group first, then in all."""
    known = _all_keys(model)
    prefix = "".join(f"{group}." for group in groups)
    siblings = [key for key in known if key.startswith(prefix)]
    near = difflib.get_close_matches(prefix + leaf, siblings, 1)
    near = near or [key for key in known if key.split(".")[-1] == leaf]
    near = near or difflib.get_close_matches(leaf, [*known, *model.model_fields], 1, cutoff=0.0)
    return f"the nearest is {near[0]}"


def _all_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            keys += _all_keys(group, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

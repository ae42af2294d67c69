"""Settings: one default per number, nothing unknown, nothing out of range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from taichi_idr.errors import BadInput, UsageError
from taichi_idr.materials.settings import MaterialConfig
from taichi_idr.methods.catalogue import METHODS, config_from_toml, make_config
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.methods.flow.settings import FlowConfig, make_flow_config
from taichi_idr.methods.idr.settings import IdrConfig
from taichi_idr.methods.points.settings import FastPointsConfig, PublishedConfig, make_points_config
from taichi_idr.methods.shapes.settings import ShapesConfig
from taichi_idr.painting.settings import PaintConfig, make_paint_config
from taichi_idr.settings import parse_assignments, to_toml

FILE = Path("runs/skull/config.toml")


def test_assignments_change_a_copy() -> None:
    config = make_config("fast", ["loss.mask_weight=7.5", "schedule.steps = 12", "time_limit=none"], seed=4)
    assert (config.loss.mask_weight, config.schedule.steps, config.seed, config.time_limit) == (7.5, 12, 4, None)
    assert make_config("fast", []) == FastConfig()


def test_a_value_of_none_leaves_the_default() -> None:
    config = make_config("fast", ["schedule.rays=99"], seed=None, schedule={"steps": 5, "rays": None})
    assert (config.seed, config.schedule.steps, config.schedule.rays) == (FastConfig().seed, 5, 99)


def test_every_setting_survives_the_file() -> None:
    config = make_config("fast", ["geometry.levels=3", "time_limit=1.5"])
    assert config_from_toml(to_toml(config), FILE) == config
    epochs = make_config("idr", ["schedule.rate_epochs=10,20", "schedule.alpha_epochs=", "cameras.train=true"])
    for whole in (FastConfig(), IdrConfig(), epochs):
        assert config_from_toml(to_toml(whole), FILE) == whole


def test_preset_idr_moves_poses_as_published() -> None:
    """CAM-4, CAM-5: no other optimiser can be asked for, and then not be used."""
    cameras = IdrConfig().cameras
    assert (cameras.parameters, cameras.quaternion_rate, cameras.place_rate) == ("centre", 1e-4, 1e-4)
    with pytest.raises(UsageError, match="unknown key"):
        make_config("idr", ["cameras.optimiser=gauss_newton"])


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FastConfig().seed = 3  # pyright: ignore[reportAttributeAccessIssue]


MESSAGES = {
    "loss.mask_weigth=3": "unknown key (--set loss.mask_weigth): the nearest is loss.mask_weight",
    "mask_weight=3": "unknown key (--set mask_weight): the nearest is loss.mask_weight",
    "los.mask_weight=3": "unknown key (--set los): the nearest is loss",
    "tracer.secant_iteration=3": "unknown key (--set tracer.secant_iteration): the nearest is tracer.secant_iterations",
    "seed": "not an assignment (--set seed): write key=value",
    "=3": "not an assignment (--set =3): write key=value",
    "log=3": (
        "bad value (--set log): '3': expected a group of settings; set one of log.metrics_interval, "
        "log.preview_interval, log.checkpoint_interval, log.judge_seconds"
    ),
    "preset=idr": "bad value (--set preset): 'idr': input should be 'fast', 'quality' or 'maskless'",
    "seed.a=3": "bad value (--set seed): {'a': '3'}: input should be a valid integer",
    "schedule.steps=nan": (
        "bad value (--set schedule.steps): 'nan': input should be a valid integer, unable to parse string as an integer"
    ),
    "schedule.table_rate=nan": "bad value (--set schedule.table_rate): 'nan': input should be a finite number",
    "schedule.steps=-4": "bad value (--set schedule.steps): '-4': input should be greater than or equal to 1",
}


@pytest.mark.parametrize("assignment", MESSAGES)
@pytest.mark.fault(57)
def test_what_cannot_be_set(assignment: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_config("fast", [assignment])
    assert str(caught.value) == MESSAGES[assignment]


@pytest.mark.parametrize("assignment", ["schedule=3", "cameras=nonsense", "seed.a=3", "schedule.steps=x", "seed=-1"])
def test_an_option_does_not_hide_what_cannot_be_set(assignment: str) -> None:
    """`--steps 5 --set schedule=3` once was a fit of 5 steps."""
    options: dict[str, Any] = {"schedule": {"steps": 5, "rays": None}, "cameras": {"train": None}, "seed": 4}
    key = assignment.partition("=")[0].partition(".")[0]
    with pytest.raises(UsageError, match=rf"^bad value \(--set {key}"):
        make_config("fast", [assignment], **options)


MAKERS = {make_paint_config: "texture", make_flow_config: "fast", make_points_config: "fast"}


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_settings_of_other_commands(make: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"^bad value \(--set schedule\): .3.: expected a group of settings; set"):
        make(MAKERS[make], ["schedule=3"], schedule={"steps": 5})


def test_an_unknown_preset() -> None:
    with pytest.raises(UsageError, match=r"^unknown preset \(--preset fats\): choose fast"):
        make_config("fats", [])


def test_a_value_and_a_group_of_one_name() -> None:
    with pytest.raises(UsageError, match=r"^a value where a group is needed \(--set a\.b=2\): set keys below a$"):
        parse_assignments(["a=1", "a.b=2"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 3", r"^unknown key \(runs/skull/config.toml: sed\): the nearest is seed$"),
        (
            "[loss]\nalpha = 'x'",
            r"^bad value \(runs/skull/config.toml: loss.alpha\): 'x': input should be a valid number",
        ),
        ("seed =", r"^not TOML \(runs/skull/config.toml\): .*; restore the file, or fit again with --fresh$"),
        ("a = " + "[" * 100_000, r"^not TOML"),
        (
            "loss = 3",
            r"^bad value \(runs/skull/config.toml: loss\): 3: expected a group of settings; set one of loss.mask",
        ),
    ],
    ids=["unknown", "type", "syntax", "deep", "number_for_a_group"],
)
@pytest.mark.fault(57)
def test_a_wrong_file(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        config_from_toml(text, FILE)


def whole_numbers(group: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """All settings that are whole numbers, of a class and its groups."""
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from whole_numbers(field.annotation)
        elif field.annotation in (int, int | None):
            yield f"{group.__name__}.{name}", field


@pytest.mark.fault(57)
def test_every_whole_number_is_bounded() -> None:
    """A network of 10^8 columns, asked for by a file, would be made before anybody looked at it."""
    classes = [method.settings for method in METHODS]
    classes += [FlowConfig, ShapesConfig, PaintConfig, FastPointsConfig, PublishedConfig, MaterialConfig]
    found = {name: field for settings in classes for name, field in whole_numbers(settings)}
    assert len(found) > 100
    unbounded = [n for n, field in found.items() if not any(isinstance(bound, Le | Lt) for bound in field.metadata)]
    assert unbounded == []


@pytest.mark.parametrize("key", ["geometry.width", "radiance.width", "schedule.rays", "geometry.hidden_layers"])
def test_what_memory_follows_from_is_refused_before_it_is_made(key: str) -> None:
    with pytest.raises(UsageError, match=rf"--set {key}.*less than or equal to"):
        make_config("fast", [f"{key}=100000000"])
    group, name = key.split(".")
    with pytest.raises(BadInput, match=rf"config.toml: {key}.*less than or equal to"):
        config_from_toml(f"[{group}]\n{name} = 100000000\n", FILE)

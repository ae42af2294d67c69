"""Group settings as trees: read from `--set` and TOML, checked, written; unknown keys are refused with the nearest."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import BadInput, TidrError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Settings = TypeVar("Settings", bound=BaseModel)


class Group(BaseModel):
    """A group of settings: nothing unknown in it, nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def listed(value: Any) -> Any:
    """`--set` writes a list as 1,2,3."""
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


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


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the leaves of `changes` in the place of its own, group by group."""
    tree = dict(base)
    for key, value in changes.items():
        old = tree.get(key)
        tree[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return tree


def without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree without the leaves that are None."""
    kept = {key: value for key, value in tree.items() if value is not None}
    return {key: without_none(value) if isinstance(value, dict) else value for key, value in kept.items()}


def to_toml(settings: BaseModel) -> str:
    """Every setting; those that are None are left out."""
    import tomli_w

    return tomli_w.dumps(without_none(settings.model_dump()))


def toml_tree(text: str, path: Path) -> dict[str, Any]:
    """What `text`, read from `path`, says. Raises BadInput where it is no TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        todo = "restore the file, or fit again with --fresh"
        raise BadInput("not TOML", where=path, why=str(error), todo=todo) from error


def validated(
    model: type[Settings], tree: Mapping[str, Any], error_class: type[TidrError], place: Callable[[str], str]
) -> Settings:
    """`tree` as settings of that class; else the first fault as an `error_class` at `place` of its full key."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        fault = error.errors()[0]
        *groups, leaf = [str(part) for part in fault["loc"]] or [""]
        where = place(".".join((*groups, leaf)))
        if fault["type"] == "extra_forbidden":
            raise error_class("unknown key", where=where, why=_nearest_name(model, groups, leaf)) from error
        wanted = fault["msg"][0].lower() + fault["msg"][1:]
        if fault["type"] == "model_type":
            keys = [key for key in all_keys(model) if key.startswith(".".join((*groups, leaf, "")))]
            wanted = f"expected a group of settings; set one of {', '.join(keys)}"
        raise error_class("bad value", where=where, why=f"{shown(fault['input'])}: {wanted}") from error


def chosen(preset: Settings, assignments: list[str], settings: Mapping[str, Any]) -> Settings:
    """A preset, changed by `--set` assignments, then by `settings` (top-level keys and groups; None means unset).

    Assignments are checked whatever the settings say of the same. Raises UsageError for an unknown key (with the
    nearest name), for a value out of range, and for one where a group stands.
    """
    tree = preset.model_dump()
    for changes in (parse_assignments(assignments), without_none(settings)):
        preset = validated(type(preset), merged(tree, changes), UsageError, "--set {}".format)
        tree = preset.model_dump()
    return preset


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def all_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Full names of all settings of a class: `loss.mask_weight`."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            keys += all_keys(group, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def shown(value: Any) -> str:
    """A value in an error message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _nearest_name(model: type[BaseModel], groups: list[str], leaf: str) -> str:
    """Look in the same group first, then in all."""
    known = all_keys(model)
    prefix = "".join(f"{group}." for group in groups)
    siblings = [key for key in known if key.startswith(prefix)]
    near = difflib.get_close_matches(prefix + leaf, siblings, 1)
    near = near or [key for key in known if key.split(".")[-1] == leaf]
    near = near or difflib.get_close_matches(leaf, [*known, *model.model_fields], 1, cutoff=0.0)
    return f"the nearest is {near[0]}"

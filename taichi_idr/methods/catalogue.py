"""The methods that there are, and their presets by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config import FitConfig
from ..errors import BadInput, TidrError, UsageError
from ..settings import chosen, merged, shown, toml_tree, validated
from . import dvr, fast, idr, nerf, unisurf
from .method import Method

METHODS: tuple[Method, ...] = (fast.METHOD, fast.MASKLESS_METHOD, idr.METHOD, dvr.METHOD, unisurf.METHOD, nerf.METHOD)
DEFAULT = "fast"
"""Preset of a file of settings that names none."""


def presets() -> dict[str, FitConfig]:
    """All presets of all methods, by name."""
    return {name: preset for method in METHODS for name, preset in method.presets.items()}


def method_of(config: FitConfig) -> Method:
    """The method whose preset these settings started from."""
    return next(method for method in METHODS if config.preset in method.presets)


def make_config(preset: str, assignments: list[str], **settings: Any) -> FitConfig:
    """A preset, changed by `--set` assignments, then by `settings` (top-level keys and groups; None means unset).

    Raises UsageError for an unknown preset or key (with the nearest name) and for a value out of range.
    """
    known = presets()
    if preset not in known:
        raise UsageError("unknown preset", where=f"--preset {preset}", todo=f"choose {' or '.join(known)}")
    return chosen(known[preset], assignments, settings)


def as_before(preset: FitConfig) -> FitConfig:
    """A preset as runs have it that are older than some of its settings."""
    return chosen(preset, [], method_of(preset).before)


def config_from_toml(text: str, path: Path) -> FitConfig:
    """The settings in `text`, read from `path`; what it does not name is as its preset has it, `as_before`.

    Raises BadInput: no TOML, unknown key (nearest name), bad value.
    """
    tree = toml_tree(text, path)
    started = presets().get(str(tree.get("preset", DEFAULT)))
    if started:
        tree = merged(as_before(started).model_dump(), tree)
    return _validated(tree, BadInput, f"{path}: {{}}")


def _validated(tree: dict[str, Any], error_class: type[TidrError], place: str) -> FitConfig:
    """Settings of the method whose preset the tree names; `place` of a fault has {} for its full key."""
    name = str(tree["preset"])
    settings = next((method.settings for method in METHODS if name in method.presets), None)
    if settings is None:
        why = f"{shown(tree['preset'])}: expected {' or '.join(presets())}"
        raise error_class("bad value", where=place.format("preset"), why=why)
    return validated(settings, tree, error_class, place.format)

"""Whether a fit may go on from a checkpoint: the same capture, read the same way, and the same settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import PRESETS, FitConfig
from ..errors import BadInput
from ..runs.checkpoint import Checkpoint
from ..types import Capture

RESUMABLE = ("time_limit", "log", "schedule.steps")  # may differ from the interrupted fit's


def capture_identity(capture: Capture, reading: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a capture the same: folder, photos, sizes, how it was read."""
    sizes = [list(mask.shape) for mask in capture.masks]
    return {"capture": str(capture.folder.resolve()), "names": capture.names, "sizes": sizes, "reading": dict(reading)}


def check_same(run: Path, checkpoint: Checkpoint, identity: Mapping[str, Any], config: FitConfig) -> None:
    """Raises BadInput where the checkpoint of `run` is of another capture or other settings, naming them.

    A setting that an older version did not know counts as it is by default.
    """
    now = flattened({**identity, **config.model_dump(mode="json")})
    usual = flattened(PRESETS[config.preset].model_dump(mode="json"))
    then = flattened({key: checkpoint.metadata.get(key) for key in identity} | checkpoint.metadata["config"])
    then = {**usual, **then}
    differing = [key for key in {*now, *then} if now.get(key) != then.get(key) and not key.startswith(RESUMABLE)]
    if differing:
        why = "it was fitted with another " + ", ".join(sorted(differing))
        todo = "use the same settings, another --out, or --fresh"
        raise BadInput("cannot go on with this run", where=run, why=why, todo=todo)


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat

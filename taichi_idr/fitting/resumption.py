"""Whether a fit may go on from a checkpoint: the same capture, read the same way, and the same settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..capture.formats.source import listed
from ..config import FitConfig
from ..errors import BadInput
from ..methods.catalogue import as_before, presets
from ..runs.checkpoint import Checkpoint, taken_apart
from ..runs.contents import Origin, read_contents, settings_of
from ..settings import flattened

RESUMABLE = ("time_limit", "until", "log", "schedule.steps", "reading.allow_outside", "reading.max_pixels")
"""What may differ from the interrupted fit's."""


def check_same(run: Path, checkpoint: Checkpoint, origin: Origin, config: FitConfig) -> None:
    """Raises BadInput where the checkpoint of `run` is of another capture or other settings, naming them.

    A setting that an older version did not know counts as it is by default, or was before.
    """
    with taken_apart(checkpoint):
        before, settings = read_contents(checkpoint)[1], settings_of(checkpoint.metadata)
    now = flattened({**_without_files(origin), **config.model_dump(mode="json")})
    usual = flattened(as_before(presets()[config.preset]).model_dump(mode="json"))
    then = {**usual, **flattened({**_without_files(before), **settings})}
    differing = [key for key in {*now, *then} if now.get(key) != then.get(key) and not key.startswith(RESUMABLE)]
    differing += before.changed(origin)
    if differing:
        why = f"it was fitted with another {listed(sorted(differing))}"
        todo = "use the same settings, another --out, or --fresh"
        raise BadInput("cannot go on with this run", where=run, why=why, todo=todo)


def _without_files(origin: Origin) -> dict[str, Any]:
    """Their names may hold anything, and older records have none: they are compared by themselves."""
    return {key: value for key, value in origin.record().items() if key != "files"}

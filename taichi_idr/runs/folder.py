"""The folder that a fit writes and later commands read (docs: files of a run)."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..config import FitConfig
from ..errors import BadInput, CannotCreate, InputMissing, WriteFailed, warn
from ..files.reading import text_of, whole
from ..files.writing import (
    append,
    atomic_write,
    create_folder,
    gone_if_refused,
    refuse_links,
    remove_stale_temporaries,
)
from ..methods.catalogue import config_from_toml
from ..settings import to_toml
from . import lock

RUNS = Path("runs")
LARGEST = 1e30
"""Numbers of a log are smaller."""
CONFIG_BYTES, METRICS_BYTES = 1 << 20, 1 << 30
_CONFIG, _METRICS, _LOCK, _CHECKPOINTS = "config.toml", "metrics.jsonl", "run.lock", "checkpoints"
_CONTENTS = (_CONFIG, _METRICS, _CHECKPOINTS, "cameras", "masks", "mesh", "renders", "report", "crash.txt")
_PREVIOUS = "previous"
SILHOUETTES = "silhouettes"
"""Folder of a run with masks that were cut for it, of photos that have cameras."""
SHAPES_SETTINGS = "shapes.toml"
"""In the folder of a run of `tidr shapes`, which is another kind of run."""


def default_run(capture_name: str) -> Path:
    """Where a fit of that capture goes without `--out`."""
    return RUNS / capture_name


def newest_run(root: Path = RUNS) -> Path:
    """The run below `root` that a fit wrote to last. Raises InputMissing."""
    runs = [path for path in root.iterdir() if (path / _CONFIG).is_file()] if root.is_dir() else []
    if not runs:
        raise InputMissing("no run", where=root, todo="fit a capture first: tidr fit CAPTURE, or name a run")
    return max(runs, key=_last_written)


def is_run(path: Path) -> bool:
    """Whether a fit wrote this folder."""
    return (path / _CONFIG).is_file()


def open_run(path: Path) -> RunFolder:
    """An existing run. Raises InputMissing without a folder, BadInput if it holds no run, CannotCreate if it holds
    links."""
    todo = "name a folder that tidr fit wrote"
    try:
        found, is_run = path.exists(), (path / _CONFIG).is_file()
    except OSError as error:  # no permission, a name too long
        raise InputMissing("no such run", where=path, why=error.strerror or "", todo=todo) from error
    if not found:
        raise InputMissing("no such run", where=path, todo=todo)
    if not is_run:
        raise BadInput("not a run", where=path, why=f"no {_CONFIG} in it", todo=todo)
    folder = RunFolder(path)
    folder.refuse_links()
    return folder


def is_shapes_run(path: Path) -> bool:
    """Whether `tidr shapes` has written to this folder."""
    return (path / SHAPES_SETTINGS).is_file()


class RunFolder:
    """Names of the files of one run, and the way each is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / _CONFIG
        self.metrics_file = path / _METRICS
        self.checkpoints = path / _CHECKPOINTS
        self.cameras = path / "cameras"
        self.masks = path / "masks"
        self.mesh = path / "mesh"
        self.renders = path / "renders"
        self.report = path / "report"
        self._metrics_torn: bool | None = None
        self._metrics_warned = False

    @property
    def exists(self) -> bool:
        """Whether a fit has been here."""
        return self.config_file.is_file() and self.checkpoints.is_dir()

    def create(self) -> None:
        """Make the folder, before any work. Raises CannotCreate if it cannot be written, is no run's or holds links."""
        create_folder(self.path)
        self.refuse_links()
        if (self.config_file.exists() or self.metrics_file.exists()) and not self.checkpoints.is_dir():
            why = f"its {_CONFIG} or {_METRICS} is not of a run"
            raise CannotCreate("cannot create run", where=self.path, why=why, todo="choose another --out")
        create_folder(self.checkpoints)

    def refuse_links(self) -> None:
        """Raises CannotCreate where a file or folder of a run, or a folder in one, is a link; `path` may be one."""
        own = [self.path / name for name in (*_CONTENTS, _LOCK, _PREVIOUS, SILHOUETTES)]
        refuse_links(*own)
        for folder in own:
            for inner, names, _ in os.walk(folder):
                refuse_links(*(Path(inner, name) for name in names))

    @contextmanager
    def created_for_good(self) -> Iterator[Callable[[], None]]:
        """`create`; what is new is removed again where the block is refused before it calls what it is given.

        Raises CannotCreate.
        """
        with gone_if_refused(self.checkpoints, self.path) as keep:
            self.create()
            yield keep

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One writer at a time; what killed writers left half written is removed. Raises Locked."""
        with lock.hold(self.path / _LOCK):
            remove_stale_temporaries(self.path)
            yield

    def set_aside(self) -> None:
        """`--fresh`: move this run's own files to `previous/`, in place of what an earlier call moved there."""
        previous = self.path / _PREVIOUS
        try:
            shutil.rmtree(previous, ignore_errors=True)
            previous.mkdir(exist_ok=True)
            for name in _CONTENTS:
                if (self.path / name).exists():
                    (self.path / name).replace(previous / name)
        except OSError as error:
            why, todo = error.strerror or "", "choose another --out"
            raise CannotCreate("cannot move the old run", where=previous, why=why, todo=todo) from error
        self.create()

    def write_config(self, config: FitConfig) -> None:
        """Every resolved setting. Raises WriteFailed."""
        atomic_write(self.config_file, to_toml(config))

    def read_config(self) -> FitConfig:
        """Raises InputMissing, BadInput."""
        todo = "name a folder that tidr fit wrote"
        text = text_of(self.config_file, CONFIG_BYTES, what="unreadable configuration", todo=todo)
        return config_from_toml(text, self.config_file)

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one JSON line; numbers that are not finite become null. A full disk is a warning, once."""
        line = json.dumps({key: _json_value(value) for key, value in record.items()}) + "\n"
        try:
            if self._metrics_torn is None:
                self._metrics_torn = _ends_inside_line(self.metrics_file)
            append(self.metrics_file, (b"\n" if self._metrics_torn else b"") + line.encode())
            self._metrics_torn = False
        except (OSError, WriteFailed) as error:
            self._metrics_torn = None
            if not self._metrics_warned:
                why = error.strerror if isinstance(error, OSError) else error.why
                warn(f"cannot write {self.metrics_file}: {why}; the fit goes on without a log")
            self._metrics_warned = True

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines that `append_metrics` could have written; a torn one, or another's, is left out. Raises BadInput
        where the file cannot be read."""
        try:
            lines = whole(self.metrics_file, METRICS_BYTES, what="unreadable log").decode(errors="replace").splitlines()
        except InputMissing:
            return []
        return [record for line in lines if (record := _parsed(line)) is not None]

    def rewind_metrics(self, step: int) -> None:
        """Forget what was logged after `step`: the fit goes on from the checkpoint written there."""
        records = self.read_metrics()
        kept = [record for record in records if record["step"] <= step]
        if len(kept) < len(records):
            atomic_write(self.metrics_file, "".join(json.dumps(record) + "\n" for record in kept))


def _last_written(run: Path) -> float:
    files = [run / _CONFIG, run / _METRICS, run / _CHECKPOINTS]
    return max(file.stat().st_mtime for file in files if file.exists())


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ends_inside_line(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() != b"\n"


def _parsed(line: str) -> dict[str, Any] | None:
    """A logged step's numbers by name; None where the line is something else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int:
        return None
    return record if all(value is None or _is_number(value) for value in record.values()) else None


def _is_number(value: Any) -> bool:
    """Whether it is a finite one, small enough for arithmetic on floats."""
    return type(value) in (int, float) and abs(value) < LARGEST

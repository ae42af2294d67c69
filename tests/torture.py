"""`make torture`: commands killed at any time, and calls of the system that fail, again and again.

`python torture.py --kills 200 --failures 300 --seed 0` in `tests/`. After each, what is left is read: checkpoints, log
and settings, no step back, every file under its own name whole; and after the next command that ends by itself no
temporary is left. Exit code 1 where something is not so. Failing calls are those of files/writing.py and of what it
stands on, in this process, which keeps its temporaries as long as it lives; the Nth fails once, as on a full disk, a
bad one, or without permission.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from captures import make_capture
from PIL import Image
from tiny_fits import SMALL, fit

from taichi_idr import runtime
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.commands.render import render_run
from taichi_idr.errors import TidrError
from taichi_idr.meshes.reading import read_mesh
from taichi_idr.runs.checkpoint import load_newest
from taichi_idr.runs.folder import RunFolder

STEPS = 400  # of a fit that is killed: some seconds
LONGEST = 9.0  # seconds until a kill
CALLS = ("open", "fsync", "replace", "unlink", "mkdir")
CODES = (errno.ENOSPC, errno.EIO, errno.EACCES)
SOME = ("log.preview_interval=20", "log.checkpoint_interval=20")


def main() -> int:
    options = _options()
    source, faults = random.Random(options.seed), list[str]()
    with tempfile.TemporaryDirectory(prefix="tidr-torture-") as name:
        capture = make_capture(Path(name) / "capture")
        faults += killed(capture, Path(name), options.kills, source)
        faults += failed(capture, Path(name), options.failures, source)
    for fault in faults:
        print(fault)
    print(f"{options.kills} kills, {options.failures} failing calls, {len(faults)} faults")
    return int(bool(faults))


def killed(capture: Path, folder: Path, count: int, source: random.Random) -> Iterator[str]:
    """What was wrong after fits, meshes and renderings of one run after another were killed."""
    run, step = folder / "killed0", 0
    for number in range(count):
        command = _fit(capture, run) if step < STEPS else source.choice([_mesh, _render])(run)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(source.uniform(0.2, LONGEST))
        process.kill()
        process.wait()
        faults, step = _looked_at(run, step)
        yield from (f"kill {number}: {fault}" for fault in faults)
        if number % 20 == 19:  # a command that is left alone, then another object
            ended = subprocess.run(_fit(capture, run), capture_output=True, text=True)
            if ended.returncode:
                yield f"kill {number}: the next fit ends with {ended.returncode}: {ended.stderr.strip()[-200:]}"
            yield from (f"kill {number}: {path.name} is left" for path in _temporaries(run))
            run, step = folder / f"killed{number + 1}", 0


def failed(capture: Path, folder: Path, count: int, source: random.Random) -> Iterator[str]:
    """What was wrong after one call of a command's failed."""
    runtime.init("cpu")
    commands: list[Callable[[Path], object]] = [
        lambda run: fit(capture, run, 40, SOME),
        lambda run: mesh_run(run, resolution=24),
        lambda run: render_run(run, frames=2, size=24),
    ]
    run = folder / "failed0"
    _quietly(lambda: fit(capture, run, 20, SOME))
    for number in range(count):
        command, code = source.choice(commands), source.choice(CODES)
        with failing(source.randrange(60), code):
            said = _quietly(lambda: command(run))  # noqa: B023
        if said:
            yield f"failure {number} ({errno.errorcode[code]}): {said}"
        faults, _ = _looked_at(run, 20)
        yield from (f"failure {number}: {fault}" for fault in faults)
        if number % 10 == 9:
            said = _quietly(lambda: fit(capture, run, 40, SOME), allowed=())  # noqa: B023
            yield from [f"failure {number}: the next fit: {said}"] if said else []
            run = folder / f"failed{number + 1}"
            _quietly(lambda: fit(capture, run, 20, SOME))  # noqa: B023


@contextmanager
def failing(after: int, code: int) -> Iterator[None]:
    """One call of CALLS fails, the one after so many of this process; with O_RDONLY nothing can be lost."""
    left = after

    def wrapped(real: Callable) -> Callable:
        def call(*arguments, **words):
            nonlocal left
            reading = real is os_open and not arguments[1] & (os.O_WRONLY | os.O_RDWR)
            left -= not reading
            if left == -1 and not reading:
                raise OSError(code, os.strerror(code))
            return real(*arguments, **words)

        return call

    os_open = os.open
    with patch.multiple(os, **{name: wrapped(getattr(os, name)) for name in CALLS}):
        yield


def _quietly(command: Callable[[], object], allowed: tuple[type[Exception], ...] = (TidrError,)) -> str:
    """What no command may end with."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            command()
    except allowed:
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _looked_at(run: Path, least: int) -> tuple[list[str], int]:
    """Faults of a run that was begun, and its newest step."""
    folder, faults, step = RunFolder(run), list[str](), least
    if not (run / "config.toml").exists():
        return ([f"step {least} is gone"] if least else []), least
    readings = {
        "settings": folder.read_config,
        "log": folder.read_metrics,
        "checkpoint": lambda: load_newest(folder.checkpoints, faults.append),
        **{str(path): lambda path=path: Image.open(path).load() for path in run.rglob("*.png") if _own(path)},
        **{str(path): lambda path=path: read_mesh(path) for path in run.rglob("*.ply") if _own(path)},
    }
    for name, reading in readings.items():
        try:
            found = reading()
        except Exception as error:
            faults.append(f"{name}: {type(error).__name__}: {error}")
            continue
        if name == "checkpoint":
            step = found.step if found else 0
    if step < least:
        faults.append(f"step {step} after {least}")
    return faults, max(step, least)


def _own(path: Path) -> bool:
    return not path.name.startswith(".tidr-")


def _temporaries(run: Path) -> list[Path]:
    return list(run.rglob(".tidr-*"))


def _fit(capture: Path, run: Path) -> list[str]:
    settings = [word for setting in (*SMALL, *SOME) for word in ("--set", setting)]
    return [*_tidr("fit"), str(capture), "--out", str(run), "--steps", str(STEPS), *settings]


def _mesh(run: Path) -> list[str]:
    return [*_tidr("mesh"), str(run), "--res", "32"]


def _render(run: Path) -> list[str]:
    return [*_tidr("render"), str(run), "--views", "training"]


def _tidr(command: str) -> list[str]:
    return [sys.executable, "-m", "taichi_idr", command]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--failures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

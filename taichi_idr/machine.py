"""The machine and the software that a result belongs to; no paths, no names of hosts or users."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import psutil

from . import __version__, runtime
from .bench.results import Machine

PACKAGES = ("taichi", "torch", "numpy")
_ROOT = Path(__file__).resolve().parents[2]


def this_machine() -> Machine:
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return Machine(cpu=_cpu(), cores=runtime.available_cores(), memory_gib=memory, system=_system())


def versions() -> dict[str, str]:
    """Of Python, of this package and of what its kernels stand on."""
    others = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "taichi-idr": __version__, **others}


def commit() -> str | None:
    """Of the checkout that this package lies in, with a + where tracked files differ from it; None elsewhere."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != _ROOT:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{_git('rev-parse', 'HEAD')}{'+' if changed else ''}"


def load() -> float:
    """Processes that ran or waited, mean of the last minute."""
    return round(psutil.getloadavg()[0], 2)


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


def _cpu() -> str:
    """The model's name; Linux alone knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()

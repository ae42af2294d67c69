"""What this computer and its software are; no paths, no names of hosts or users."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from .version import __version__

PACKAGES = ("taichi-idr", "taichi", "torch", "numpy", "scipy", "scikit-image", "trimesh", "pillow", "pydantic")
HOME = Path(__file__).resolve().parents[1]
"""Where the package lies, and where its child processes start: `-m` looks for modules in the current folder first, and
that must not be the user's."""
SHARED_CORES, SHARED_MEMORY = "TIDR_CORES", "TIDR_MEMORY"
"""Environment variables by which processes that work beside each other keep to their shares."""
_GROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_UNDER_KERNELS = ("taichi", "torch", "numpy")
_CPU_FLAGS = ("avx", "avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "neon", "asimd")


class Machine(BaseModel):
    """The processor's model, its cores that this process may use, memory, operating system and architecture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    cores: int
    memory_gib: float
    system: str


def this_machine() -> Machine:
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return Machine(cpu=_cpu(), cores=available_cores(), memory_gib=memory, system=_system())


def versions() -> dict[str, str]:
    """Of Python, of this package and of what its kernels stand on."""
    others = {name: importlib.metadata.version(name) for name in _UNDER_KERNELS}
    return {"python": platform.python_version(), "taichi-idr": __version__, **others}


def commit() -> str | None:
    """Of the checkout that this package lies in, with a + where tracked files differ from it; None elsewhere."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != HOME:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{_git('rev-parse', 'HEAD')}{'+' if changed else ''}"


def load() -> float:
    """Processes that ran or waited, mean of the last minute."""
    return round(psutil.getloadavg()[0], 2)


def version(package: str) -> str | None:
    """Of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_flags() -> list[str]:
    """Vector extensions of the processor, of those that matter here; Linux alone tells them."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return []
    return [flag for flag in _CPU_FLAGS if flag in words]


def available_cores() -> int:
    """Cores this process may run on: those of TIDR_CORES, where that says how many are its share."""
    share = os.environ.get(SHARED_CORES, "")
    if share.isdecimal() and int(share) > 0:
        return int(share)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def native_threads() -> list[int]:
    """Of this process, by the system's numbers, which rise; Linux alone tells them."""
    try:
        return sorted(int(task.name) for task in Path("/proc/self/task").iterdir())
    except OSError:
        return []


def keep_apart(threads: Sequence[int]) -> None:
    """Give each of these threads a core of its own, where this process may use just as many cores.

    Linux wakes threads that wait for the same thing on one core and moves them later: of kernels that take a
    millisecond on two cores, a third was lost so.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == len(threads) > 1:
        with contextlib.suppress(OSError):  # a thread that has ended, or a sandbox that forbids it
            for core, thread in zip(cores, threads, strict=True):
                os.sched_setaffinity(thread, {core})


def free_memory() -> int | None:
    """Bytes that this process may still take: of the machine, of its control group where that has a limit, and of its
    share, where TIDR_MEMORY has one."""
    limits = [psutil.virtual_memory().available]
    share = os.environ.get(SHARED_MEMORY, "")
    if share.isdecimal():
        limits.append(int(share) - psutil.Process().memory_info().rss)
    for limit, used in _GROUP_FILES:
        try:
            limits.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return max(min(limits), 0)


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
        done = subprocess.run(["git", "-C", str(HOME), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()

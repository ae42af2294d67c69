"""The only `ti.init` of the package, and the one gate through which tensors reach kernels.

Taichi checks neither shapes across arguments nor the device of a tensor, and is not thread-safe while it compiles
(taichi 1.7.4): `launch` checks and locks. `init` may be called again with other settings (tests do): kernels are
then compiled anew; torch tensors stay valid, because no Taichi field or ndarray is ever made.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from .machine import available_cores, keep_apart, native_threads

os.environ.setdefault("ENABLE_TAICHI_HEADER_PRINT", "0")
if "HOME" not in os.environ:  # Taichi 1.7.4 aborts then
    try:
        os.environ["HOME"] = str(Path.home())
    except RuntimeError:  # a user without a folder, as in some containers: no cache
        os.environ["HOME"] = os.devnull

import torch
from torch import Tensor

from .errors import Unavailable, UsageError
from .launcher import WRITTEN_FOR, Launcher, say_places_briefly

Backend = Literal["cpu", "cuda", "vulkan"]
Arch = Literal["auto", "cpu", "cuda", "vulkan"]
"""A backend, or the fastest one of this machine."""
Precision = Literal["float32", "float64"]
STALE_LOCK = 60.0  # seconds after which whoever has locked the cache of kernels is taken for dead
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Runtime:
    """What `init` settled: the backend, the floating-point type of every kernel, where tensors live, CPU threads."""

    arch: Backend
    dtype: torch.dtype
    device: torch.device
    threads: int

    @property
    def atomics(self) -> bool:
        """Whether float atomics are the fast way to scatter (a GPU) or a slow, unordered one (the CPU)."""
        return self.arch != "cpu"


_current: Runtime | None = None
_launcher: Launcher | None = None
_launch_lock = threading.Lock()


def init(arch: Arch = "cpu", precision: Precision = "float32", threads: int | None = None) -> Runtime:
    """Start Taichi on `arch`; `threads` defaults to the cores this process may use. Idempotent for equal settings.

    Raises Unavailable where the backend is missing (Taichi itself would fall back to the CPU with only a warning).
    """
    global _current, _launcher
    if arch == "auto":
        arch = best_arch()
    if arch not in ("cpu", "cuda", "vulkan"):
        raise UsageError("unknown backend", where=f"--arch {arch}", todo="choose cpu, cuda or vulkan")
    cores = threads or available_cores()
    wanted = Runtime(arch, _DTYPES[precision], torch.device("cuda" if arch == "cuda" else "cpu"), cores)
    if _current == wanted:
        return wanted
    if arch == "cuda" and not torch.cuda.is_available():
        raise Unavailable(
            "backend not available", where="--arch cuda", why="torch finds no CUDA device", todo="use --arch cpu"
        )
    _current = _launcher = None  # what was compiled ends with the old backend, whether the new one starts or not
    torch.set_num_threads(cores)
    torch.set_flush_denormal(True)  # ti.init does so anyway: results must not depend on the order
    _start_taichi(arch, precision, cores)
    _current, _launcher = wanted, Launcher()
    return wanted


def current() -> Runtime:
    """The running backend; starts the CPU one if none was asked for."""
    return _current or init()


def best_arch() -> Backend:
    """The fastest backend of this machine."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def synchronize() -> None:
    """Wait for the device, for timing."""
    import taichi as ti

    ti.sync()
    if current().device.type == "cuda":
        torch.cuda.synchronize()


@contextlib.contextmanager
def small_batches() -> Iterator[None]:
    """Torch on one CPU thread, kernels on all: with some thousand rows an operation ends before a second thread wakes.

    Measured on two cores: 61 ms a training step against 93 ms (the ratio is what counts).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def launch(kernel: Callable[..., Any], *arguments: Any) -> Any:
    """Call a kernel after checking device, floating type and contiguity of each tensor; gradients are left alone.

    Shapes are the business of the bridge that knows what the arguments mean. On vulkan an array that a kernel never
    reads is not copied in: such a kernel must write every element of it, or it comes back with garbage.
    """
    runtime = current()
    on_cuda, dtype = runtime.arch == "cuda", runtime.dtype
    for x in arguments:
        if isinstance(x, Tensor) and not (
            x.is_contiguous()
            and (x.is_cuda if on_cuda else x.is_cpu)
            and (x.dtype is dtype or not x.is_floating_point())
        ):
            _refuse(x, runtime, kernel)
    assert _launcher is not None
    with _launch_lock:
        return _launcher(kernel, arguments)


def _refuse(tensor: Tensor, runtime: Runtime, kernel: Callable[..., Any]) -> NoReturn:
    name = getattr(kernel, "__name__", str(kernel))
    if tensor.device.type != runtime.device.type:
        raise ValueError(
            f"{name}: expected a tensor on {runtime.device.type}, got {tensor.device.type}; move it there first"
        )
    if tensor.is_floating_point() and tensor.dtype != runtime.dtype:
        raise ValueError(f"{name}: expected {runtime.dtype}, got {tensor.dtype}; convert it or init another precision")
    raise ValueError(f"{name}: expected a contiguous tensor, got strides {tensor.stride()}; call .contiguous()")


def _start_taichi(arch: Backend, precision: Precision, cores: int) -> None:
    import taichi as ti

    say_places_briefly()
    cache = _writable_cache_folder()
    options: dict[str, Any] = {"offline_cache": cache is not None}
    if cache is not None:
        options["offline_cache_file_path"] = str(cache)
    before = native_threads()
    options |= {"arch": getattr(ti, arch), "log_level": ti.ERROR, "cpu_max_num_threads": cores}
    options["default_fp"] = getattr(ti, {"float32": "f32", "float64": "f64"}[precision])
    with _quiet_stdout():
        try:
            ti.init(**options)
        except RuntimeError:
            Path(os.devnull).open().close()  # raises the true reason where no more files can be opened
            raise
    if ti.__version__ == WRITTEN_FOR and arch == "cpu":  # its pool comes last, after the threads that compile
        keep_apart([thread for thread in native_threads() if thread not in before][-cores:])
    started = ti.lang.impl.current_cfg().arch  # pyright: ignore[reportOptionalMemberAccess]
    expected = (ti.x64, ti.arm64) if arch == "cpu" else (getattr(ti, arch),)
    if started not in expected:
        raise Unavailable(
            "backend not available", where=f"--arch {arch}", why=f"Taichi started {started.name}", todo="use --arch cpu"
        )
    if not faulthandler.is_enabled():
        with contextlib.suppress(io.UnsupportedOperation, AttributeError):  # stderr may be no real file
            faulthandler.enable()


def cache_folder() -> Path:
    """Where compiled kernels are kept: $TI_OFFLINE_CACHE_FILE_PATH, else the user's cache folder."""
    given = os.environ.get("TI_OFFLINE_CACHE_FILE_PATH")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "taichi-idr"


def _writable_cache_folder() -> Path | None:
    """Taichi segfaults at exit on a cache folder it cannot write: probe, and go without."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError):
        return None
    _remove_stale_lock(folder)
    return folder


def _remove_stale_lock(cache: Path) -> None:
    """Taichi (1.7.4) holds a file as its lock while it reads or writes the cache, some tenths of a second. A process
    that is killed leaves it, and no other would ever use the cache again, without a word."""
    lock = cache / "ticache.lock"
    with contextlib.suppress(OSError):
        if time.time() - lock.lstat().st_mtime > STALE_LOCK:
            lock.unlink()


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Send file descriptor 1 to nowhere: Taichi prints from C++."""
    import sys

    sys.stdout.flush()
    saved = os.dup(1)
    try:
        with Path(os.devnull).open("w") as sink:
            os.dup2(sink.fileno(), 1)
            yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)

"""`tidr doctor`: what is installed and what works here.

Every backend is tried in a process of its own, because a driver can crash: `python -m taichi_idr.commands.doctor ARCH`.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from ..machine import HOME, PACKAGES, available_cores, cpu_flags, version

BACKENDS = ("cpu", "cuda", "vulkan")
TRIAL_TIMEOUT = 120.0  # seconds: the first one compiles


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name:<16} {self.value}"


def examine() -> Iterator[Finding]:
    """All findings, the slow ones last. What is missing is a finding, not an error."""
    yield Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        yield Finding(package, version(package) or "not installed")
    yield from _machine()
    yield _cache()
    yield _films()
    yield from _optional()
    children = {arch: _start_trial(arch) for arch in BACKENDS}
    for arch, child in children.items():
        yield Finding(f"backend {arch}", _outcome(child))


def try_backend(arch: str) -> str:
    """Start Taichi on `arch`, compile a kernel, compare its result, and name the device. Raises what goes wrong."""
    import torch

    from .. import runtime
    from ..ops.sphere_bounds import sphere_bounds

    device = runtime.init(arch).device  # pyright: ignore[reportArgumentType]
    origins = torch.tensor([[0.0, 0.0, -3.0]], device=device)
    directions = torch.tensor([[0.0, 0.0, 1.0]], device=device)
    near, far, _ = sphere_bounds(origins, directions, 1.0)
    if abs(near.item() - 2.0) > 1e-5 or abs(far.item() - 4.0) > 1e-5:
        return f"starts, but computes wrongly: a sphere from 2 to 4 came out as {near.item()} to {far.item()}"
    return f"works ({torch.cuda.get_device_name()})" if arch == "cuda" else "works"


def _machine() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    yield Finding("cores", f"{available_cores()} of {os.cpu_count()}, load {psutil.getloadavg()[0]:.1f}")
    yield Finding("CPU", ", ".join(cpu_flags()) or "no vector extensions known")
    yield Finding("memory", f"{memory.available / 2**30:.1f} GiB free of {memory.total / 2**30:.1f}")
    yield Finding("disk", f"{shutil.disk_usage('.').free / 2**30:.1f} GiB free here")


def _cache() -> Finding:
    from ..runtime import cache_folder

    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding("kernel cache", f"{folder}")
    except (OSError, RuntimeError) as error:
        return Finding("kernel cache", f"none, kernels are compiled at each start: {error}")


def _films() -> Finding:
    from PIL import features

    written = features.check("avif")
    return Finding("films (MP4)", "Pillow writes AVIF" if written else "none: this Pillow was built without AVIF")


def _optional() -> Iterator[Finding]:
    """Packages of the extras."""
    for name, package, module, extra, use in (
        ("COLMAP", "pycolmap", "pycolmap", "photos", "photos without cameras or masks"),
        ("OpenCV", "opencv-python-headless", "cv2", "photos", "photos without cameras or masks"),
        ("ONNX Runtime", "onnxruntime", "onnxruntime", "masks", "--mask-model"),
        ("viser", "viser", "viser", "view", "tidr view"),
        ("Dask", "distributed", "distributed", "batch", "tidr batch"),
    ):
        there = importlib.util.find_spec(module) is not None
        missing = f"not installed: pip install 'taichi-idr[{extra}]', for {use}"
        yield Finding(name, (version(package) or "installed") if there else missing)


def _start_trial(arch: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "taichi_idr.commands.doctor", arch]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    return subprocess.Popen(command, cwd=HOME, **pipes)


def _outcome(child: subprocess.Popen[str]) -> str:
    try:
        output, _ = child.communicate(timeout=TRIAL_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return f"no answer in {TRIAL_TIMEOUT:.0f} s"
    last = (output.strip().splitlines() or [""])[-1]
    return last if child.returncode == 0 else f"not available: {last or f'process ended with {child.returncode}'}"


def _run_trial(arch: str) -> int:
    from ..errors import TidrError

    try:
        print(try_backend(arch))
    except TidrError as error:
        print(error.why or error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_run_trial(sys.argv[1]))

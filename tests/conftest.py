"""What every test shares: backend, order by precision, random numbers, data that is not in the repository.

`pytest --arch vulkan` runs the kernels on another backend; `@pytest.mark.precision("float64")` asks for kernels in
double precision; tests are ordered by it, because every change of precision compiles all kernels anew. Where several
processes share the tests (`make test`), those of a file and precision stay together, with the fits that they share.
"""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Imported before torch: the package sets how OpenMP threads wait.
from taichi_idr import runtime as taichi_runtime

import pytest  # isort: skip
import torch  # isort: skip
from places import ROOT

SEEDS = (0, 1)  # a number that holds for one seed alone holds by luck
MARKERS = (
    "precision(name): floating-point type of the kernels, float32 (default) or float64",
    "slow: takes more than a few seconds",
    "fault(number, ...): holds these rows of docs/faults.md",
    "gpu: needs a CUDA device",
    "autodiff: needs the derivatives that Taichi writes itself, which are zeros on vulkan",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    choices = ("cpu", "cuda", "vulkan")
    parser.addoption("--arch", choices=choices, default="cpu", help="backend of the kernels")


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if worker := getattr(config, "workerinput", None):
        _keep_to_own_cores(int(worker["workerid"].removeprefix("gw")), worker["workercount"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_precision_of)
    distributed = hasattr(config, "workerinput")
    for item in items:
        if distributed:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.name}, {_precision_of(item)}"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("autodiff") and config.getoption("--arch") == "vulkan":
            item.add_marker(pytest.mark.skip(reason="Taichi's own derivatives are zeros on vulkan"))


@pytest.fixture(autouse=True)
def runtime(request: pytest.FixtureRequest) -> taichi_runtime.Runtime:
    """The backend of `--arch`, in the precision that the test is marked with."""
    arch, precision = request.config.getoption("--arch"), _precision_of(request.node)
    return taichi_runtime.init(arch, precision)  # pyright: ignore[reportArgumentType]


@pytest.fixture(params=SEEDS, ids="seed{}".format)
def generator(request: pytest.FixtureRequest) -> torch.Generator:
    """Random numbers on the CPU whose seed is part of the test's id."""
    return torch.Generator().manual_seed(request.param)


@pytest.fixture(scope="session")
def capture_data() -> Callable[[str], Path]:
    """`capture_data("nefertiti")` is that folder of $TIDR_TEST_DATA (default: ../shared/data beside the repository).

    Where it is missing the test is skipped, saying which folder was looked for.
    """
    base = Path(os.environ.get("TIDR_TEST_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        folder = base / name
        if not folder.is_dir():
            pytest.skip(f"test data missing: {folder}; set TIDR_TEST_DATA to the folder that holds {name}")
        return folder

    return find


@pytest.fixture
def dead_pid() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def _keep_to_own_cores(worker: int, workers: int) -> None:
    """Threads of two tests that share cores spend half of the time waiting for each other."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[worker::workers] or cores)


def _precision_of(item: pytest.Item) -> str:
    marker = item.get_closest_marker("precision")
    return marker.args[0] if marker else "float32"


@pytest.fixture
def no_opencv(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on OpenCV is not installed."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "cv2":
            raise ImportError
        return real(name, *args, **kwargs)

    return lambda: monkeypatch.setattr(builtins, "__import__", without)

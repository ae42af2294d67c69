"""All cases on one backend: what the child process does, and what it tells."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel

from .. import runtime
from ..errors import Unavailable
from ..machine import load
from .catalogue import chosen
from .ceilings import measure_ceilings
from .measuring import QUICK, THOROUGH, measure
from .results import End, Protocol, Row, Start
from .scene import Scene

MARK = "tidr-bench: "


class Request(BaseModel):
    """What a backend is asked for. run: of the field to trace on; sizes: instead of the catalogue's."""

    arch: Literal["cpu", "cuda", "vulkan"]
    cases: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    quick: bool = False
    seed: int = 0
    threads: int | None = None
    run: Path | None = None
    cold: bool = False

    @property
    def protocol(self) -> Protocol:
        return QUICK if self.quick else THOROUGH


class Refusal(BaseModel):
    """The backend is missing."""

    not_available: str


Event = Start | Row | End | Refusal


def measure_backend(request: Request) -> Iterator[Event]:
    """A Start, a Row for each case and size, an End; or a Refusal."""
    cache = _cache(request)
    before = load()
    try:
        settings = runtime.init(request.arch, threads=request.threads)
    except Unavailable as error:
        yield Refusal(not_available=error.why)
        return
    if request.quick:  # one thread of torch is soon woken; the choice between one and all takes a while
        torch.set_num_threads(1)
    scene = Scene(request.seed, request.run)
    device = torch.cuda.get_device_name() if request.arch == "cuda" else ""
    ceilings = measure_ceilings(scene, quick=request.quick)
    facts = {"device": device, "threads": settings.threads, "kernel_cache": cache, "load_before": before}
    yield Start(**facts, ceilings=ceilings)
    for entry in chosen(request.cases, request.sizes, quick=request.quick):
        for size in entry.sizes:
            # From a seed of its own, so that a case has the same inputs whatever else is run.
            scene.generator.manual_seed(request.seed)
            yield measure(entry, size, scene, request.protocol, ceilings)
    yield End(load_after=load(), peak_memory_mib=_peak_memory())


def _cache(request: Request) -> str:
    folder = runtime.cache_folder()
    kernels = len(list(folder.glob("**/*.tic"))) if folder.is_dir() else 0
    return "empty" if request.cold or not kernels else f"as found, {kernels} kernels"


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)

"""The protocol of one case: first call, gate, choice of torch's threads, then ours and its twin in turn."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .. import runtime
from ..errors import Unavailable
from .case import Call, Case, Entry, Gate, Outputs
from .ceilings import share_of_ceiling
from .results import OK, Ceilings, Protocol, Row, Times
from .scene import Scene

THOROUGH = Protocol(warm_up=3, least_repeats=5, most_repeats=200, seconds=1.5)
QUICK = Protocol(warm_up=1, least_repeats=2, most_repeats=5, seconds=0.02)


def measure(entry: Entry, size: int, scene: Scene, protocol: Protocol, ceilings: Ceilings) -> Row:
    """A case that cannot run here, or whose results differ from its twin's, has an outcome and no times."""
    blank = {"case": entry.name, "size": size, "unit": entry.unit, "beside": ""}
    try:
        case = entry.build(scene, size)
        blank["beside"] = case.beside
        return _measured(case, blank, protocol, ceilings)
    except Unavailable as error:
        return Row(**blank, outcome=f"not available: {error.why}")
    except Exception as error:  # a broken kernel must not hide the results of the others
        return Row(**blank, outcome=f"failed: {type(error).__name__}: {error}")


@dataclass
class _Contestant:
    """A call, the threads of torch that it runs with, and what its calls took."""

    call: Call
    calls: int
    threads: int = field(default_factory=torch.get_num_threads)
    first: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def run(self, case: Case) -> tuple[float, Outputs]:
        """Seconds per call, and what the last one returned."""
        arguments: tuple[Any, ...] = case.inputs()
        torch.set_num_threads(self.threads)
        outputs: Outputs = ()
        runtime.synchronize()
        began = time.perf_counter()
        for _ in range(self.calls):
            outputs = self.call(*arguments)
        runtime.synchronize()
        return (time.perf_counter() - began) / self.calls, outputs

    def start(self, case: Case) -> Outputs:
        self.first, outputs = self.run(case)
        return tuple(x.detach().clone() for x in outputs)

    def choose_threads(self, case: Case, protocol: Protocol) -> None:
        """One or all, whichever is faster: torch wakes threads for small arrays that cost more than they do."""
        every = torch.get_num_threads()
        if every == 1:
            return
        best = {}
        for threads in {1, every}:
            self.threads = threads
            best[threads] = self._least(case, protocol)
            torch.set_num_threads(every)
        self.threads = min(best, key=lambda threads: best[threads])

    def _least(self, case: Case, protocol: Protocol) -> float:
        """Seconds of the fastest warm-up; one is enough of a slow call."""
        least, total = math.inf, 0.0
        for _ in range(protocol.warm_up):
            seconds = self.run(case)[0]
            least, total = min(least, seconds), total + seconds
            if total > protocol.seconds:
                break
        return least

    def times(self) -> Times:
        low, median, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return Times(
            first_ms=1e3 * self.first,
            median_ms=1e3 * median,
            spread=(high - low) / median,
            repeats=len(self.seconds),
            threads=self.threads,
        )


def _measured(case: Case, blank: dict[str, Any], protocol: Protocol, ceilings: Ceilings) -> Row:
    ours = _Contestant(case.ours, case.calls)
    twin = None if case.twin is None else _Contestant(case.twin, case.calls)
    results = ours.start(case)
    apart = _gate(results, None if twin is None else twin.start(case), case.gates)
    if isinstance(apart, str):
        return Row(**blank, outcome=apart)
    contestants = [ours] if twin is None or not case.raced else [ours, twin]
    every = torch.get_num_threads()
    try:
        _race(case, contestants, protocol)
    finally:
        torch.set_num_threads(every)
    times = [contestant.times() for contestant in contestants]
    rate = 1e3 * blank["size"] / times[0].median_ms
    numbers: dict[str, Any] = {"apart": apart, "items_per_second": rate, "ours": times[0]}
    if len(times) == 2:
        numbers |= {"twin": times[1], "ratio": times[1].median_ms / times[0].median_ms}
    if case.work is not None:
        ceiling, share = share_of_ceiling(case.work, rate, ceilings)
        numbers |= {**vars(case.work), "ceiling": ceiling, "share": share}
    return Row(**blank, outcome=OK, **numbers)


def _race(case: Case, contestants: list[_Contestant], protocol: Protocol) -> None:
    """In turn, so that both see the same minutes of a machine that others use too."""
    for contestant in contestants:
        contestant.choose_threads(case, protocol)
    began = time.perf_counter()
    for repeat in range(protocol.most_repeats):
        if repeat >= protocol.least_repeats and time.perf_counter() - began > protocol.seconds:
            break
        for contestant in contestants:
            contestant.seconds.append(contestant.run(case)[0])


def _gate(ours: Outputs, twin: Outputs | None, gates: Sequence[Gate]) -> float | str:
    """The largest relative difference that counts, or the outcome of a case that does not pass."""
    if twin is None:
        finite = all(bool(torch.isfinite(x).all()) for x in ours if x.is_floating_point())
        return 0.0 if finite else "failed: not finite"
    worst = 0.0
    for number, (mine, theirs, gate) in enumerate(zip(ours, twin, gates, strict=True)):
        share, apart = _difference(mine[: len(theirs)] if theirs.ndim else mine, theirs, gate)
        if not share <= gate.share:
            entries = f"{share:.2%} of the entries, {gate.relative:g} relative"
            return f"failed: output {number} is not the twin's ({entries})"
        worst = max(worst, apart)
    return worst


def _difference(mine: Tensor, theirs: Tensor, gate: Gate) -> tuple[float, float]:
    """Share of the entries beyond the tolerance, and the largest relative difference among the others."""
    mine, theirs = mine.cpu().double(), theirs.cpu().double()
    if mine.shape != theirs.shape:
        return 1.0, 0.0
    scale = theirs.abs().max().clamp(min=torch.finfo(theirs.dtype).tiny) if theirs.numel() else torch.ones(())
    apart = torch.where(mine == theirs, 0.0, (mine - theirs).abs() / scale)
    within = apart <= gate.relative  # false where a number is missing
    share = 1 - within.double().mean().item() if within.numel() else 0.0
    return share, apart[within].max().item() if within.any() else 0.0

"""What a benchmark is made of: one call of ours, one of its twin on the same inputs, and how far they may be apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .scene import Scene

Outputs = tuple[Tensor, ...]
Call = Callable[..., Outputs]
TWIN = "torch twin"


@dataclass(frozen=True)
class Gate:
    """How far an output may be from the twin's: `relative` to the twin's largest entry, on all but `share` of them."""

    relative: float
    share: float = 0.0


EXACT = Gate(0.0)


@dataclass(frozen=True)
class Work:
    """What one item needs at least.

    bytes: of arrays, each read or written once. gathers: rows of 8 bytes read or written in no order (these bytes are
    not among the others). operations: additions and multiplications, a multiply-add being two.
    """

    bytes: float
    gathers: float = 0.0
    operations: float = 0.0


@dataclass(frozen=True)
class Case:
    """One kernel or bridge at one size.

    ours, twin: take what `inputs` returns, untimed before each call; a twin may answer for the first items only.
    gates: one per output. beside: what the twin is. raced: whether the twin's time says anything. calls: per timing.
    """

    ours: Call
    twin: Call | None
    gates: Sequence[Gate]
    inputs: Callable[[], tuple[Any, ...]] = tuple
    work: Work | None = None
    beside: str = TWIN
    raced: bool = True
    calls: int = 1


@dataclass(frozen=True)
class Entry:
    """A name of the catalogue. build: (scene, size) -> case; its docstring says what is measured.

    sizes: items per call, those of a training step among them. unit: what an item is. fixed: --sizes has no say.
    """

    name: str
    build: Callable[[Scene, int], Case]
    sizes: tuple[int, ...]
    unit: str
    fixed: bool = False

    @property
    def summary(self) -> str:
        return (self.build.__doc__ or "").partition("\n")[0].rstrip(".")


def copies(*arguments: Any) -> Callable[[], tuple[Any, ...]]:
    """Inputs for calls that write into them."""
    return lambda: tuple(x.clone() if isinstance(x, Tensor) else x for x in arguments)


def adjoints(
    ours: Call, twin: Call, arguments: Sequence[Any], leaves: Sequence[Tensor], generator: torch.Generator
) -> tuple[Call, Call]:
    """The adjoints alone: both graphs are built here, and pulled back from the same random cotangents."""
    outputs = _attached(ours(*arguments))
    bars = [torch.randn(x.shape, generator=generator).to(x) for x in outputs]
    return _pullback(outputs, leaves, bars), _pullback(_attached(twin(*arguments)), leaves, bars)


def _attached(outputs: Outputs) -> list[Tensor]:
    return [x for x in outputs if x.requires_grad]


def _pullback(outputs: list[Tensor], leaves: Sequence[Tensor], bars: list[Tensor]) -> Call:
    return lambda: torch.autograd.grad(outputs, leaves, bars, retain_graph=True)

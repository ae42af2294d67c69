"""The file of a run: read back, compared, refused where it is something else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from ..errors import BadInput, InputMissing
from ..machine import Machine

OK = "ok"
RAN = "ran"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(_Record):
    """How a case is timed: calls that do not count, repeats at least and at most, and seconds to fill in between."""

    warm_up: int
    least_repeats: int
    most_repeats: int
    seconds: float


class Times(_Record):
    """first_ms: of the first call, compilation included. spread: interquartile range over median. threads: of torch."""

    first_ms: FiniteFloat
    median_ms: FiniteFloat
    spread: FiniteFloat
    repeats: int
    threads: int


class Row(_Record):
    """One case at one size.

    outcome: OK, or what went wrong; then there are no times. apart: the largest difference within the gate, relative
    to the twin's largest entry. bytes, gathers, operations: needed by one item (case.Work). share: of `ceiling`, the
    machine's limit that the case is nearest to.
    """

    case: str
    size: int
    unit: str
    outcome: str
    beside: str
    apart: FiniteFloat | None = None
    ours: Times | None = None
    twin: Times | None = None
    ratio: FiniteFloat | None = None
    items_per_second: FiniteFloat | None = None
    bytes: float | None = None
    gathers: float | None = None
    operations: float | None = None
    ceiling: str | None = None
    share: FiniteFloat | None = None

    @property
    def failed(self) -> bool:
        return self.outcome.startswith("failed")


class Ceilings(_Record):
    """What torch reaches on this machine: bytes copied (read and written), rows of 8 bytes gathered from a table of the
    hash grid's size, additions and multiplications in a product of matrices; each per second."""

    copy_bytes: FiniteFloat
    gathers: FiniteFloat
    operations: FiniteFloat


class Start(_Record):
    """What a backend was found to be. kernel_cache: whether compilation had to start from nothing."""

    device: str
    threads: int
    kernel_cache: str
    load_before: float
    ceilings: Ceilings


class End(_Record):
    load_after: float
    peak_memory_mib: float


class Backend(_Record):
    """outcome: RAN, or why not, or how it broke off."""

    arch: Literal["cpu", "cuda", "vulkan"]
    outcome: str
    start: Start | None = None
    rows: tuple[Row, ...] = ()
    end: End | None = None


class Results(_Record):
    """One run of `tidr bench`. commit: of the checkout that was measured, with a + where files differed from it."""

    format: Literal["tidr-bench"]
    version: Literal[1]
    date: str
    machine: Machine
    versions: dict[str, str]
    commit: str | None
    seed: int
    protocol: Protocol
    backends: tuple[Backend, ...]


def read_results(path: Path) -> Results:
    """Raises InputMissing, BadInput."""
    try:
        return Results.model_validate_json(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputMissing("no such file", where=path, todo="name a file that tidr bench --json wrote") from error
    except OSError as error:
        raise BadInput("cannot be read", where=path, why=error.strerror or str(error)) from error
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        where = f"{path}: {field}" if field else path
        why, todo = fault["msg"], "name a file that tidr bench --json wrote"
        raise BadInput("not a result of tidr bench", where=where, why=why, todo=todo) from error

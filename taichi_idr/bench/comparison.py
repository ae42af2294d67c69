"""Two results side by side: what became slower or faster by more than both spread."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .results import Results, Row
from .table import CASE

Key = tuple[str, str, int]
_NAME = CASE + 16


def compare(before: Results, after: Results) -> Iterator[str]:
    """Lines: a row's times, their ratio, how its ratio to the twin moved; then what only one of the two has.

    Times of different machines, or of one whose other load changed, mean little; ratios to the twin were taken in turn.
    """
    if (before.machine, before.versions) != (after.machine, after.versions):
        yield "machines or versions differ: read the ratios to the twins"
    old, new = _rows(before), _rows(after)
    yield f"{'case':<{_NAME}}{'A ms':>10}{'B ms':>10}{'B / A':>8}{'twin A':>9}{'twin B':>9}"
    for key in old:
        if key in new:
            yield _line(key, old[key], new[key])
    for name, rows, other in (("A", old, new), ("B", new, old)):
        for key in rows:
            if key not in other:
                yield f"{_name(key)}  only in {name}"


def _rows(results: Results) -> dict[Key, Row]:
    return {(backend.arch, row.case, row.size): row for backend in results.backends for row in backend.rows}


def _name(key: Key) -> str:
    arch, case, size = key
    return f"{f'{arch} {case}':<{_NAME - 8}}{size:>8}"


def _line(key: Key, old: Row, new: Row) -> str:
    for name, row in (("A", old), ("B", new)):
        if row.ours is None:
            return f"{_name(key)}  in {name}: {row.outcome}"
    assert old.ours is not None and new.ours is not None
    change = new.ours.median_ms / old.ours.median_ms
    twins = "".join(f"{'' if row.ratio is None else f'{row.ratio:.2f}':>9}" for row in (old, new))
    times = f"{old.ours.median_ms:>10.3f}{new.ours.median_ms:>10.3f}{change:>8.2f}"
    return f"{_name(key)}{times}{twins}{_mark(change, max(old.ours.spread, new.ours.spread))}"


def _mark(change: float, spread: float) -> str:
    """Nothing where the medians are as near as the calls of one run are to each other."""
    if abs(math.log(change)) <= math.log1p(spread):
        return ""
    return "  slower" if change > 1 else "  faster"

"""Results as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from .case import TWIN, Entry
from .results import OK, RAN, Backend, Row, Start

CASE = 24  # columns of a name
HEADINGS = (
    f"{'case':<{CASE}}{'size':>8}{'ms':>10}{'±':>6}{'twin ms':>10}{'±':>6}{'ratio':>8}"
    f"{'M/s':>9}{'B':>7}{'op':>7}{'share of':>22}{'first ms':>10}"
)


def backend_lines(arch: str, start: Start) -> str:
    """What the backend is, its ceilings, and the headings of the table."""
    ceilings = start.ceilings
    device = f" on {start.device}" if start.device else ""
    rates = (
        f"copy {ceilings.copy_bytes / 1e9:.1f} GB/s, gather {ceilings.gathers / 1e6:.0f} M rows/s, "
        f"multiply-add {ceilings.operations / 1e9:.0f} Gop/s"
    )
    cache = f"{start.threads} threads, kernel cache {start.kernel_cache}, load {start.load_before}"
    return f"{arch}{device}: {cache}\nceilings: {rates}\n{HEADINGS}"


def row_line(row: Row) -> str:
    name = f"{row.case:<{CASE}}{row.size:>8}"
    if row.outcome != OK or row.ours is None:
        return f"{name}  {row.outcome}"
    twin = f"{'':>16}{'':>8}"
    if row.twin is not None:
        twin = f"{row.twin.median_ms:>10.3f}{row.twin.spread:>6.0%}{row.ratio:>8.2f}"
    share = "" if row.share is None else f"{row.share:.0%} {row.ceiling}"
    work = (f"{'' if number is None else f'{number:.0f}':>7}" for number in (_bytes(row), row.operations))
    rate = (row.items_per_second or 0) / 1e6
    beside = "" if row.beside == TWIN else f"  {row.beside}"
    ours = f"{row.ours.median_ms:>10.3f}{row.ours.spread:>6.0%}"
    return f"{name}{ours}{twin}{rate:>9.3f}{''.join(work)}{share:>22}{row.ours.first_ms:>10.0f}{beside}"


def ending_line(backend: Backend) -> str:
    if backend.outcome != RAN or backend.end is None:
        return f"{backend.arch}: {backend.outcome}"
    failed = sum(row.failed for row in backend.rows)
    left = [row for row in backend.rows if not row.failed and row.outcome != OK]
    counts = f"{len(backend.rows)} rows, {failed} failed, {len(left)} not available here"
    return f"{backend.arch}: {counts}; load {backend.end.load_after}, {backend.end.peak_memory_mib:.0f} MiB at most"


def listing(entries: Sequence[Entry]) -> str:
    """Name, sizes and summary of each case, a line each."""
    return "\n".join(
        f"{entry.name:<{CASE}}{'  '.join(map(str, entry.sizes)):<22}{entry.unit:<8}{entry.summary}" for entry in entries
    )


def _bytes(row: Row) -> float | None:
    return None if row.bytes is None else row.bytes + 8 * (row.gathers or 0)

"""`make fuzz`: every reader, 10,000 damaged inputs each, in processes under limits. Exit code 1 where one fails.

`python -m fuzzing [READER ...] --inputs 10000 --seed 0 --workers 2` in `tests/`; `--keep FOLDER` leaves what failed
there, ready to be read again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from .readers import READERS, SLOW, Reader
from .reading import BYTES, SECONDS, Failure, copied, damage, failures

SILENT = 9 * SECONDS
"""Seconds after which a process that says nothing hangs where no alarm reaches it."""
FEWER = 50  # times fewer inputs for the slow ones


def main() -> int:
    options = _options()
    if options.child:
        return _child(options)
    chosen = [reader for reader in READERS if not options.readers or reader.name in options.readers]
    started, lock, found = time.monotonic(), threading.Lock(), Counter[tuple[str, str]]()
    total = 0

    def run(reader: Reader) -> None:
        nonlocal total
        count, begun, bad = _count(reader, options), time.monotonic(), 0
        for failure in _supervised(reader, count, options.seed):
            with lock:
                bad += 1
                found[failure.kind, failure.place] += 1
                if found[failure.kind, failure.place] <= 3:
                    print(f"{reader.name} {failure.number}: {failure.kind} {failure.place} {failure.text}", flush=True)
                _keep(reader, failure, options)
        with lock:
            total += count
            print(
                f"{reader.name:<14} {count:>6} inputs  {bad:>4} failed  {time.monotonic() - begun:6.0f} s", flush=True
            )

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(run, chosen))
    failed = sum(found.values())
    print(f"{total} inputs, {failed} failed in {len(found)} ways, {time.monotonic() - started:.0f} s")
    return int(failed > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzzing", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(reader.name for reader in READERS))
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--child", type=int, nargs=2, metavar=("FIRST", "END"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _count(reader: Reader, options: argparse.Namespace) -> int:
    return max(options.inputs // FEWER, 1) if reader.name in SLOW else options.inputs


def _supervised(reader: Reader, count: int, seed: int) -> Iterator[Failure]:
    """Failures of a process that reads one input after the other; a new one goes on behind an input that ends it."""
    first = 0
    while first < count:
        begun = first
        command = [sys.executable, "-m", "fuzzing", reader.name, "--seed", str(seed), "--child", str(first), str(count)]
        with tempfile.TemporaryFile() as noise:
            pipes = {"stdout": subprocess.PIPE, "stderr": noise, "stdin": subprocess.DEVNULL}
            with subprocess.Popen(command, text=True, cwd=Path(__file__).parents[1], **pipes) as child:
                watch = _Watch(child)
                for line in child.stdout or ():
                    watch.heard()
                    told = json.loads(line)
                    if isinstance(told, int):
                        first = told + 1
                    else:
                        yield Failure(**told)
                watch.end()
            if child.returncode == 0:
                return
            noise.seek(0)
            last = noise.read()[-300:].decode(errors="replace").strip().splitlines() or [""]
            if first == begun:
                raise RuntimeError(f"{reader.name} cannot be read at all: {last[-1]}")
        kind = "hangs" if watch.rang else f"process ended with {child.returncode}"
        yield Failure(reader.name, first - 1, kind, "", last[-1])


class _Watch:
    """Kills a process that has not been heard of for SILENT seconds (ten times that before it begins)."""

    def __init__(self, child: subprocess.Popen) -> None:
        self.child, self.rang = child, False
        self.timer = self._started(10 * SILENT)

    def heard(self) -> None:
        self.timer.cancel()
        self.timer = self._started(SILENT)

    def end(self) -> None:
        self.timer.cancel()
        self.child.wait()

    def _started(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._ring)
        timer.daemon = True
        timer.start()
        return timer

    def _ring(self) -> None:
        self.rang = True
        self.child.kill()


def _child(options: argparse.Namespace) -> int:
    """Says each number before it is read, and failures, a line of JSON each."""
    from taichi_idr import runtime

    (reader,) = (reader for reader in READERS if reader.name in options.readers)
    if reader.kernels:
        runtime.init("cpu", "float32")
    with copied(reader) as whole:
        (reader.rare or reader.read)(whole)  # what is imported and compiled is no input's cost
    _limit_memory()
    sys.stdout = sys.stderr  # what is said here is for the parent alone

    def say(told: object) -> None:
        sys.__stdout__.write(json.dumps(told) + "\n")  # pyright: ignore[reportOptionalMemberAccess]
        sys.__stdout__.flush()  # pyright: ignore[reportOptionalMemberAccess]

    for failure in failures(reader, iter(range(*options.child)), options.seed, say):
        say(asdict(failure))
    return 0


def _limit_memory() -> None:
    """BYTES more address space than now, where the system can say how much that is."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    most = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _keep(reader: Reader, failure: Failure, options: argparse.Namespace) -> None:
    if options.keep is not None and failure.number >= 0:
        options.keep.mkdir(parents=True, exist_ok=True)
        with copied(reader) as folder:
            damage(reader, failure.number, options.seed, folder)
            to = options.keep / f"{reader.name}-{failure.number}"
            if not to.exists():
                shutil.copytree(folder, to)


if __name__ == "__main__":
    sys.exit(main())

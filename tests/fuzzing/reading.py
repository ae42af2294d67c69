"""One reader, many damaged inputs, one process: what is neither read nor refused cleanly is told."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from taichi_idr.errors import ExitCode, TidrError

from .mutations import mutated
from .readers import WHOLE_SHARE, Reader

SECONDS = 10.0
BYTES = 2 << 30  # beside what the process has before
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Failure:
    """Input `number` of a reader; kind: the exception, or what else happened; place: the last line of ours."""

    reader: str
    number: int
    kind: str
    place: str
    text: str


class TooSlow(BaseException):
    """Past everything that catches exceptions."""


def damage(reader: Reader, number: int, seed: int, folder: Path) -> list[Path]:
    """Writes input `number` into a copy of the reader's corpus; the files that differ from it."""
    random = Random(f"{reader.name} {seed} {number}")
    files = reader.files()
    chosen = random.sample(files, 2 if len(files) > 1 and random.random() < 0.1 else 1)
    for file in chosen:
        (folder / file).write_bytes(mutated(file.name, (reader.corpus / file).read_bytes(), random))
    return chosen


def failures(reader: Reader, numbers: Iterator[int], seed: int, told: object = None) -> Iterator[Failure]:
    """Of these inputs. told: called with each number before it is read."""
    with copied(reader) as folder:
        for number in numbers:
            if callable(told):
                told(number)
            changed = damage(reader, number, seed, folder)
            failure = _read(reader, number, folder)
            if failure is not None:
                yield failure
            for file in changed:
                shutil.copyfile(reader.corpus / file, folder / file)


def _read(reader: Reader, number: int, folder: Path) -> Failure | None:
    read = reader.rare if reader.rare is not None and number % WHOLE_SHARE == 0 else reader.read
    before, started, worked = _peak_bytes(), time.monotonic(), time.process_time()
    try:
        with _alarm(reader), warnings.catch_warnings():
            warnings.simplefilter("error")
            read(folder)
    except TidrError as error:
        if error.exit_code == ExitCode.BUG or _out_of_memory(error):
            return _failure(reader, number, error)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return _failure(reader, number, error)
    # Beside other work a second of ours takes several.
    seconds, grown = min(time.monotonic() - started, time.process_time() - worked), _peak_bytes() - before
    if seconds > SECONDS:
        return Failure(reader.name, number, "too slow", "", f"{seconds:.1f} s")
    if grown > BYTES:
        return Failure(reader.name, number, "too much memory", "", f"{grown >> 20} MiB")
    return None


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether memory that could not be had is what an error of ours hides."""
    seen: list[BaseException] = []  # an exception that came from another thread may be its own context
    while error is not None and error not in seen:
        if isinstance(error, MemoryError):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def _failure(reader: Reader, number: int, error: BaseException) -> Failure:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "taichi_idr" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    kind = "out of memory" if _out_of_memory(error) else type(error).__name__
    return Failure(reader.name, number, kind, place, " ".join(str(error).split())[:200])


@contextmanager
def copied(reader: Reader) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidr-fuzz-") as folder:
        place = Path(folder) / reader.name
        shutil.copytree(reader.corpus, place)
        yield place


@contextmanager
def _alarm(reader: Reader) -> Iterator[None]:
    """Raises TooSlow in this thread after SECONDS, where the system has alarms; not into a kernel that is compiled, of
    which nothing goes on afterwards: such a reader is timed, and watched from outside."""
    if reader.kernels or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise TooSlow(f"more than {SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10

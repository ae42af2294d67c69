"""What this process may take of the machine."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import psutil
import pytest

from taichi_idr import machine

FEW_FILES = """
import resource, sys, taichi, torch
from taichi_idr import runtime
with open("/dev/null") as highest:
    most = highest.fileno() + 2
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
try:
    runtime.init("cpu")
except OSError as error:
    sys.exit(error.errno)
"""
POOL = """
import json, os, torch
os.sched_setaffinity(0, range(os.cpu_count()))
from taichi_idr import runtime
from taichi_idr.ops.hash_encoding import HashLayout, hash_encoding
runtime.init("cpu")
def ticks():
    spent = {}
    for thread in os.listdir("/proc/self/task"):
        words = open(f"/proc/self/task/{thread}/stat").read().rpartition(")")[2].split()
        spent[int(thread)] = int(words[11]) + int(words[12])
    return spent
points, layout = torch.rand(200_000, 3), HashLayout.build(10, 16, 1024, 16, torch.device("cpu"))
table = torch.rand(layout.rows, 2)
hash_encoding(points, table, layout, 10)
before = ticks()
for _ in range(40):
    hash_encoding(points, table, layout, 10)
worked = {thread: spent - before.get(thread, 0) for thread, spent in ticks().items() if thread != os.getpid()}
busiest = sorted(worked, key=worked.get)[-runtime.current().threads :]
print(json.dumps([sorted(os.sched_getaffinity(thread)) for thread in [*busiest, 0]]))
"""


def test_a_share_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine.available_cores()
    monkeypatch.setenv("TIDR_CORES", str(whole + 1))
    assert machine.available_cores() == whole + 1
    for nonsense in ("", "0", "-2", "many"):
        monkeypatch.setenv("TIDR_CORES", nonsense)
        assert machine.available_cores() == whole <= (os.cpu_count() or 1)


def test_a_share_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    used = psutil.Process().memory_info().rss
    monkeypatch.setenv("TIDR_MEMORY", str(used + 50_000_000))
    free = machine.free_memory()
    assert free is not None
    assert 0 < free < 100_000_000
    monkeypatch.setenv("TIDR_MEMORY", "1")
    assert machine.free_memory() == 0
    monkeypatch.setenv("TIDR_MEMORY", "plenty")
    assert (machine.free_memory() or 0) > 100_000_000


@pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="needs Linux and two cores")
def test_kernels_work_on_all_cores_and_the_rest_wanders() -> None:
    """The threads that did the work of kernels have a core each; the main thread, and what it starts, all of them."""
    done = subprocess.run([sys.executable, "-c", POOL], capture_output=True, text=True, timeout=120, check=True)
    *pool, main = json.loads(done.stdout.splitlines()[-1])
    assert len(main) == len(pool) > 1
    assert sorted(pool) == [[core] for core in main]


def test_threads_of_a_share_are_left_alone() -> None:
    """Two processes with half the cores each would else end on the same ones."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    machine.keep_apart([os.getpid()] * ((os.cpu_count() or 1) + 1))
    machine.keep_apart([os.getpid()])
    assert before is None or os.sched_getaffinity(0) == before


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as Linux does")
def test_taichi_without_files_to_open() -> None:
    """It would say that parts of it are missing."""
    done = subprocess.run([sys.executable, "-c", FEW_FILES], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == errno.EMFILE, done.stderr

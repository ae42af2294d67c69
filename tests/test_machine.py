"""What this process may take of the machine."""

from __future__ import annotations

import os

import psutil
import pytest

from taichi_idr import machine


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

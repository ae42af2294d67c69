"""The scripts of `benchmarks/`, which are no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from places import ROOT


def benchmark(name: str, patch: pytest.MonkeyPatch | None = None) -> ModuleType:
    """`benchmarks/NAME.py`, run. patch: puts it among the modules meanwhile, where dataclasses look it up."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    if patch is not None:
        patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module

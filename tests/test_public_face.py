"""The names that `from taichi_idr import ...` offers: all there, light until used, and their examples true."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_fits import SMALL

import taichi_idr
from taichi_idr.commands.fit import fit_capture

EXAMPLES = (
    "check_capture", "convert_capture", "evaluate_run", "fit_capture", "load_painted", "load_run", "make_capture",
    "mesh_run", "paint_mesh", "read_capture", "render_run", "render_view", "swap_runs", "trace",
)  # fmt: skip


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the examples take for granted: a capture, a run of it, and the run as it is loaded."""
    folder = tmp_path_factory.mktemp("face")
    options = {"views": 3, "heldout": 0, "size": (32, 32), "samples": 1, "mesh_resolution": 24}
    capture = taichi_idr.make_capture(folder / "capture", **options)
    run = folder / "run"
    fit_capture(capture, out=run, steps=2, assignments=[*SMALL, "schedule.hull_steps=40"], threads=1)
    loaded = taichi_idr.load_run(run)
    painted = folder / "painted"
    taichi_idr.paint_mesh(capture / "gt_mesh.ply", capture, out=painted, steps=2)
    return {"capture": capture, "run": run, "loaded": loaded, "painted": painted, "cameras": loaded.cameras}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_of_a_docstring_does_what_it_says(name: str, names: dict[str, Any], tmp_path: Path) -> None:
    known = {**names, **{public: getattr(taichi_idr, public) for public in taichi_idr.__all__}}
    if name == "fit_capture":
        known["run"] = tmp_path / "run"
    module = sys.modules[getattr(taichi_idr, name).__module__]
    known = {**vars(module), **known}
    found = doctest.DocTestFinder(recurse=False).find(getattr(taichi_idr, name), name, globs=known)
    (example,) = [test for test in found if test.examples]
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)


def test_every_function_has_an_example() -> None:
    functions = [name for name in taichi_idr.__all__ if name[0].islower()]
    assert sorted(functions) == sorted(EXAMPLES)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, taichi_idr; dir(taichi_idr); print([m for m in ('torch', 'taichi', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fit_captures'"):
        _ = taichi_idr.fit_captures  # pyright: ignore[reportAttributeAccessIssue]

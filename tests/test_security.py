"""docs/security.md: what is never imported or called, and the command line without a network."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import captures
import pytest
from places import ROOT
from tiny_fits import SMALL

NEVER_IMPORTED = {
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "yaml",
    "ruamel",
    "requests",
    "urllib.request",
    "urllib3",
}
NEVER_IMPORTED |= {"http", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "xmlrpc", "ssl", "dbm"}
ALLOWED = {
    "pickle": {"files/pth.py"},  # its exceptions, in the process that reads .pth
    "socket": {"files/writers.py", "files/writing.py", "viewer/ports.py"},  # the machine's name; ports of 127.0.0.1
}
OWN_PIPE = ("meshes/quadrics.py", "np.load")
"""What a process of the program sends to its parent."""
NEVER_CALLED = {"eval", "exec", "compile", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler"}
NEVER_CALLED |= {"np.load", "numpy.load", "torch.hub.load", "hub.load_state_dict_from_url"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "taichi_idr").rglob("*.py")):
        yield str(path.relative_to(ROOT / "taichi_idr")), ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "cli").glob("*.py")):
        yield f"cli/{path.name}", ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {part for name in node.names for part in (name.name, name.name.partition(".")[0])}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, node.module.partition(".")[0]}
    return found


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    return ((ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


@pytest.mark.fault(29, 30, 74)
def test_nothing_is_imported_that_runs_data_or_asks_the_network() -> None:
    for name, tree in sources():
        modules = imported(tree)
        assert not modules & NEVER_IMPORTED, name
        for module, files in ALLOWED.items():
            assert module not in modules or name in files, f"{name} imports {module}"


@pytest.mark.fault(29, 30)
def test_nothing_is_called_that_runs_data() -> None:
    for name, tree in sources():
        for called, node in calls(tree):
            words = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert called not in NEVER_CALLED or (name, called) == OWN_PIPE, f"{name}: {called}"
            assert words.get("shell", "False") == "False", f"{name}: {called} by a shell"
            assert words.get("allow_pickle", "False") == "False", f"{name}: {called}"
            if called == "torch.load":
                assert name == "files/pth.py" and words["weights_only"] == "True", name


def without_network(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-m", "taichi_idr", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
@pytest.mark.fault(74)
def test_everything_works_without_a_network(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "--map-root-user", "--net", "true"]).returncode:
        pytest.skip("unshare --net is not allowed here: NOT tested that everything works without a network")
    capture, run = captures.make_capture(tmp_path / "capture"), tmp_path / "run"
    settings = [part for setting in SMALL for part in ("--set", setting)]
    lines: list[list[object]] = [
        ["doctor"],
        ["check", capture, "--out", tmp_path / "check"],
        ["fit", capture, "--out", run, "--steps", 20, *settings],
        ["mesh", run, "--res", 32],
        ["eval", run],
        ["render", run, "--views", "training", "--size", 32],
        ["report", run],
        ["convert", capture, tmp_path / "colmap", "--to", "colmap"],
        ["view", run, "--static", tmp_path / "view.html"],
    ]
    for line in lines:
        done = without_network(*line)
        assert done.returncode == 0, f"tidr {line[0]}: {done.stderr}"

"""Every file that the program leaves is written by `files/writing.py`, which follows no links."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from places import ROOT

DOOR = "taichi_idr/files/writing.py"
METHODS = {"write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "export", "imwrite", "tofile"}
FUNCTIONS = {("np", "save"), ("np", "savez"), ("np", "savez_compressed"), ("np", "savetxt"), ("torch", "save")}
FUNCTIONS |= {("os", "open"), ("os", "link"), ("os", "symlink"), ("os", "mkfifo")}
FUNCTIONS |= {("shutil", name) for name in ("copy", "copy2", "copyfile", "copytree", "move")}
IN_MEMORY = {"data", "animation"}  # names of io.BytesIO
ELSEWHERE = {
    # Folders that the process has made for itself, under names that nobody else knows.
    "taichi_idr/structure/engine.py": {"write_text"},
    "taichi_idr/structure/plain.py": {"save"},
    "taichi_idr/structure/video.py": {"save"},
    "taichi_idr/structure/worker.py": {"savez"},
    "taichi_idr/meshes/usd.py": {"write_bytes"},
    "taichi_idr/commands/mask.py": {"save"},
    "taichi_idr/commands/prepare.py": {"link", "copyfile"},
    "taichi_idr/batch/clusters.py": {"write_text"},
    # Into bytes.
    "taichi_idr/meshes/quadrics.py": {"save"},
    "taichi_idr/meshes/texture.py": {"save"},
    # For reading alone.
    "taichi_idr/files/reading.py": {"open"},
    # The empty device.
    "taichi_idr/runtime.py": {"open"},
    "cli/failures.py": {"open"},
    "cli/fit.py": {"open"},
    "cli/main.py": {"open"},
}


def test_nobody_else_opens_files_for_writing() -> None:
    found: dict[str, set[str]] = {}
    for floor in ("taichi_idr", "cli", "kernels"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name != DOOR and (writes := set(writes_of(path.read_text(encoding="utf-8")))):
                found[name] = writes
    assert found == ELSEWHERE


def test_what_writes_is_recognised() -> None:
    """Else the test above would prove nothing."""
    text = """
open(a, "w"); open(a, mode="ab"); open(a, mode); path.open("wb"); path.open("r+"); os.open(a, os.O_RDWR)
path.write_text(""); np.savez(path, x=x); image.save(path, "PNG"); shutil.copyfile(a, b)
"""
    assert len(list(writes_of(text))) == 10
    text = """
open(a); path.open(); path.open("rb"); open(a, encoding="utf-8"); np.savez(data, x=x); image.save(data, "PNG")
Image.open(file); webbrowser.open(url); path.replace(other); stream.write(text); film.open(path, formats=X)
"""
    assert list(writes_of(text)) == []


def writes_of(text: str) -> Iterator[str]:
    """Names of calls that may write to a path."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name, owner = _called(node.func)
            first = node.args[0] if node.args else None
            into_memory = isinstance(first, ast.Name) and first.id in IN_MEMORY
            saves = name == "save" and owner not in ("np", "torch", "safetensors.torch") and first is not None
            opens = name == "open" and owner not in ("os", "Image", "webbrowser", "zipfile") and _may_write(node, owner)
            if name in METHODS or ((saves or (owner, name) in FUNCTIONS) and not into_memory) or opens:
                yield name


def _called(function: ast.expr) -> tuple[str, str]:
    """Name of what is called, and of what it is called on, where that has one."""
    if isinstance(function, ast.Attribute):
        return function.attr, ast.unparse(function.value)
    return (function.id, "") if isinstance(function, ast.Name) else ("", "")


def _may_write(call: ast.Call, owner: str) -> bool:
    """Of a call of open: by its mode, which comes after the file of the builtin."""
    method = isinstance(call.func, ast.Attribute)
    place = 0 if method else 1
    modes = [word.value for word in call.keywords if word.arg == "mode"] + call.args[place : place + 1]
    if not modes:
        return False
    mode = modes[0]
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
        return any(letter in mode.value for letter in "wax+")
    return not method  # `film.open(path)` of a library has no mode; a mode that is worked out may be any

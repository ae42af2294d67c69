"""Writes docs/faults.md: bad inputs and faults, what happens, and the tests that are marked as holding it.

`python tests/faults.py`. A test is marked with `@pytest.mark.fault(7)`, the number of its rows; markers are read, and
nothing is run.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "faults.md"
HEAD = """# Faults

What must happen when inputs are bad or the machine fails, and the tests that hold it. Everywhere: one line on standard
error and an exit code of [formats.md](formats.md), soon; nothing is run or read that is none of the program's business;
what was there before stays. `tests/faults.py` writes this page from the marks of the tests.

| # | fault | what happens | tests |
|---|---|---|---|
"""
ROWS = {
    1: ("JPEG cut short", "65, the file is named"),
    2: ("PNG cut short", "65"),
    3: ("image of 0 bytes", "65"),
    4: ("text called .png", "65, not an image"),
    5: ("flipped bits in images", "65, or read where that can be decoded"),
    6: ("PNG that says 60000x60000", "65 before memory is taken"),
    7: ("very large photos, one or all together", "65 over `--max-pixels`, or twelve times that in all"),
    8: ("16 bits", "scaled"),
    9: ("grey, 1 bit, palette", "RGB, with a warning"),
    10: ("CMYK", "converted, never taken for alpha"),
    11: ("RGBA photo", "alpha is the mask, colour lies on white"),
    12: ("EXIF orientation", "not turned, one warning; copies have no metadata"),
    13: ("photo and camera of different sizes", "65, or intrinsics scaled with a warning"),
    14: ("photos of mixed sizes", "read, each with its own K"),
    15: ("tiny images", "65"),
    16: ("HEIC, RAW, animations, pages", "65 with what to do, or the first page with a warning"),
    17: ("NaN or infinity in images of floats", "65, as all images of floats"),
    18: ("too few photos, names equal but for case", "65"),
    19: ("photos without texture, or all the same", "65, how many were placed"),
    20: ("empty mask", "65, the view is named"),
    21: ("full masks", "one: a warning; all: 65"),
    22: ("mask of another size", "65 unless `--resize-masks`"),
    23: ("masks missing", "65 with names; 66 without a folder"),
    24: ("inverted masks", "found out, or `--invert-masks`"),
    25: ("masks of 0 and 1, soft edges, colours", "mean the same"),
    26: ("silhouettes that do not agree", "65, the views are named"),
    27: ("object at the border of most photos", "a warning"),
    28: ("cameras.npz cut or flipped", "65"),
    29: ("pickled array in an archive", "65, nothing is run"),
    30: ("pickle called .npz", "65, nothing is run"),
    31: ("array header of 10^12 numbers", "65, nothing is allocated"),
    32: ("zip bomb", "65 before it is unpacked"),
    33: ("headers that do not match, odd compression", "65"),
    34: ("member called ../../evil.npy", "ignored"),
    35: ("matrices missing or too many", "65, the key is named"),
    36: ("NaN in a matrix", "65, the view is named"),
    37: ("zero or singular matrix", "65"),
    38: ("mirrored, skewed, impossible cameras", "65, or a warning"),
    39: ("all cameras in one place", "65"),
    40: ("scale_mat absent or unusable", "found from masks; 65"),
    41: ("object outside of the unit sphere", "65 with its share, or a warning"),
    42: ("transforms.json that is no strict JSON", "65"),
    43: ("photos outside of the capture", "65 unless `--allow-outside`"),
    44: ("photos that are not there", "suffixes are tried; 66 with names"),
    45: ("matrix of another shape", "65"),
    46: ("unknown or impossible lens", "65"),
    47: ("COLMAP's files cut anywhere", "65"),
    48: ("COLMAP's counts, models, poses", "65"),
    49: ("axes or directions mistaken", "65 or a warning, with what undoes it"),
    50: ("entities and document types in XML", "65"),
    51: ("checkpoint cut or empty", "the one before, with a warning; 65 without"),
    52: ("one flipped bit in it", "likewise"),
    53: ("its header crafted", "likewise"),
    54: ("file cut while it is open", "cannot matter: files are read as bytes, none is mapped"),
    55: ("malicious .pth", "refused, in a process of its own"),
    56: ("checkpoint of other settings, version or capture", "65 with what differs; older ones are read"),
    57: ("wrong settings", "65 or 2, with the nearest key; every whole number is bounded"),
    58: ("paths out of a mesh's folder", "not followed"),
    59: ("meshes that promise or contradict", "65"),
    60: ("no surface", "76, or said"),
    61: ("kill -9 at any time", "old or new file, never half of one"),
    62: ("disk full", "74 with the old checkpoint; a warning for logs"),
    63: ("system calls that fail", "likewise"),
    64: ("output cannot be written", "73 before any work"),
    65: ("cache cannot be written", "done without"),
    66: ("two runs in one folder", "75, with the process; stale locks are taken over"),
    67: ("signals, closed pipes", "130, 143, 129 within 5 s, with a checkpoint; no worker is left"),
    68: ("memory runs out", "71, with what to do"),
    69: ("loss that is not finite", "skipped, rolled back, 76"),
    70: ("the same seed twice, resumed or not", "bit by bit the same on one thread"),
    71: ("thousands of steps, meshes, pictures", "memory stays"),
    72: ("odd names, locale, terminal, clock", "works, or 66 or 73"),
    73: ("viewer", "127.0.0.1 alone, the next port where one is taken"),
    74: ("no network", "everything works"),
    75: ("pipes, devices, files of a terabyte", "65 at once"),
}
REASONS = {
    54: "nothing maps a file (files/reading.py)",
}
"""Of rows that no test holds."""


def page() -> str:
    """The whole of docs/faults.md. Raises KeyError for a mark of a row that there is not."""
    tests = marked_tests()
    lines = []
    for number, (fault, happens) in ROWS.items():
        held = "; ".join(f"`{file}`: {', '.join(names)}" for file, names in tests.pop(number, {}).items())
        lines.append(f"| {number} | {fault} | {happens} | {held or REASONS[number]} |")
    if tests:
        raise KeyError(f"tests are marked for rows {sorted(tests)}, which are not there")
    return HEAD + "\n".join(lines) + "\n"


def marked_tests() -> dict[int, dict[str, list[str]]]:
    """Names of tests by row and file."""
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for number in _rows(node):
                    found[number][str(path.relative_to(ROOT / "tests"))].append(node.name)
    return found


def _rows(test: ast.FunctionDef) -> list[int]:
    marks = (mark for mark in test.decorator_list if isinstance(mark, ast.Call))
    chosen = [mark.args for mark in marks if ast.unparse(mark.func) == "pytest.mark.fault"]
    return [ast.literal_eval(number) for arguments in chosen for number in arguments]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

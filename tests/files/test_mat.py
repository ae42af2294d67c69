"""Matrices of MATLAB files, as scipy writes them; what is damaged is refused, and ends no process."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from taichi_idr.errors import BadInput
from taichi_idr.files.mat import read_mat

MATRICES = {
    "small": np.array([[7]], np.uint8),
    "real": np.array([[1.5, -2], [3, 4], [5, 1e300]]),
    "solid": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "truth": np.array([[True, False]]),
    "single": np.array([[0.25]], np.float32),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_writes_is_read(tmp_path: Path, compressed: bool) -> None:
    others = {"text": "abc", "complex": np.array([1j]), "cell": np.array([[1, "a"]], object)}
    scipy.io.savemat(tmp_path / "a.mat", {**MATRICES, **others}, do_compression=compressed)
    found = read_mat(tmp_path / "a.mat", [*MATRICES, *others, "absent"], 100)
    assert set(found) == set(MATRICES)
    for name, matrix in MATRICES.items():
        np.testing.assert_array_equal(found[name], matrix)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_or_flipped_anywhere_is_read_or_refused(tmp_path: Path, compressed: bool) -> None:
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, MATRICES, do_compression=compressed)
    data = file.read_bytes()
    refused = 0
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0x81]) + data[at + 1 :]):
            file.write_bytes(damaged)
            try:
                read_mat(file, list(MATRICES), 100)
            except BadInput:
                refused += 1
    assert refused > len(data) / 2


def test_bombs_and_promises_are_refused(tmp_path: Path) -> None:
    file, head = tmp_path / "a.mat", b" " * 126 + b"IM"
    packed = zlib.compress(bytes(64 << 20))
    file.write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(BadInput, match="MiB unpacked"):
        read_mat(file, ["a"], 100)
    sides = struct.pack("<IIii", 5, 8, 1 << 30, 1 << 30)
    inner = struct.pack("<IIII", 6, 8, 6, 0) + sides + struct.pack("<HH4s", 1, 1, b"a") + struct.pack("<IId", 9, 8, 0)
    file.write_bytes(head + struct.pack("<II", 14, len(inner)) + inner)
    with pytest.raises(BadInput, match="a matrix of sides"):
        read_mat(file, ["a"], 100)

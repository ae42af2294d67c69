"""The archive reader runs nothing, believes no header, and reads what numpy writes."""

from __future__ import annotations

import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from taichi_idr.errors import BadInput
from taichi_idr.files.npz import MEMBER_BYTES, read_npz


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name + ".npy", data)
    return path


def npy(shape: str, payload: bytes, descr: str = "'<f8'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + payload


HEADERS = {
    "too much": npy("(1000000000000,)", b"x" * 64),
    "beyond memory": npy("(2000000000, 4)", b"x" * 64),
    "negative": npy("(-1, -8)", b"x" * 64),
    "negative length": npy("(-8,)", b"x" * 64),
    "too little": npy("(2, 2)", b"x" * 64),
    "no tuple": npy("'oops'", b"x" * 64),
    "code": npy("__import__('os').getcwd()", b"x" * 64),
    "deep": npy("(" * 5000, b""),
    "odd type": npy("(8,)", b"x" * 64, "'<zz'"),
    "no header": b"\x93NUMPY\x09\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.fault(31, 33)
def test_headers_are_not_believed(tmp_path, header):
    with pytest.raises(BadInput, match=r"^bad array \(.*evil\.npz: world_mat_0\)"):
        read_npz(archive(tmp_path / "evil.npz", world_mat_0=HEADERS[header]))


@pytest.mark.fault(32)
def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = archive(tmp_path / "bomb.npz", world_mat_0=npy("(41943040,)", bytes(8 * 41943040)))
    assert path.stat().st_size < 1e6
    started = time.monotonic()
    with pytest.raises(BadInput, match=f"world_mat_0.*at most {MEMBER_BYTES}"):
        read_npz(path)
    assert time.monotonic() - started < 0.5


@pytest.mark.fault(32)
def test_a_bomb_that_lies_about_its_size_is_not_unpacked(tmp_path):
    payload = npy("(10,)", bytes(40 << 20))
    path = archive(tmp_path / "bomb.npz", world_mat_0=payload)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", len(payload)), struct.pack("<I", 208)))
    with pytest.raises(BadInput):
        read_npz(path)


@pytest.mark.fault(32)
def test_a_packed_size_is_not_believed(tmp_path):
    """So much would be asked of the system at once."""
    path = tmp_path / "long.npz"
    np.savez(path, world_mat_0=np.eye(4))
    with zipfile.ZipFile(path) as file:
        size = struct.pack("<II", *[file.infolist()[0].file_size] * 2)
    data = path.read_bytes()
    at = data.rindex(size)  # in the list of members
    path.write_bytes(data[:at] + struct.pack("<I", 2147483920) + data[at + 4 :])
    with pytest.raises(BadInput, match=r"world_mat_0\): 2147483920 bytes that unpack to 256"):
        read_npz(path)


@pytest.mark.fault(34)
def test_members_with_a_folder_in_their_name_are_ignored(tmp_path):
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as file:
        for name in ("../../evil.npy", "/tmp/evil.npy", "..\\evil.npy", "readme.txt"):
            file.writestr(name, b"not an array")
        file.writestr("good.npy", npy("(2,)", np.array([1.0, 2.0]).tobytes()))
    assert {key: array.tolist() for key, array in read_npz(tmp_path / "odd.npz").items()} == {"good": [1.0, 2.0]}


@pytest.mark.fault(33)
def test_other_compressions_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "odd.npz", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("good.npy", npy("(2,)", bytes(16)))
    with pytest.raises(BadInput, match="unusual compression"):
        read_npz(tmp_path / "odd.npz")


@pytest.mark.fault(28)
def test_archives_cut_or_flipped_anywhere_are_refused_or_whole(tmp_path):
    path = tmp_path / "cameras.npz"
    expected = {f"world_mat_{index}": np.random.default_rng(index).normal(size=(4, 4)) for index in range(3)}
    np.savez_compressed(path, **expected)
    data = path.read_bytes()
    for position in range(0, len(data), 7):
        for damaged in (data[:position], data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]):
            path.write_bytes(damaged)
            try:
                found = read_npz(path)
            except BadInput:
                continue
            assert all(np.array_equal(array, expected[key]) for key, array in found.items() if key in expected)


def test_what_numpy_writes_is_read(tmp_path):
    columns_first = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    arrays = {"a": columns_first, "b": np.float32(2.5), "c": np.arange(3, dtype=">i2")}
    np.savez(tmp_path / "x.npz", **arrays)  # pyright: ignore[reportArgumentType]
    found = read_npz(tmp_path / "x.npz")
    assert all(np.array_equal(found[key], array) for key, array in arrays.items())

"""Point clouds from files: what is in them arrives, to the last digit; what is wrong is said."""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable

import numpy as np
import point_clouds
import pytest

from taichi_idr.clouds.cloud import Cloud
from taichi_idr.clouds.reading import read_cloud
from taichi_idr.errors import BadInput, InputMissing, Unavailable

UTM = np.array([500_000.125, 5_400_000.0625, 300.0])


@pytest.fixture
def cloud() -> Cloud:
    """Far from zero, with everything."""
    generator = np.random.default_rng(3)
    ball = point_clouds.sphere(50, generator)
    return Cloud(ball.points + UTM, ball.normals, generator.integers(0, 256, (50, 3), np.uint8))


def assert_same(found: Cloud, expected: Cloud) -> None:
    assert np.array_equal(found.points, expected.points)
    for ours, theirs in ((found.normals, expected.normals), (found.colours, expected.colours)):
        assert (ours is None) == (theirs is None)
        assert ours is None or np.array_equal(ours, theirs)


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("extras", ["none", "normals", "colours", "both"])
def test_ply_arrives_as_it_is(order, extras, cloud, tmp_path):
    kept = Cloud(
        cloud.points,
        cloud.normals if extras in ("normals", "both") else None,
        cloud.colours if extras in ("colours", "both") else None,
    )
    assert_same(read_cloud(point_clouds.write_ply(tmp_path / "a.ply", kept, order)), kept)


@pytest.mark.parametrize("separator", [" ", ",", "; "])
@pytest.mark.parametrize("columns", ["p", "pn", "pc", "pnc", "pcn"])
def test_columns_of_text_tell_what_they_are(separator, columns, cloud, tmp_path):
    parts = {"p": cloud.points, "n": cloud.normals, "c": cloud.colours}
    rows = zip(*(parts[letter].tolist() for letter in columns), strict=True)
    lines = [separator.join(repr(number) for triple in row for number in triple) for row in rows]
    (tmp_path / "a.xyz").write_text("\n".join(["# x y z", *lines]) + "\n")
    found = read_cloud(tmp_path / "a.xyz")
    assert np.array_equal(found.points, cloud.points)
    assert (found.normals is None) == ("n" not in columns) and (found.colours is None) == ("c" not in columns)
    if found.normals is not None:
        np.testing.assert_array_equal(found.normals, cloud.normals)
    if found.colours is not None:
        np.testing.assert_array_equal(found.colours, cloud.colours)


def test_arrays(cloud, tmp_path):
    np.save(tmp_path / "a.npy", np.concatenate([cloud.points, cloud.normals], axis=1))
    np.savez(tmp_path / "b.npz", points=cloud.points, normals=cloud.normals, colors=cloud.colours / 255.0)
    assert_same(read_cloud(tmp_path / "a.npy"), Cloud(cloud.points, cloud.normals))
    assert_same(read_cloud(tmp_path / "b.npz"), cloud)


def test_las_and_laz(cloud, tmp_path):
    for name in ("a.las", "a.laz"):
        point_clouds.write_las(tmp_path / name, cloud)
        found = read_cloud(tmp_path / name)
        np.testing.assert_allclose(found.points, cloud.points, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found.colours, cloud.colours)


def head_with(form: str, at: int, value: int) -> Callable[[bytes], bytes]:
    part = struct.pack(form, value)
    return lambda data: data[:at] + part + data[at + len(part) :]


PROMISES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "records": ("a.las", head_with("<I", 100, 1 << 31)),
    "points": ("a.las", head_with("<I", 107, 1 << 31)),
    "long points": ("a.las", head_with("<H", 105, 60_000)),
    "no points' length": ("a.las", head_with("<H", 105, 0)),
    "points beyond": ("a.las", head_with("<I", 96, 1 << 30)),
    "chunks": ("a.laz", lambda data: data[:-8].replace(struct.pack("<II", 0, 1), struct.pack("<II", 0, 1 << 31))),
    "cut head": ("a.las", lambda data: data[:100]),
    "no head": ("a.laz", lambda data: b"x" * 500),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_las_that_promises_more_than_it_holds_is_refused_at_once(promise, cloud, tmp_path):
    """lazrs ends the process where 2^31 chunks are promised, laspy looks for 2^31 records."""
    point_clouds.write_las(tmp_path / "a.las", cloud)
    name, damage = PROMISES[promise]
    point_clouds.write_las(tmp_path / name, cloud)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    started = time.monotonic()
    with pytest.raises(BadInput, match="unreadable points"):
        read_cloud(tmp_path / name)
    assert time.monotonic() - started < 1


def test_las_without_laspy_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "laspy", None)
    (tmp_path / "a.las").write_bytes(b"LASF")
    with pytest.raises(Unavailable, match=r"pip install 'taichi-idr\[las\]'"):
        read_cloud(tmp_path / "a.las")


def test_points_that_are_not_finite_are_left_out_with_a_warning(cloud, tmp_path, capsys):
    cloud.points[[3, 7], 1] = np.nan, np.inf
    found = read_cloud(point_clouds.write_ply(tmp_path / "a.ply", cloud))
    assert len(found) == 48
    assert "2 of 50 points are not finite" in capsys.readouterr().err


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian"])
def test_a_property_that_is_there_twice_is_refused(order, cloud, tmp_path):
    path = point_clouds.write_ply(tmp_path / "a.ply", cloud, order)
    path.write_bytes(path.read_bytes().replace(b"property double y", b"property double x"))
    with pytest.raises(BadInput, match="a property that is there twice"):
        read_cloud(path)


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_points_that_cannot_be_computed_with_are_refused(size, tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3) * size)
    with pytest.raises(BadInput, match=r"unusable points.*another unit of length"):
        read_cloud(tmp_path / "a.npy")


def test_numbers_beyond_single_precision_are_no_colours_and_no_normals(tmp_path):
    table = np.concatenate([np.eye(3), np.eye(3)], axis=1)
    for vast in (1e300, -1e39):
        table[1, 4] = vast
        np.save(tmp_path / "a.npy", table)
        with pytest.raises(BadInput, match="neither unit normals nor colours"):
            read_cloud(tmp_path / "a.npy")


def test_empty_lines_are_none(tmp_path, recwarn):
    head = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    (tmp_path / "a.ply").write_text(head + "\n0 0 0\n\n1 2 3\n")
    assert read_cloud(tmp_path / "a.ply").points.tolist() == [[0, 0, 0], [1, 2, 3]]
    (tmp_path / "b.ply").write_text(head + "\n" * 20)
    with pytest.raises(BadInput, match="it has 0 vertices"):
        read_cloud(tmp_path / "b.ply")
    assert not recwarn.list


def test_a_mesh_is_taken_for_its_vertices(tmp_path, capsys):
    text = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    text += "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    (tmp_path / "a.ply").write_text(text)
    assert len(read_cloud(tmp_path / "a.ply")) == 3
    assert "3 vertices are taken as points, its 1 faces are not used" in capsys.readouterr().err


WRONG = {
    "a.ply": [
        b"plx\n",
        b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\n2\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 9000000000\nproperty float x\nproperty float y\n"
        b"property float z\nend_header\nabc",
        b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"
        b"property float z\nend_header\n1 2\n",
        b"ply\nformat ascii 1.0\nelement vertex x\nend_header\n",
        b"ply\nformat ascii 1.0\nelement face 0\nelement vertex 0\nend_header\n",
    ],
    "a.xyz": [b"", b"one two three\n", b"1 2 3\n4 5 six\n", b"nan nan nan\n", b"\xff\xfe\x00\x01"],
    "a.npy": [b"", b"\x80\x04.", b"\x93NUMPY\x01\x00"],
    "a.npz": [b"PK", b""],
    "a.obj": [b"v 0 0 0\n"],
}


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, cases in WRONG.items() for data in cases])
def test_what_is_no_cloud_is_refused(name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=name):
        read_cloud(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputMissing):
        read_cloud(tmp_path / "none.ply")


@pytest.mark.parametrize("arrays", [{"a": np.zeros((2, 3)), "b": np.zeros((2, 3))}, {"points": np.zeros((2, 4))}])
def test_an_archive_without_points(arrays, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput):
        read_cloud(tmp_path / "a.npz")

"""Captures as programs that find cameras write them: the same views, to the last digit, and damage that is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captures import View
from written_formats import (
    ONE_FOCAL,
    SKEWED,
    VIEWS,
    K,
    alicevision,
    assert_pixels,
    assert_views,
    metashape,
    metashape_text,
    openmvg,
    shots,
    write_photos,
)

from taichi_idr.capture.distortion import distorted
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.formats.source import FoundView
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput, InputMissing, TidrError

PROGRAMS: dict[str, tuple[Callable[..., None], np.ndarray, str, str]] = {
    "openmvg": (openmvg, ONE_FOCAL, "OpenMVG", "sfm_data.json"),
    "alicevision": (alicevision, K, "AliceVision", "cameras.sfm"),
    "metashape": (metashape, SKEWED, "Metashape", "cameras.xml"),
}
"""Writer, what intrinsics it can tell, the format's name, and its file."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_photos(tmp_path / "balls", shots())
    return tmp_path / "balls"


def photographed(folder: Path, name: str) -> list[View]:
    """The capture in that format, with photos of the intrinsics that it can tell."""
    write, intrinsics, _, _ = PROGRAMS[name]
    views = shots(intrinsics)
    write_photos(folder, views)
    write(folder, views)
    return views


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_tells_the_same_views(folder: Path, name: str) -> None:
    views = photographed(folder, name)
    assert find_capture(folder).format == PROGRAMS[name][2]
    capture = read_capture(folder)
    assert capture.names == [f"r_{index}" for index in range(VIEWS)]
    assert_views(capture, views)
    assert_pixels(capture, views)


@pytest.mark.parametrize("version", [(1, 0, 0), (1, 2, 0), (1, 2, 1), (1, 2, 3), (1, 2, 8), (1, 2, 11), (1, 2, 14)])
def test_each_version_of_alicevision_means_its_own(folder: Path, version: tuple[int, int, int]) -> None:
    views = shots(ONE_FOCAL if version == (1, 0, 0) else K)
    alicevision(folder, views, version)
    assert_views(read_capture(folder), views)


def test_alicevision_s_own_sample_scenes(folder: Path) -> None:
    """One scene of AliceVision's compatibilityData (fx 1000, fy 2000) as versions 1.2.8 and 1.2.14 wrote it."""
    for version, focal in (("8", "8.7976539589442808"), ("14", "17.595307917888562")):
        alicevision(folder, shots())
        tree = json.loads((folder / "cameras.sfm").read_text())
        tree["version"] = ["1", "2", version]
        sample = {
            "width": "4092", "height": "2048", "sensorWidth": "36", "focalLength": focal, "pixelRatio": "2",
            "principalPoint": ["-26", "16"], "distortionType": "radialk3", "undistortionType": "none",
            "distortionParams": ["0.10000000000000001", "0.050000000000000003", "-0.001"],
        }  # fmt: skip
        tree["intrinsics"][0] = {"intrinsicId": "77", "type": "pinhole", **sample}
        (folder / "cameras.sfm").write_text(json.dumps(tree))
        view = find_capture(folder).views[0]
        pinhole = view.pinhole
        assert (pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy) == pytest.approx((1000, 2000, 2020, 1040), abs=1e-9)
        assert view.lens.coefficients == (0.1, 0.05, 0.0, 0.0, -0.001)


def brown(x: float, y: float, k: tuple[float, ...], p1: float, p2: float) -> tuple[float, float]:
    """p1 and p2 as OpenCV has them; k: of r^2, r^4 ..."""
    square = x * x + y * y
    radial = 1 + sum(value * square ** (power + 1) for power, value in enumerate(k))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    return bent_x, y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y


def fisheye(x: float, y: float, k: tuple[float, ...]) -> tuple[float, float]:
    radius = np.hypot(x, y)
    angle = np.arctan(radius)
    bent = angle * (1 + sum(value * angle ** (2 * power + 2) for power, value in enumerate(k)))
    return x * bent / radius, y * bent / radius


FOUR, FIVE = (-0.1, 0.02, 0.01, 0.004), (-0.1, 0.02, 0.01, 0.003, -0.002)
RAY = (0.3, -0.2)
LENSES: dict[str, tuple[Callable[..., None], tuple[Any, ...], dict[str, Any], tuple[float, float]]] = {
    "openmvg_k1": (openmvg, ("pinhole_radial_k1",), {"disto_k1": [-0.1]}, brown(*RAY, (-0.1,), 0, 0)),
    "openmvg_k3": (openmvg, ("pinhole_radial_k3",), {"disto_k3": FOUR[:3]}, brown(*RAY, FOUR[:3], 0, 0)),
    "openmvg_brown": (openmvg, ("pinhole_brown_t2",), {"disto_t2": FIVE}, brown(*RAY, FIVE[:3], *FIVE[3:])),
    "openmvg_fisheye": (openmvg, ("fisheye",), {"fisheye": FOUR}, fisheye(*RAY, FOUR)),
    "alicevision_radial1": (
        alicevision, ((1, 2, 6),), {"type": "radial1", "distortionParams": ["-0.1"]}, brown(*RAY, (-0.1,), 0, 0),
    ),
    "alicevision_brown": (
        alicevision, ((1, 2, 8),), {"distortionType": "brown", "distortionParams": [*map(str, FIVE)]},
        brown(*RAY, FIVE[:3], *FIVE[3:]),
    ),
    "alicevision_fisheye": (
        alicevision, ((1, 0, 0),), {"type": "fisheye4", "distortionParams": [*map(str, FOUR)]}, fisheye(*RAY, FOUR),
    ),
    "metashape_frame": (
        metashape, ("frame",), {"k1": -0.1, "k2": 0.02, "k3": 0.01, "k4": 0.004, "p1": 0.003, "p2": -0.002},
        brown(*RAY, FOUR, -0.002, 0.003),
    ),
    "metashape_fisheye": (
        metashape, ("fisheye",), dict(zip(("k1", "k2", "k3", "k4"), FOUR, strict=True)), fisheye(*RAY, FOUR),
    ),
}  # fmt: skip
"""Writer, its arguments, the lens as it writes it, and where that bends RAY to."""


@pytest.mark.parametrize("name", LENSES)
def test_lenses_bend_as_the_program_s_do(folder: Path, name: str) -> None:
    write, arguments, lens, expected = LENSES[name]
    write(folder, shots(ONE_FOCAL), *arguments, **lens)
    view: FoundView = find_capture(folder).views[0]
    bent = distorted(view.lens, np.array([RAY[0]]), np.array([RAY[1]]))
    np.testing.assert_allclose(np.ravel(bent), expected, rtol=0, atol=1e-12)
    capture = read_capture(folder)
    assert any("lens distortion is removed from 6 of 6 photos" in warning for warning in capture.warnings)


def test_photos_without_a_pose_are_left_out_and_said(folder: Path) -> None:
    openmvg(folder, shots(ONE_FOCAL))
    edit(folder, lambda tree: tree["extrinsics"].pop(2))
    assert "1 of 6 photos have no pose in sfm_data.json and are left out" in read_capture(folder).warnings
    (folder / "sfm_data.json").unlink()
    alicevision(folder, shots())
    edit(folder, lambda tree: (tree["poses"].pop(2), tree["poses"].pop(2)))
    assert "2 of 6 photos have no pose in cameras.sfm and are left out" in read_capture(folder).warnings
    (folder / "cameras.sfm").unlink()
    metashape(folder, shots())
    assert "1 of 7 photos have no pose in cameras.xml and are left out" in read_capture(folder).warnings


def test_photos_in_folders_are_found_by_the_end_of_their_path(folder: Path) -> None:
    views = shots(ONE_FOCAL)
    openmvg(folder, views)

    def change(tree: dict[str, Any]) -> None:
        for index, entry in enumerate(tree["views"]):
            data = entry["value"]["ptr_wrapper"]["data"]
            data |= {"local_path": "left" if index % 2 else "right", "filename": f"{index // 2}.png"}
            for part in ("images", "masks"):
                new = folder / part / data["local_path"] / data["filename"]
                new.parent.mkdir(exist_ok=True)
                (folder / part / f"r_{index}.png").rename(new)

    edit(folder, change)
    capture = read_capture(folder)
    assert capture.names == ["left_0", "left_1", "left_2", "right_0", "right_1", "right_2"]
    assert_views(capture, [views[index] for index in (1, 3, 5, 0, 2, 4)])


def test_an_object_that_cereal_shares_is_found(folder: Path) -> None:
    views = shots(ONE_FOCAL)
    openmvg(folder, views)
    edit(folder, lambda tree: tree["intrinsics"][1]["value"].update(ptr_wrapper={"id": 90}))
    assert_views(read_capture(folder), views)


def test_the_largest_of_several_components_is_taken(folder: Path) -> None:
    text = metashape_text(shots()).replace('component_id="0" label="r_0"', 'component_id="1" label="r_0"')
    (folder / "cameras.xml").write_text(text)
    capture = read_capture(folder)
    assert capture.names == [f"r_{index}" for index in range(1, VIEWS)]
    assert "2 components: the largest has 5 of 6 photos, the others are left out" in capture.warnings
    assert_views(capture, shots()[1:])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_metashape_s_encodings(folder: Path, encoding: str) -> None:
    views = shots(SKEWED)
    text = metashape_text(views)
    text = text.replace("UTF-8", "UTF-16") if encoding == "utf-16" else text
    (folder / "cameras.xml").write_bytes(text.encode(encoding))
    assert_views(read_capture(folder), views)


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = next(path for name in ("sfm_data.json", "cameras.sfm") if (path := folder / name).is_file())
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_file_cut_off_anywhere_is_refused(folder: Path, name: str) -> None:
    write, intrinsics, _, file = PROGRAMS[name]
    write(folder, shots(intrinsics))
    whole = (folder / file).read_bytes()
    for length in range(200, len(whole) - 4, 97):
        (folder / file).write_bytes(whole[:length])
        with pytest.raises(BadInput, match=file):
            find_capture(folder)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_damaged_file_is_never_a_bug_of_ours(folder: Path, name: str) -> None:
    write, intrinsics, _, file = PROGRAMS[name]
    write(folder, shots(intrinsics))
    whole, rng = (folder / file).read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (folder / file).write_bytes(bytes(damaged))
        try:
            find_capture(folder)
        except TidrError:
            continue


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_photo_that_is_not_there_is_named(folder: Path, name: str) -> None:
    write, intrinsics, _, file = PROGRAMS[name]
    write(folder, shots(intrinsics))
    (folder / "images" / "r_3.png").unlink()
    with pytest.raises(InputMissing, match=rf"no such photo \(.*{file}\): 1 of 6: r_3"):
        find_capture(folder)


@pytest.mark.parametrize("name", PROGRAMS)
def test_too_few_views_are_counted(folder: Path, name: str) -> None:
    write, intrinsics, _, _ = PROGRAMS[name]
    write(folder, shots(intrinsics)[:2])
    with pytest.raises(BadInput, match="2 photos have poses, at least 3 needed"):
        find_capture(folder)


def mvg_view(tree: dict[str, Any]) -> dict[str, Any]:
    return tree["views"][2]["value"]["ptr_wrapper"]["data"]


def mvg_camera(tree: dict[str, Any]) -> dict[str, Any]:
    return tree["intrinsics"][0]["value"]["ptr_wrapper"]["data"]


WRONG: dict[str, tuple[Callable[..., None], Callable[[dict[str, Any]], Any], str]] = {
    "mvg_no_data": (
        openmvg,
        lambda t: t["views"][2]["value"].pop("ptr_wrapper"),
        r"views\[2\].ptr_wrapper\): it has no",
    ),
    "mvg_twice": (openmvg, lambda t: t["views"].append(t["views"][0]), "0: expected one value for each number"),
    "mvg_no_list": (openmvg, lambda t: t.update(views=3), r"sfm_data.json: views\): expected a list of objects"),
    "mvg_type": (
        openmvg,
        lambda t: t["intrinsics"][0]["value"].update(polymorphic_name="spherical"),
        "unknown camera mod",
    ),
    "mvg_focal": (
        openmvg,
        lambda t: mvg_camera(t).update(focal_length=-1.0),
        r"intrinsics\[0\].focal_length\): -1, expec",
    ),
    "mvg_size": (openmvg, lambda t: mvg_camera(t).update(width=0), r"intrinsics\[0\].width"),
    "mvg_point": (openmvg, lambda t: mvg_camera(t).update(principal_point=[1]), "expected 2 finite numbers"),
    "mvg_turn": (
        openmvg,
        lambda t: t["extrinsics"][1]["value"].update(rotation=[[1, 0, 0]]),
        r"\[11\].rotation\): expec",
    ),
    "mvg_centre": (
        openmvg,
        lambda t: t["extrinsics"][1]["value"].update(center=[0, 1e300, 0]),
        r"extrinsics\[11\].center",
    ),
    "mvg_climbs": (openmvg, lambda t: mvg_view(t).update(filename="../../secret.png"), "leaves the capture's folder"),
    "mvg_nul": (openmvg, lambda t: mvg_view(t).update(filename="a\0b.png"), "bad file name"),
    "mvg_long": (openmvg, lambda t: mvg_view(t).update(filename="a" * 300), "bad file name"),
    "mvg_surrogate": (openmvg, lambda t: mvg_view(t).update(filename="\ud800.png"), "bad file name"),
    "mvg_one_photo": (openmvg, lambda t: mvg_view(t).update(filename="r_1.png"), r"two views of one photo.*r_1\.png"),
    "av_address": (
        alicevision,
        lambda t: t["views"][1].update(path="https://x/y.png"),
        r"bad file name \(.*views\[1001\]",
    ),
    "av_climbs": (alicevision, lambda t: t["views"][1].update(path="C:/../../s.png"), "leaves the capture's folder"),
    "av_nan": (alicevision, lambda t: t["intrinsics"][0].update(focalLength="nan"), r"\[77\].focalLength\): 'nan'"),
    "av_huge": (alicevision, lambda t: t["intrinsics"][0].update(focalLength="1e999"), r"\[77\].focalLength"),
    "av_ratio": (
        alicevision,
        lambda t: t["intrinsics"][0].update(pixelRatio="-1"),
        r"pixelRatio\): -1, expected a posit",
    ),
    "av_type": (alicevision, lambda t: t["intrinsics"][0].update(type="equidistant"), "unknown camera model"),
    "av_type_list": (alicevision, lambda t: t["intrinsics"][0].update(type=[[]]), "unknown camera model"),
    "av_lens": (
        alicevision,
        lambda t: t["intrinsics"][0].update(type="radial3"),
        r"distortionParams\): expected 3 finite",
    ),
    "av_rig": (alicevision, lambda t: t["views"][1].update(isPoseIndependant="false"), "a rig"),
    "av_twice": (alicevision, lambda t: t["poses"].append(t["poses"][0]), "'2000': expected one of each number"),
    "av_turn": (alicevision, lambda t: t["poses"][1]["pose"]["transform"].pop("rotation"), r"poses\[2001\].rotation"),
    "av_version": (alicevision, lambda t: t.update(version="1.2"), r"cameras.sfm: version\): expected 3 finite"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_named(folder: Path, fault: str) -> None:
    write, change, message = WRONG[fault]
    write(folder, shots(ONE_FOCAL))
    edit(folder, change)
    with pytest.raises(BadInput, match=message):
        find_capture(folder)


@pytest.mark.fault(38)
def test_a_mirrored_pose_is_refused(folder: Path) -> None:
    openmvg(folder, shots(ONE_FOCAL))
    edit(folder, lambda t: t["extrinsics"][0]["value"].update(rotation=np.diag([-1.0, 1, 1]).tolist()))
    with pytest.raises(BadInput, match=r"bad camera \(.*sfm_data.json: r_0.png\)"):
        read_capture(folder)


BOMB = '<!DOCTYPE document [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
XML_WRONG: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "bomb": (lambda text: text.replace("<document", f"{BOMB}<document"), "refused .*entities are not read"),
    "bomb_utf16": (lambda text: text.replace("<document", f"{BOMB}<document").encode("utf-16"), "refused"),
    "small_letters": (lambda text: text.replace("<document", f"{BOMB.lower()}<document"), "refused"),
    "external": (lambda text: text.replace("<document", '<!DOCTYPE document SYSTEM "x"><document'), "refused"),
    "latin": (lambda text: text.replace("r_0", "\xe9").encode("latin-1"), "neither UTF-8 nor UTF-16"),
    "utf7": (lambda text: text.replace("UTF-8", "UTF-7"), "encoding UTF-7"),
    "deep": (lambda text: text.replace("<sensors", "<a>" * 200_000 + "<sensors"), "too many elements in each other"),
    "two_chunks": (lambda text: text.replace("</document>", "<chunk/></document>"), "one chunk, found 2"),
    "no_sensor": (lambda text: text.replace('sensor id="3"', 'sensor id="4"'), "there is no sensor '3'"),
    "no_calibration": (lambda text: text.replace("calibration", "other"), r"no calibration \(.*sensor 3"),
    "nan": (lambda text: text.replace("<cx>", "<cx>nan"), r"bad numbers \(.*cameras.xml: sensor 3: cx"),
    "no_focal": (lambda text: text.replace("<f>", "<g>").replace("</f>", "</g>"), r"sensor 3: f\): 0, expected a posi"),
    "row": (lambda text: text.replace("0.0 0.0 0.0 1.0", "0.0 0.0 0.0 2.0"), "bad matrix"),
    "short": (lambda text: text.replace("0.0 0.0 0.0 1.0", ""), r"camera 0 'r_0': transform\): expected 16 finite"),
    "p3": (lambda text: text.replace("<cx>", "<p3>0.1</p3><cx>"), "unknown camera model"),
    "spherical": (lambda text: text.replace('type="frame">', 'type="spherical">'), "unknown camera model"),
    "climbs": (lambda text: text.replace('label="r_0"', 'label="../r_0"'), "leaves the capture's folder"),
    "no_xml": (lambda text: text + "<", "not XML"),
}


@pytest.mark.parametrize("fault", XML_WRONG)
@pytest.mark.fault(50)
def test_what_is_wrong_in_xml_is_named(folder: Path, fault: str) -> None:
    change, message = XML_WRONG[fault]
    text = change(metashape_text(shots()))
    (folder / "cameras.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput, match=message):
        find_capture(folder)


def test_xml_of_others_is_passed_over(folder: Path) -> None:
    (folder / "notes.xml").write_text("<notes/>")
    with pytest.raises(InputMissing, match="no camera file"):
        find_capture(folder)


def test_photos_outside_are_found_where_that_is_allowed(folder: Path, tmp_path: Path) -> None:
    from taichi_idr.types import CaptureReading

    views = shots(ONE_FOCAL)
    openmvg(folder, views)
    (folder / "images").rename(tmp_path / "elsewhere")
    edit(folder, lambda tree: tree.update(root_path=str(tmp_path / "elsewhere")))
    with pytest.raises(InputMissing, match="no such photo"):
        find_capture(folder)
    assert_views(read_capture(folder, CaptureReading(allow_outside=True)), views)


@pytest.mark.fault(43)
def test_links_out_of_the_capture_are_refused(folder: Path, tmp_path: Path) -> None:
    openmvg(folder, shots(ONE_FOCAL))
    (folder / "images" / "r_2.png").rename(tmp_path / "secret.png")
    (folder / "images" / "r_2.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BadInput, match=r"r_2\.png\): it leaves the capture's folder"):
        find_capture(folder)

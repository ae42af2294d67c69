"""Cameras that Agisoft Metashape (once PhotoScan) exports as XML.

A camera's `<transform>` is camera -> chunk with OpenCV's axes, row by row; that of its component, or of the chunk, is
chunk -> world: a rotation, a scale and a shift. With x, y on the plane at distance one, bent by the lens, a pixel is
(width / 2 + cx + f x + b1 x + b2 y, height / 2 + cy + f y), counted from the corner of the first one. The radial terms
reach to r^8; p1 and p2 are OpenCV's p2 and p1 (user manual, appendix on camera models). XML is read without entities
and without document types, of which an export has none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ...errors import BadInput
from ...files.reading import head_of, whole
from ...types import CaptureReading
from .gathering import Wanted, find_photo, first_of, gathered
from .source import (
    CORNER_CENTRE,
    IMAGE_FOLDERS,
    FoundView,
    Layout,
    Lens,
    Pinhole,
    folder_of,
    list_images,
)
from .strict import Rows, Vector, as_rows, numbers, positive, product, side, times

FORMAT = "Metashape"
MOST_BYTES = 64 << 20
HEAD_BYTES = 1 << 16
DEEPEST = 64
"""Elements in each other; an export has about ten."""
_ENCODING = re.compile(r"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_TODO = "export the cameras anew with Metashape, as Agisoft XML"
_UNIT: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
Similarity = tuple[float, Rows, Vector]
"""Scale, rotation and shift."""


def recognised(folder: Path) -> bool:
    return bool(_files(folder))


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos with a pose, of the largest component. Raises InputMissing: photos that are not there; BadInput."""
    file, warnings = first_of(_files(folder))
    wanted, chunk = Wanted(folder, reading, fewest_views, need_masks), _chunk(file)
    cameras = [one for one in chunk.iterfind("./cameras//camera") if one.get("enabled", "1") not in ("0", "false")]
    posed = [camera for camera in cameras if camera.find("transform") is not None]
    kept, more = _largest_component(posed)
    sensors = _sensors(chunk, {camera.get("sensor_id", "") for camera in kept}, file)
    frames = _frames(chunk, {camera.get("component_id", "") for camera in kept}, file)
    names = _labels(folder)
    views = [_view(camera, f"{file}: {_told(camera)}", sensors, frames, names, wanted) for camera in kept]
    return gathered(FORMAT, file, views, wanted, without_pose=len(cameras) - len(posed), warnings=[*warnings, *more])


def _files(folder: Path) -> list[Path]:
    """XML files whose first element is Metashape's; UTF-16 has a zero in each pair of bytes."""
    return [path for path in sorted(folder.glob("*.xml")) if path.is_file() and b"<document" in _head(path)]


def _head(path: Path) -> bytes:
    return head_of(path, HEAD_BYTES).replace(b"\0", b"").replace(b"<!DOCTYPE ", b"<")


def _chunk(file: Path) -> Element:
    """The chunk of a document. Raises BadInput."""
    root = _parsed(_decoded(file), file)
    chunks = root.findall("chunk") if root.tag == "document" else []
    if len(chunks) != 1:
        why = f"expected a document of one chunk, found {len(chunks)}"
        raise BadInput("bad Metashape file", where=file, why=why, todo="export one chunk")
    return chunks[0]


def _decoded(file: Path) -> str:
    """UTF-8 or, with its mark, UTF-16; without document type. Raises BadInput."""
    data = whole(file, MOST_BYTES, todo=_TODO)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInput("bad Metashape file", where=file, why="it is neither UTF-8 nor UTF-16", todo=_TODO) from error
    declared = _ENCODING.match(text.lstrip())
    if declared and declared[1].lower() not in ("utf-8", "utf-16", "us-ascii", "ascii"):
        raise BadInput("bad Metashape file", where=file, why=f"encoding {declared[1]}", todo=_TODO)
    if re.search(r"<!\s*(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", text, re.IGNORECASE):
        raise BadInput("refused", where=file, why="document types and entities are not read", todo=_TODO)
    return text


class _Bounded(ElementTree.TreeBuilder):
    """Refuses elements in each other before there are many."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.depth = file, 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self.depth += 1
        if self.depth > DEEPEST:
            raise BadInput("bad Metashape file", where=self.file, why="too many elements in each other", todo=_TODO)
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self.depth -= 1
        return super().end(tag)


def _parsed(text: str, file: Path) -> Element:
    parser = ElementTree.XMLParser(target=_Bounded(file))
    try:
        parser.feed(text)
        return parser.close()
    except ElementTree.ParseError as error:
        raise BadInput("not XML", where=file, why=str(error), todo=_TODO) from error


def _largest_component(cameras: Sequence[Element]) -> tuple[list[Element], list[str]]:
    """Components are aligned each for itself: two have no frame in common."""
    counts = Counter(camera.get("component_id", "") for camera in cameras)
    if len(counts) < 2:
        return list(cameras), []
    (largest, count), *_ = counts.most_common(1)
    warning = f"{len(counts)} components: the largest has {count} of {len(cameras)} photos, the others are left out"
    return [camera for camera in cameras if camera.get("component_id", "") == largest], [warning]


def _sensors(chunk: Element, used: set[str], file: Path) -> dict[str, tuple[Pinhole, Lens]]:
    found: dict[str, tuple[Pinhole, Lens]] = {}
    for sensor in chunk.iterfind("./sensors/sensor"):
        key = sensor.get("id", "")
        where = f"{file}: sensor {key:.20}"
        if key in found:
            raise BadInput("bad Metashape file", where=where, why="it is there twice", todo=_TODO)
        if key in used:
            found[key] = _sensor(sensor, where)
    return found


def _sensor(sensor: Element, where: str) -> tuple[Pinhole, Lens]:
    """Of calibrations the adjusted one; the other is what the adjustment began with."""
    found = sensor.findall("calibration")
    calibration = next((one for one in found if one.get("class") == "adjusted"), found[-1] if found else None)
    if calibration is None:
        raise BadInput("no calibration", where=where, why="its cameras were not aligned", todo=_TODO)
    resolution = calibration.find("resolution")
    resolution = sensor.find("resolution") if resolution is None else resolution
    size = [] if resolution is None else [resolution.get("width"), resolution.get("height")]
    width, height = (side(one, where, _TODO) for one in numbers(size, 2, where, _TODO, text=True))
    value = _values(calibration, where)
    f, b1, b2 = positive(value["f"], f"{where}: f", _TODO), value["b1"], value["b2"]
    cx, cy = width / 2 + value["cx"] - CORNER_CENTRE, height / 2 + value["cy"] - CORNER_CENTRE
    pinhole = Pinhole(positive(f + b1, f"{where}: b1", _TODO), f, cx, cy, width, height, skew=b2)
    return pinhole, _lens(sensor.get("type", "frame"), value, where)


def _values(calibration: Element, where: str) -> dict[str, float]:
    """Of all that a calibration can hold; 0 where it does not. Raises BadInput."""
    found: dict[str, float] = {}
    for name in ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4"):
        text = calibration.findtext(name, "0").strip()
        (found[name],) = numbers([text], 1, f"{where}: {name}", _TODO, text=True)
    return found


def _lens(kind: str, value: Mapping[str, float], where: str) -> Lens:
    """Raises BadInput for a lens that OpenCV's models do not hold."""
    k1, k2, k3, k4, p1, p2 = (value[name] for name in ("k1", "k2", "k3", "k4", "p1", "p2"))
    bent_more = value["p3"] or value["p4"]
    if kind == "fisheye" and not (p1 or p2 or bent_more):
        return Lens((k1, k2, k3, k4), fisheye=True)
    if kind != "frame" or bent_more:
        why = f"{kind:.40} with p1 to p4" if bent_more or kind == "fisheye" else f"{kind:.40}"
        raise BadInput("unknown camera model", where=where, why=why, todo="undistort the photos with Metashape")
    return Lens((k1, k2, p2, p1, k3, 0.0, 0.0, 0.0, k4))


def _frames(chunk: Element, used: set[str], file: Path) -> dict[str, Similarity]:
    """Chunk -> world for each component: its own transform, else the chunk's, else none."""
    own = {one.get("id", ""): one.find("transform") for one in chunk.iterfind("./components/component")}
    found = {}
    for key in used:
        element = own.get(key)
        element = chunk.find("transform") if element is None else element
        found[key] = _similarity(element, f"{file}: transform of component {key:.20}")
    return found


def _similarity(element: Element | None, where: str) -> Similarity:
    parts = {"rotation": 9, "translation": 3, "scale": 1}
    found: dict[str, list[float]] = {}
    for name, count in parts.items():
        words = element.findtext(name, "").split() if element is not None else []
        if words:
            found[name] = numbers(words, count, f"{where}: {name}", _TODO, text=True)
    x, y, z = found.get("translation", [0.0, 0.0, 0.0])
    scale = positive(found.get("scale", [1.0])[0], f"{where}: scale", _TODO, 1e-9)
    return scale, as_rows(found["rotation"]) if "rotation" in found else _UNIT, (x, y, z)


def _labels(folder: Path) -> dict[str, str]:
    """Photos' names by name and by stem: labels may lack the suffix."""
    place = folder_of(folder, IMAGE_FOLDERS)
    photos = list_images(place if place.is_dir() else folder, "image")
    return {path.stem: path.name for path in photos} | {path.name: path.name for path in photos}


def _told(camera: Element) -> str:
    return f"camera {camera.get('id', '')} {camera.get('label', '')!r:.60}"


def _view(
    camera: Element,
    where: str,
    sensors: Mapping[str, tuple[Pinhole, Lens]],
    frames: Mapping[str, Similarity],
    names: Mapping[str, str],
    wanted: Wanted,
) -> FoundView:
    sensor, label = camera.get("sensor_id", ""), camera.get("label", "")
    if sensor not in sensors:
        raise BadInput("bad Metashape file", where=where, why=f"there is no sensor {sensor!r:.20}", todo=_TODO)
    image = find_photo(wanted, names.get(label, label), where, _TODO)
    words = camera.findtext("transform", "").split()
    entries = numbers(words, 16, f"{where}: transform", _TODO, text=True)
    if entries[12:] != [0, 0, 0, 1]:
        why = f"last row {entries[12:]}, expected 0 0 0 1"
        raise BadInput("bad matrix", where=where, why=why, todo=_TODO)
    scale, R_world_chunk, shift = frames[camera.get("component_id", "")]
    R_chunk_camera = as_rows([entries[row * 4 + column] for row in range(3) for column in range(3)])
    turned = times(R_world_chunk, [entries[3], entries[7], entries[11]])
    x, y, z = (scale * value + offset for value, offset in zip(turned, shift, strict=True))
    pinhole, lens = sensors[sensor]
    return FoundView(image, product(R_world_chunk, R_chunk_camera), (x, y, z), pinhole, lens)

"""What is asked of a mesh, in plain numbers: it is checked before anything heavy is imported."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import UsageError
from .scale import KnownDistance, PrintedMarker
from .units import Unit

LEAST_FACES, LEAST_TEXELS, MOST_TEXELS = 100, 64, 16384
FORMATS = {"glb": ".glb", "obj": ".obj", "ply": ".ply", "stl": ".stl", "usd": ".usdz"}
TEXTURED = (".glb", ".obj", ".usdz")

TextureSize = int | Literal["auto", "off"]
TextureSource = Literal["field", "photos"]
Box = tuple[float, float, float, float, float, float]
"""x, y, z of the least corner, then of the greatest."""
HalfSpace = tuple[float, float, float, float]
"""A unit normal n and d: points x with n . x >= d."""


@dataclass(frozen=True)
class Cut:
    """What is kept of the world: what lies in the box, and in all of the half spaces."""

    box: Box | None = None
    planes: tuple[HalfSpace, ...] = ()

    def __bool__(self) -> bool:
        return self.box is not None or bool(self.planes)


@dataclass(frozen=True)
class Placing:
    """up: axis that what is up in the photos becomes, None where vertices are not turned; unit: that lengths are
    written in; world_unit: what the capture's unit is; known: distances that tell it; marker: in the photos, that does
    too."""

    up: Literal["y", "z"] | None = None
    unit: Unit | None = None
    world_unit: Unit | None = None
    known: tuple[KnownDistance, ...] = ()
    marker: PrintedMarker | None = None

    def __post_init__(self) -> None:
        if self.known and self.marker:
            raise UsageError("two scales", where="--scale-points, --marker", todo="leave one out")


@dataclass(frozen=True)
class LightOptions:
    """faces: at most, None for all that the fine mesh has. texture: texels along the longer side; auto: as fine as the
    photos, 4096 at most; off: colours at vertices. source: of the texture's colours. suffixes: of the files."""

    faces: int | None = 200_000
    texture: TextureSize = "auto"
    normal_map: bool = False
    source: TextureSource = "field"
    suffixes: tuple[str, ...] = (".glb",)

    def __post_init__(self) -> None:
        if self.faces is not None and self.faces < LEAST_FACES:
            raise UsageError(
                "too few faces", where=f"--faces {self.faces}", todo=f"give at least {LEAST_FACES}, or all"
            )
        if isinstance(self.texture, int) and not LEAST_TEXELS <= self.texture <= MOST_TEXELS:
            todo = f"give {LEAST_TEXELS} to {MOST_TEXELS}, auto or off"
            raise UsageError("no such texture", where=f"--texture {self.texture}", todo=todo)
        if self.normal_map and self.texture == "off":
            raise UsageError("a normal map is a texture", where="--normal-map --texture off", todo="leave one out")

    @property
    def has_texture(self) -> bool:
        """Whether a file is asked for that can show one."""
        return self.texture != "off" and any(suffix in TEXTURED for suffix in self.suffixes)


def parsed_faces(text: str) -> int | None:
    """`200k`, `1.5M`, `20000`, `all`. Raises UsageError."""
    if text == "all":
        return None
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)([kM]?)", text)
    if match is None:
        raise UsageError("no number of faces", where=f"--faces {text}", todo="give a number, such as 200k, or all")
    return round(float(match[1]) * {"": 1, "k": 1_000, "M": 1_000_000}[match[2]])


def parsed_texture(text: str) -> TextureSize:
    """A number of texels, `auto`, `off`. Raises UsageError."""
    if text == "auto" or text == "off":
        return text
    if not re.fullmatch(r"\d{1,9}", text):
        raise UsageError("no such texture", where=f"--texture {text}", todo="give a number of texels, auto or off")
    return int(text)


def parsed_formats(text: str) -> tuple[str, ...]:
    """`glb,obj`: their suffixes. Raises UsageError."""
    names = text.split(",")
    for name in names:
        if name not in FORMATS:
            raise UsageError("unknown mesh format", where=f"--format {name}", todo=f"choose of {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(FORMATS[name] for name in names))


def parsed_cut(box: str | None, planes: Sequence[str]) -> Cut:
    """`x,y,z,x,y,z` and `nx,ny,nz,d`. Raises UsageError."""
    return Cut(None if box is None else _parsed_box(box), tuple(_parsed_plane(text) for text in planes))


def _parsed_box(text: str) -> Box:
    x, y, z, to_x, to_y, to_z = _numbers(text, 6, "--box")
    if not (x < to_x and y < to_y and z < to_z):
        raise UsageError("an empty box", where=f"--box {text}", todo="give the corner with the least numbers first")
    return x, y, z, to_x, to_y, to_z


def _parsed_plane(text: str) -> HalfSpace:
    x, y, z, offset = _numbers(text, 4, "--plane")
    length = math.hypot(x, y, z)
    if not length > 0:
        raise UsageError("no plane", where=f"--plane {text}", why="its normal has no length")
    return x / length, y / length, z / length, offset / length


def _numbers(text: str, count: int, option: str) -> list[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"not {count} numbers", where=f"{option} {text}", todo="separate them by commas")
    return numbers

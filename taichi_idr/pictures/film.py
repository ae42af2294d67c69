"""MP4 films without a bundled encoder under the GPL.

Pillow writes animated AVIF, which is AV1 (encoded by libaom, BSD) in the same ISO base media file format as
MP4 (ISO/IEC 14496-12): one track of samples. What makes it a picture is its brand, a handler called `pict`,
and a repetition for ever; changed in place, it is a film that browsers and players take.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from ..errors import Unavailable
from ..files.writing import atomic_write

QUALITY = 80  # of 100
SPEED = 8  # of 10: about 40 ms a frame of 800 x 600 on two cores
BRANDS = b"isom" + struct.pack(">I", 512) + b"isom" + b"iso8" + b"mp42" + b"av01"
_CONTAINERS = (b"moov", b"trak", b"edts", b"mdia")


def write_film(path: Path, frames: Sequence[np.ndarray], frames_per_second: float = 30.0) -> None:
    """Write frames (H, W, 3) uint8, all of one size, as MP4 (AV1). Raises Unavailable, WriteFailed."""
    if not features.check("avif"):
        why = "this Pillow was built without AVIF"
        raise Unavailable("cannot write films", where=path, why=why, todo="pip install 'pillow>=11.3'")
    first, *others = (Image.fromarray(frame) for frame in frames)
    animation = io.BytesIO()
    pause = max(round(1000 / frames_per_second), 1)
    options: dict[str, Any] = {"duration": pause, "quality": QUALITY, "speed": SPEED}
    # A single frame would be saved as a still picture, which has no track: show it twice.
    first.save(animation, "AVIF", save_all=True, append_images=others or [first], **options)
    atomic_write(path, film_from_animation(animation.getvalue()))


def film_from_animation(avif: bytes) -> bytes:
    """The MP4 file made of an AVIF image sequence; no byte moves, so that the samples stay where the track
    says."""
    data = bytearray(avif)
    boxes = {kind: (start, end) for kind, start, end in _boxes(data, 0, len(data))}
    start, end = boxes[b"ftyp"]
    spare = end - start - len(BRANDS)
    data[start:end] = BRANDS + b"iso6" * (spare // 4)
    meta = boxes[b"meta"][0]  # describes the first frame as a still picture
    data[meta - 4 : meta] = b"free"
    duration = data[boxes[b"mdhd"][0] + 24 :][:8]
    _put(data, boxes[b"mvhd"][0] + 24, duration)
    _put(data, boxes[b"tkhd"][0] + 28, duration)
    _put(data, boxes[b"tkhd"][0] + 1, b"\0\0\3")  # enabled, in the movie
    _put(data, boxes[b"hdlr"][0] + 8, b"vide")
    if b"elst" in boxes:
        _put(data, boxes[b"elst"][0] + 1, b"\0\0\0")  # do not repeat
    return bytes(data)


def _boxes(data: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind and content span of every box, and of the boxes in the track's containers."""
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        yield kind, start + 8, start + size
        if kind in _CONTAINERS:
            yield from _boxes(data, start + 8, start + size)
        start += size


def _put(data: bytearray, place: int, content: bytes | bytearray) -> None:
    data[place : place + len(content)] = content

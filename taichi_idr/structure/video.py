"""A video as plain photos: the sharpest frame of each of its stretches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..files.reading import head_of
from .features import opencv
from .files import FEWEST
from .plain import LONGER_SIDE, sharpness

FRAMES = 60  # at most, evenly over the video: all pairs of so many are matched
CANDIDATES = 5  # frames looked at for each
QUALITY = 95  # of JPEG: the video has lost more
_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_TODO = "convert it to MP4 (H.264), or give a folder of photos"


def write_frames(video: Path, folder: Path) -> list[Path]:
    """The sharpest frames as JPEG, upright, named by their number in the video.

    Raises Unavailable without OpenCV; BadInput: no video, or too short.
    """
    kept: dict[int, tuple[float, Path]] = {}
    for stretch, number, frame in _candidates(video):
        sharp = _sharpness(frame)
        before, old = kept.get(stretch, (-1.0, None))
        if sharp <= before:
            continue
        if old is not None:
            old.unlink()
        file = folder / f"frame_{number:05d}.jpg"
        frame.save(file, quality=QUALITY, subsampling=0)
        kept[stretch] = sharp, file
    if len(kept) < FEWEST:
        why = f"{len(kept)} frames can be read, at least {FEWEST} needed"
        raise BadInput("too short a video", where=video, why=why, todo="walk once around the object")
    return [file for _, file in kept.values()]


def _candidates(video: Path) -> Iterator[tuple[int, int, Image.Image]]:
    """Stretch, number and picture of the frames to choose from."""
    cv2 = opencv()
    _refuse_lists(video)
    film = cv2.VideoCapture(str(video))
    try:
        count = int(film.get(cv2.CAP_PROP_FRAME_COUNT)) if film.isOpened() else 0
        if count <= 0:
            raise BadInput("unreadable video", where=video, why="no frame can be decoded", todo=_TODO)
        stretches = min(FRAMES, count)
        places = (np.arange(stretches * CANDIDATES) + 0.5) * count / (stretches * CANDIDATES)
        wanted = {int(place): number // CANDIDATES for number, place in enumerate(places)}
        for number in range(count):
            if not film.grab():
                return
            if number in wanted:
                whole, frame = film.retrieve()
                if whole:
                    yield wanted[number], number, Image.fromarray(np.ascontiguousarray(frame[..., ::-1]))
    finally:
        film.release()


def _refuse_lists(video: Path) -> None:
    """Raises BadInput for what is no MP4, MOV, AVI, MKV or WebM: FFmpeg takes a list of other files, by whatever name,
    for a video, and opens them."""
    head = head_of(video, 12)
    if head[4:8] not in _ATOMS and head[:4] not in (b"RIFF", b"\x1aE\xdf\xa3"):
        raise BadInput("unreadable video", where=video, why="it is no video by its first bytes", todo=_TODO)


def _sharpness(frame: Image.Image) -> float:
    grey = frame.convert("L")
    grey.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.BOX)
    return sharpness(np.asarray(grey, np.float32))

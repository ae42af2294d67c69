"""Films: an MP4 with one video track, whose samples decode to the frames."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from taichi_idr.errors import ExitCode, Unavailable
from taichi_idr.pictures import film

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
CODING_ERROR = 3.0  # mean of |difference| out of 255; measured 0.9


def moving_square(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    frames = np.full((count, height, width, 3), (30, 90, 160), np.uint8)
    for index, frame in enumerate(frames):
        frame[10:30, 4 * index : 4 * index + 20] = (220, 180, 40)
    return list(frames)


def boxes(data: bytes) -> dict[bytes, bytes]:
    held = bytearray(data)
    return {kind: data[start:end] for kind, start, end in film._boxes(held, 0, len(held))}


@pytest.mark.parametrize("count", [1, 2, 7])
def test_film_is_an_mp4_of_finite_length(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.mp4"
    film.write_film(path, moving_square(count), frames_per_second=25)
    found = boxes(path.read_bytes())
    assert found[b"ftyp"].startswith(b"isom")
    assert b"av01" in found[b"ftyp"] and b"avi" not in found[b"ftyp"]
    assert found[b"hdlr"][8:12] == b"vide"
    timescale = int.from_bytes(found[b"mdhd"][20:24], "big")
    seconds = max(count, 2) / 25
    for place in (found[b"mdhd"][24:32], found[b"mvhd"][24:32], found[b"tkhd"][28:36]):
        assert int.from_bytes(place, "big") / timescale == pytest.approx(seconds)
    assert b"meta" not in found


def test_samples_decode_to_the_frames(tmp_path: Path) -> None:
    path, frames = tmp_path / "a.mp4", moving_square(7)
    film.write_film(path, frames)
    data = bytearray(path.read_bytes())
    data[8:12] = b"avis"  # the brand that Pillow looks for
    with Image.open(io.BytesIO(data)) as decoded:
        assert getattr(decoded, "n_frames", 1) == len(frames)
        for index, frame in enumerate(frames):
            decoded.seek(index)
            difference = np.asarray(decoded.convert("RGB")).astype(float) - frame
            assert np.abs(difference).mean() < CODING_ERROR


def test_odd_sizes_are_taken(tmp_path: Path) -> None:
    film.write_film(tmp_path / "a.mp4", moving_square(3, 47, 61))
    assert (tmp_path / "a.mp4").stat().st_size > 0


def test_without_an_encoder_it_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(Unavailable, match=r"pip install 'pillow>=11.3'") as refused:
        film.write_film(tmp_path / "a.mp4", moving_square(2))
    assert refused.value.exit_code == ExitCode.UNAVAILABLE
    assert not (tmp_path / "a.mp4").exists()

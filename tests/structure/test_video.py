"""A video's sharpest frames."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from videos import write_clip

from taichi_idr.capture.formats.source import size_of
from taichi_idr.errors import BadInput, Unavailable
from taichi_idr.structure import video
from taichi_idr.structure.files import is_plain, name_of
from taichi_idr.structure.video import CANDIDATES, write_frames

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
SIZE = 96, 128
STRETCHES = 10


def frames(count: int, sharp: set[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = ndimage.gaussian_filter(rng.uniform(0, 255, (*SIZE, 3)), (0.7, 0.7, 0))
    coarse = np.clip((coarse - 127) * 2 + 127, 0, 255)
    blurred = ndimage.gaussian_filter(coarse, (2.5, 2.5, 0))
    return [(coarse if number in sharp else blurred).astype(np.uint8) for number in range(count)]


@needs_opencv
def test_the_sharp_frame_of_each_stretch_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", STRETCHES)
    sharp = {CANDIDATES * stretch + (3 * stretch) % CANDIDATES for stretch in range(STRETCHES)}
    clip = write_clip(tmp_path / "clip.mp4", frames(STRETCHES * CANDIDATES, sharp))
    found = write_frames(clip, tmp_path)
    assert [path.name for path in found] == [f"frame_{number:05d}.jpg" for number in sorted(sharp)]
    assert sorted(tmp_path.glob("*.jpg")) == found
    assert size_of(found[0]) == SIZE[::-1]


@needs_opencv
def test_colours_are_in_order(tmp_path):
    red = np.zeros((*SIZE, 3), np.uint8)
    red[..., 0] = 200
    found = write_frames(write_clip(tmp_path / "red.mp4", [red] * 12), tmp_path)
    assert len(found) == 12
    with Image.open(found[0]) as frame:
        shown = np.asarray(frame)
    assert shown.mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=12)


@needs_opencv
def test_what_is_no_video_or_too_short_is_refused(tmp_path, capfd):
    (tmp_path / "text.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(BadInput, match="unreadable video"):
        write_frames(tmp_path / "text.mp4", tmp_path)
    clip = write_clip(tmp_path / "short.mp4", frames(4, {1}))
    with pytest.raises(BadInput, match="too short"):
        write_frames(clip, tmp_path)
    whole = write_clip(tmp_path / "whole.mp4", frames(60, {1}))
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(BadInput, match=r"cut\.mp4"):
        write_frames(tmp_path / "cut.mp4", tmp_path)
    assert capfd.readouterr().err == ""


@needs_opencv
@pytest.mark.fault(74)
@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile '{}'\n", "v=0\nc=IN IP4 10.0.0.1\n"]
)
def test_a_list_of_other_files_is_no_video(tmp_path, text):
    other = write_clip(tmp_path / "other.mp4", frames(60, {1}))
    (tmp_path / "clip.mp4").write_text(text.format(other))
    with pytest.raises(BadInput, match=r"unreadable video \(.*clip\.mp4\): it is no video by its first bytes"):
        write_frames(tmp_path / "clip.mp4", tmp_path)


def test_without_opencv_it_is_said(tmp_path, no_opencv):
    no_opencv()
    (tmp_path / "clip.mov").write_bytes(b"")
    with pytest.raises(Unavailable, match="OpenCV"):
        write_frames(tmp_path / "clip.mov", tmp_path)


def test_a_video_is_plain_and_called_without_its_suffix(tmp_path):
    clip = tmp_path / "my.shoe.MOV"
    clip.write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    assert is_plain(clip) and name_of(clip) == "my.shoe"
    assert not is_plain(tmp_path / "folder.mp4") and name_of(tmp_path / "folder.mp4") == "folder.mp4"

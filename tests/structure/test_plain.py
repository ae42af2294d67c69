"""Plain photos before cameras are sought: which they are, what is wrong with them, and their copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from table_scene import make_scene

from taichi_idr.errors import BadInput, InputMissing
from taichi_idr.structure import plain
from taichi_idr.structure.files import FEWEST, plain_photos
from taichi_idr.structure.plain import copied, copy_name, shrinking

ORIENTATION, MODEL, FOCAL_35, EXIF = 0x0112, 0x0110, 0xA405, 0x8769


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_scene(tmp_path / "photos", views=FEWEST)
    return tmp_path / "photos"


def test_photos_lie_in_the_folder_or_in_its_images(photos, tmp_path):
    assert [path.name for path in plain_photos(photos)] == [f"photo_{k:02d}.png" for k in range(FEWEST)]
    (tmp_path / "other").mkdir()
    photos.rename(tmp_path / "other" / "images")
    assert len(plain_photos(tmp_path / "other")) == FEWEST


def test_what_will_not_do(photos, tmp_path):
    with pytest.raises(InputMissing, match="there is no such folder"):
        plain_photos(tmp_path / "nothing")
    with pytest.raises(InputMissing, match="it is a file"):
        plain_photos(photos / "photo_00.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match="no image is in it"):
        plain_photos(tmp_path / "empty")
    shutil.copy(photos / "photo_00.png", photos / "again.png")
    with pytest.raises(BadInput, match=r"there twice.*photo_00\.png"):
        plain_photos(photos)
    (photos / "photo_01.png").unlink()
    with pytest.raises(BadInput, match=r"too few photos.*copies"):
        plain_photos(photos)
    (photos / "again.png").unlink()
    with pytest.raises(BadInput, match=f"{FEWEST - 1}, at least {FEWEST}"):
        plain_photos(photos)


@pytest.mark.fault(12)
def test_copies_are_as_stored_and_know_no_metadata(photos, tmp_path):
    """Turned photos too: then one camera took them all."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MODEL] = 6, "Box"
    exif.get_ifd(EXIF)[FOCAL_35] = 28
    first = photos / "photo_00.png"
    with Image.open(first) as image:
        before = np.asarray(image.convert("RGB"))
        image.save(photos / "photo_00.jpg", quality=100, exif=exif)
    first.unlink()
    (tmp_path / "copies").mkdir()
    found, said = copied(plain_photos(photos), tmp_path / "copies")
    assert not said
    assert found[0].focal == pytest.approx(28 / 36 * max(before.shape)) and "Box" in found[0].camera
    assert found[1].focal is None and found[1].camera != found[0].camera
    with Image.open(tmp_path / "copies" / copy_name(0)) as image:
        assert image.size == found[0].size == before.shape[1::-1]
        assert not image.getexif()
        assert np.abs(np.asarray(image).astype(int) - before).mean() < 3


def test_large_photos_are_shrunk_by_one_factor(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "LONGER_SIDE", 80)
    files = plain_photos(photos)
    (tmp_path / "copies").mkdir()
    found, _ = copied(files, tmp_path / "copies")
    assert shrinking([photo.size for photo in found]) == 2
    with Image.open(tmp_path / "copies" / copy_name(3)) as image:
        assert image.size == (80, 60)


def test_a_blurred_photo_is_named(photos, tmp_path):
    file = photos / "photo_04.png"
    with Image.open(file) as image:
        blurred = image.filter(ImageFilter.GaussianBlur(4))
    blurred.save(file)
    (tmp_path / "copies").mkdir()
    _, said = copied(plain_photos(photos), tmp_path / "copies")
    assert said == [f"1 of {FEWEST} photos are blurred: photo_04.png"]


@pytest.mark.fault(1)
def test_a_damaged_photo_is_refused_by_name(photos, tmp_path):
    file = photos / "photo_02.png"
    file.write_bytes(file.read_bytes()[:3000])
    (tmp_path / "copies").mkdir()
    with pytest.raises(BadInput, match=r"photo_02\.png"):
        copied(plain_photos(photos), tmp_path / "copies")


def test_sixteen_bits_and_alpha_become_eight_and_white(photos, tmp_path):
    deep = np.linspace(0, 65535, 160 * 120).astype(np.uint16).reshape(120, 160)
    Image.fromarray(deep).save(photos / "photo_00.png")
    clear = np.zeros((120, 160, 4), np.uint8)
    Image.fromarray(clear).save(photos / "photo_01.png")
    (tmp_path / "copies").mkdir()
    copied(plain_photos(photos), tmp_path / "copies")
    with Image.open(tmp_path / "copies" / copy_name(0)) as image:
        assert np.abs(np.asarray(image)[..., 0] - deep / 257).max() <= 1
    with Image.open(tmp_path / "copies" / copy_name(1)) as image:
        assert (np.asarray(image) == 255).all()

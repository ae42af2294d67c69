"""`tidr check` finds what is wrong, names it, and shows it; of a capture that a fit refuses too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from captures import edit_cameras, make_capture, viewpoints
from pages import Addresses
from PIL import Image

from taichi_idr.commands.check import check_capture
from taichi_idr.errors import BadInput

VIEWS = 12


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "balls", views=VIEWS)


def card(page: Path, name: str) -> str:
    """The part of the page about one photo."""
    (found,) = re.findall(rf'<div class="photo[^"]*"><b>{name}</b>.*?</div>', page.read_text())
    return found


def test_a_sound_capture_is_good(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = check_capture(capture, out=tmp_path / "check")
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"capture   IDR, {VIEWS} photos"
    assert said.out.splitlines()[1].startswith("memory    about 0.7 GB needed")
    assert said.out.splitlines()[2:] == ["verdict   Nothing to object to", f"page      {page}"]
    text = page.read_text()
    assert text.count('class="photo good"') == VIEWS and '<canvas id="scene"' in text
    addresses = Addresses()
    addresses.feed(text)
    sources = addresses.found
    assert len(sources) == VIEWS + 1 and all((page.parent / file).is_file() for file in sources)
    with Image.open(page.parent / "photos" / "0003.jpg") as picture:
        reddish = np.asarray(picture).astype(int)
        assert ((reddish[..., 0] > 150) & (reddish[..., 1] < 110)).sum() > 100  # the outline


def test_the_page_is_beside_others_by_default(capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_capture(capture) == Path("checks/balls/index.html")


def test_an_inverted_mask_is_named(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture / "mask" / "004.png"
    Image.fromarray(255 - np.array(Image.open(path))).save(path)
    page = check_capture(capture, out=tmp_path / "check")
    said = "look at   1 mask is outvoted by the other photos and not used where wrong: 004 is inverted"
    assert said in capsys.readouterr().out
    assert "its mask is inverted" in card(page, "004") and "nothing to object to" in card(page, "005")


def exchanged_cameras(folder: Path) -> None:
    shots = viewpoints(VIEWS)
    edit_cameras(folder, world_mat_2=shots[7].world_mat, world_mat_7=shots[2].world_mat)


def half_size_photo(folder: Path) -> None:
    for kind in ("image", "mask"):
        path = folder / kind / "007.png"
        with Image.open(path) as image:
            image.resize((24, 20)).save(path)


def damaged_photo(folder: Path) -> None:
    (folder / "image" / "007.png").write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("damage", "pattern", "said"),
    [
        (exchanged_cameras, r"^masks in the wrong order .*002 the mask of 007", "masks in the wrong order"),
        (half_size_photo, r"^photo of another size \(view 007\): 24x20 pixels.*48x40", "photo of another size"),
        (damaged_photo, r"^unreadable image .*007.png", "unreadable image"),
    ],
)
def test_what_a_fit_refuses_gets_its_page_first(
    capture: Path, tmp_path: Path, damage: Callable[[Path], None], pattern: str, said: str
) -> None:
    damage(capture)
    with pytest.raises(BadInput, match=pattern):
        check_capture(capture, out=tmp_path / "check")
    page = tmp_path / "check" / "index.html"
    assert "A fit would refuse it" in page.read_text()
    assert said in card(page, "007") and "nothing to object to" in card(page, "005")


def test_one_side_alone_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_capture(tmp_path / "balls", views=40)
    for index, view in enumerate(viewpoints(40)):
        if view.centre[0] < -60 + 160:  # the balls' middle, and half of the cameras' distance
            for kind in ("image", "mask"):
                (folder / kind / f"{index:03d}.png").unlink()
            edit_cameras(folder, **{f"world_mat_{index}": None, f"scale_mat_{index}": None})
    check_capture(folder, out=tmp_path / "check")
    assert re.search(r"look at   photographed from one side: 2\d\d of 360 degrees", capsys.readouterr().out)

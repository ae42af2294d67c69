"""Which masks the program has cut, and which somebody has drawn on since."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from captures import make_capture
from PIL import Image

from taichi_idr.capture.cut_masks import read_cut, write_cut
from taichi_idr.capture.fingerprints import CUT_MASKS, fingerprints
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_capture(tmp_path / "balls", views=6)


def masks_of(folder: Path) -> list[Path]:
    masks = find_capture(folder).masks
    assert masks is not None
    return masks


def test_a_mask_that_was_drawn_on_is_not_cut_anew(folder):
    masks = masks_of(folder)
    write_cut(folder, masks[1:])
    mask = np.array(Image.open(masks[2]))
    mask[:4] = 255
    Image.fromarray(mask).save(masks[2])
    assert read_capture(folder).cut == (False, True, False, True, True, True)


def test_without_a_list_all_are_taken_as_they_are(folder):
    assert read_capture(folder).cut == ()
    write_cut(folder, [])
    assert read_capture(folder).cut == () == read_cut(folder, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cut": []}', '{"cut": null}'])
def test_damage_is_refused(folder, text):
    (folder / CUT_MASKS).write_text(text)
    with pytest.raises(BadInput, match=CUT_MASKS):
        read_capture(folder)


def test_a_fit_knows_when_the_list_has_changed(folder):
    layout = find_capture(folder)
    before = fingerprints(folder, layout)
    write_cut(folder, masks_of(folder))
    assert set(fingerprints(folder, layout)) - set(before) == {CUT_MASKS}

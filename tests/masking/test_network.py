"""Masks by a network in a file: what is put in, what is read of its answer, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import UINT8, WALL, write_network

from taichi_idr.errors import BadInput, InputMissing
from taichi_idr.masking.network import MaskNetwork


def photo(height: int, width: int) -> np.ndarray:
    """The wall, and a square of another colour in its upper left quarter."""
    picture = np.broadcast_to(WALL.astype(np.uint8), (height, width, 3)).copy()
    picture[: height // 2, : width // 2] = (90, 160, 60)
    return picture


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("shape", [(1, 3, 32, 48), ("batch", 3, "rows", "columns")])
def test_masks_come_at_the_photos_size(tmp_path: Path, shape: tuple[int | str, ...], sigmoid: bool) -> None:
    masked = MaskNetwork(write_network(tmp_path / "n.onnx", shape, sigmoid=sigmoid), threads=1)
    mask = masked(photo(60, 100))
    assert mask.shape == (60, 100) and mask.min() >= 0 and mask.max() <= 1
    wanted = np.zeros((60, 100), bool)
    wanted[:30, :50] = True
    differs = (mask > 0.5) != wanted
    assert not differs[:27, :46].any() and not differs[34:].any() and not differs[:, 54:].any()


def test_a_photo_of_the_wall_alone_has_an_empty_mask(tmp_path: Path) -> None:
    masked = MaskNetwork(write_network(tmp_path / "n.onnx"))
    assert masked(np.broadcast_to(WALL.astype(np.uint8), (20, 30, 3))).max() < 0.01


def test_subnormal_numbers_are_flushed_as_before(tmp_path: Path) -> None:
    def product() -> float:
        return (torch.full((1,), 1e-30) * torch.full((1,), 1e-12)).item()

    assert product() == 0  # as Taichi has it
    MaskNetwork(write_network(tmp_path / "n.onnx"), threads=1)(photo(20, 30))
    assert product() == 0


def test_what_is_no_such_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no such file"):
        MaskNetwork(tmp_path / "none.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("not a network\n")
    with pytest.raises(BadInput, match="no network that onnxruntime reads"):
        MaskNetwork(text)
    for number, other in enumerate(({"shape": (1, 3, 8)}, {"inputs": 2}, {"kind": UINT8})):
        with pytest.raises(BadInput, match=r"takes no picture.*1, 3, rows"):
            MaskNetwork(write_network(tmp_path / f"{number}.onnx", **other))


def test_a_network_with_a_broken_name_is_refused_without_noise(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = write_network(tmp_path / "n.onnx")
    file.write_bytes(file.read_bytes().replace(b"ReduceMax", b"Reduce\xefax"))
    with pytest.raises(BadInput, match="no network that onnxruntime reads"):
        MaskNetwork(file)
    assert capsys.readouterr().out == ""


def test_a_network_for_two_photos_at_once_fails_with_a_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the network fails"):
        MaskNetwork(write_network(tmp_path / "n.onnx", (2, 3, 32, 48)))(photo(40, 40))

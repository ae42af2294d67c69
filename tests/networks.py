"""A network in an ONNX file that tells a wall from what stands before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
WALL = np.array([150, 160, 190])


def write_network(
    file: Path,
    shape: Sequence[int | str] = (1, 3, 32, 48),
    *,
    kind: int = FLOAT,
    sigmoid: bool = False,
    inputs: int = 1,
) -> Path:
    """Write one whose logit rises with the distance from the wall's colour."""
    wall = (WALL / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    helper = onnx.helper
    constants = {"wall": wall.reshape(1, 3, 1, 1), "least": np.array(0.2), "slope": np.array(50.0)}
    nodes = [
        helper.make_node("Cast", ["picture"], ["number"], to=FLOAT),
        helper.make_node("Sub", ["number", "wall"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["distance"]),
        helper.make_node("ReduceMax", ["distance"], ["largest"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["largest", "least"], ["over"]),
        helper.make_node("Mul", ["over", "slope"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["mask"]),
    ]
    taken = [helper.make_tensor_value_info(name, kind, shape) for name in ("picture", "other")[:inputs]]
    given = helper.make_tensor_value_info("mask" if sigmoid else "logit", FLOAT, None)
    values = [helper.make_tensor(name, FLOAT, value.shape, value.ravel()) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "wall", taken, [given], values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), file)
    return file

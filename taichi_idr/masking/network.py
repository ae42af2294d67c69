"""Silhouettes by a network that was trained elsewhere: any ONNX file that tells objects from their background.

As U2-Net (Qin et al., Pattern Recognition 2020), IS-Net and BiRefNet are exported: one input, RGB less ImageNet's mean,
in its deviations; the first output is the mask, or its logits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import BadInput, InputMissing, Unavailable
from ..files.reading import regular

MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet's red, green and blue in [0, 1]
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
SIDE = 1024  # pixels, of networks that take any


class MaskNetwork:
    """Called with a photo (h, w, 3) uint8, gives its soft mask (h, w) float32 in [0, 1].

    Raises Unavailable without onnxruntime, InputMissing, BadInput: no ONNX file, or a network that takes no picture.
    """

    def __init__(self, file: Path, threads: int | None = None) -> None:
        runtime = _onnxruntime()
        check_there(regular(file, todo="name the ONNX file of a network"))
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 4  # what it has to say comes as an exception
        # By default it stops this thread from flushing subnormal numbers, which Taichi has it do: fits would slow down.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        try:
            # Without fallback: it prints, and then tries the same again.
            settings = {"providers": ["CPUExecutionProvider"], "enable_fallback": 0}
            self.session = runtime.InferenceSession(str(file), options, **settings)
        except Exception as error:  # onnxruntime has a class for each state, and no common one
            raise BadInput("no network that onnxruntime reads", where=file, why=_line(error)) from error
        self.file, inputs = file, self.session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] != 3 or inputs[0].type != "tensor(float)":
            taken = ", ".join(f"{one.type} {one.shape}" for one in inputs)
            todo = "export it with one input, float32 of shape 1, 3, rows, columns"
            raise BadInput("the network takes no picture", where=file, why=f"it takes {taken}", todo=todo)
        self.name = inputs[0].name
        self.rows, self.columns = (side if isinstance(side, int) else SIDE for side in shape[2:])

    def __call__(self, colour: np.ndarray) -> np.ndarray:
        small = Image.fromarray(colour).resize((self.columns, self.rows), Image.Resampling.BILINEAR)
        picture = (np.asarray(small, np.float32) / 255 - MEAN) / DEVIATION
        try:
            answer: Any = self.session.run(None, {self.name: np.ascontiguousarray(picture.transpose(2, 0, 1)[None])})[0]
        except Exception as error:
            raise BadInput("the network fails", where=self.file, why=_line(error)) from error
        if answer.size == 0 or answer.ndim < 2 or answer.size != np.prod(answer.shape[-2:]):
            why = f"its first output has shape {list(answer.shape)}"
            raise BadInput("the network gives no mask", where=self.file, why=why)
        mask = Image.fromarray(_in_unit(answer.reshape(answer.shape[-2:])))
        return np.asarray(mask.resize(colour.shape[1::-1], Image.Resampling.BILINEAR))


def check_there(file: Path) -> None:
    """Raises InputMissing."""
    if not file.is_file():
        raise InputMissing("no such file", where=file, todo="name the ONNX file of a network")


def _in_unit(answer: np.ndarray) -> np.ndarray:
    """A mask is left as it is, logits become one; what is not finite is background."""
    answer = np.nan_to_num(answer.astype(np.float32), nan=-np.inf)
    if answer.min() >= 0 and answer.max() <= 1:
        return answer
    return (1 / (1 + np.exp(-answer.clip(-30, 30)))).astype(np.float32)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        todo = "pip install 'taichi-idr[masks]', or give its masks with --masks"
        raise Unavailable("onnxruntime is not installed", why="--mask-model needs it", todo=todo) from error
    return onnxruntime

"""State on disk: tensors and metadata under a hash, no pickle.

File NNNNNNNN.tidr (the step): 8 bytes magic and version | 32 bytes SHA-256 of all that follows | 8 bytes length
of the metadata, little endian | metadata, JSON | tensors, safetensors (which alone loads a flipped bit silently).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..errors import BadInput, Diverged, TidrError, is_out_of_memory
from ..files.reading import opened, whole
from ..files.writing import atomic_write, create_folder, remove
from ..settings import shown

MODEL = "model."
"""What the names of a model's parameters begin with."""
_MAGIC = b"TIDRCKP1"
_HASH_END = len(_MAGIC) + hashlib.sha256().digest_size
_LENGTH_END = _HASH_END + 8
_NAME = re.compile(r"[0-9]{8,12}\.tidr")


@dataclass(frozen=True)
class Checkpoint:
    """`tensors` on the CPU, `metadata` as it was given to `save_checkpoint`."""

    path: Path
    step: int
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def save_checkpoint(
    folder: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    *,
    keep: int = 2,
    best: bool = False,
) -> Path:
    """Write `folder`/STEP.tidr whole or not at all; keep the newest `keep` and the newest marked `best`, no others.

    metadata must survive JSON. Raises CannotCreate, WriteFailed; older checkpoints are then as they were.
    """
    create_folder(folder)
    path = folder / f"{step:08d}.tidr"
    atomic_write(path, _encoded(step, tensors, metadata, best))
    _prune(folder, keep)
    return path


def load_newest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole, with a warning for each newer one that is not; None without files.

    Raises BadInput if there are files and none is whole.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            return _read(path)
        except BadInput as error:
            warn(f"{error}")
    if not paths:
        return None
    why = f"none of {len(paths)} is whole"
    raise BadInput("no usable checkpoint", where=folder, why=why, todo="start again with --fresh")


def load_step(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of one step. Raises InputMissing, BadInput."""
    return _read(folder / f"{step:08d}.tidr")


def saved_steps(folder: Path) -> list[int]:
    """Steps that have a file, newest first."""
    return [int(path.stem) for path in _newest_first(folder)]


@contextmanager
def taken_apart(checkpoint: Checkpoint, todo: str = "fit again with --fresh") -> Iterator[None]:
    """The block makes something of a checkpoint's content: a right hash says that nothing has changed, not that it is
    what this program would have written. Raises BadInput where it is not."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        why = f"it does not fit its settings ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        raise BadInput("unusable checkpoint", where=checkpoint.path, why=why, todo=todo) from error


def refuse_not_finite(checkpoint: Checkpoint, parts: tuple[str, ...] = ("",)) -> None:
    """Raises Diverged where a tensor whose name begins like one of `parts` holds NaN or infinity."""
    if checkpoint.step == 0:  # what is derived from the model has no values yet
        parts = (MODEL,)
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(parts) and tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            why, todo = f"{name} holds NaN or infinity", "fit again with --fresh and lower learning rates"
            raise Diverged("the network is not finite", where=checkpoint.path, why=why, todo=todo)


def _encoded(step: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], best: bool) -> bytes:
    head = json.dumps({"step": step, "best": best, "metadata": metadata}, allow_nan=False).encode()
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    body = safetensors.torch.save(on_cpu)
    length = len(head).to_bytes(8, "little")
    digest = hashlib.sha256(length)
    digest.update(head)
    digest.update(body)
    return b"".join((_MAGIC, digest.digest(), length, head, body))


def _read(path: Path) -> Checkpoint:
    """The whole file as bytes: a file that shrinks under a memory map kills the process."""
    data = whole(path, what="damaged checkpoint", todo="an older one is used where there is one")
    if data[: len(_MAGIC)] != _MAGIC:
        raise _damaged(path, f"expected the mark {_MAGIC.decode()}, got {len(data)} bytes without it")
    if hashlib.sha256(memoryview(data)[_HASH_END:]).digest() != data[len(_MAGIC) : _HASH_END]:
        raise _damaged(path, f"the hash of its {len(data)} bytes is wrong")
    try:
        head_end = _LENGTH_END + int.from_bytes(data[_HASH_END:_LENGTH_END], "little")
        head = json.loads(data[_LENGTH_END:head_end])
        checkpoint = Checkpoint(path, head["step"], safetensors.torch.load(data[head_end:]), head["metadata"])
    except (ValueError, LookupError, TypeError, RecursionError, SafetensorError) as error:
        raise _damaged(path, f"the content cannot be decoded ({type(error).__name__})") from error
    # A right hash says that nothing has changed, not that it is ours.
    if type(checkpoint.step) is not int or checkpoint.step != int(path.stem):
        raise _damaged(path, f"it says that it is of step {shown(checkpoint.step)}")
    if not isinstance(checkpoint.metadata, dict):
        raise _damaged(path, f"its metadata are {shown(checkpoint.metadata)}, not names and values")
    return checkpoint


def _damaged(path: Path, why: str) -> BadInput:
    return BadInput("damaged checkpoint", where=path, why=why, todo="an older one is used where there is one")


def _prune(folder: Path, keep: int) -> None:
    paths = _newest_first(folder)
    best = next((path for path in paths if _is_best(path)), None)
    for path in paths[keep:]:
        if path != best:
            remove(path)


def _is_best(path: Path) -> bool:
    """The mark alone, from the first kilobytes; a damaged file has none."""
    try:
        with opened(path) as file:
            start = file.read(_LENGTH_END)
            length = int.from_bytes(start[_HASH_END:_LENGTH_END], "little")
            return bool(json.loads(file.read(min(length, path.stat().st_size)))["best"])
    except (TidrError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file()]
    return sorted(paths, key=lambda path: int(path.stem), reverse=True)

"""Tensors of a file that torch.save wrote, read by a process of its own: pickled data can run code.

That process, `python -m taichi_idr.files.pth FILE ENTRY`, loads with weights_only=True under limits of memory and
time, and hands back safetensors bytes; a hole in the unpickler costs no more than that process.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..errors import BadInput
from ..machine import HOME
from .reading import regular

FILE_BYTES = 1 << 30
MEMORY_BYTES = 2 << 30  # beside what the process has when it starts to read
SECONDS = 120
REFUSED, DAMAGED = 3, 4  # how the process ends; anything else is a crash
EPOCH = "epoch"
_TODO = "use a file of the released IDR code"


def read_pth(path: Path, entry: str) -> dict[str, Tensor]:
    """The dictionary of tensors at `entry` of the file's dictionary, as float32; `epoch` (0-d), where it is there.

    Raises InputMissing; BadInput: not a file of torch.save, without `entry`, more than tensors in it, over the limits.
    """
    regular(path, FILE_BYTES, todo=_TODO)
    command = [sys.executable, "-m", "taichi_idr.files.pth", str(path.resolve()), entry]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL, cwd=HOME)
    except subprocess.TimeoutExpired as error:
        raise BadInput("refused", where=path, why=f"reading it takes more than {SECONDS} s", todo=_TODO) from error
    said = ended.stderr.decode(errors="replace").strip().splitlines() or [f"its reader ended with {ended.returncode}"]
    if ended.returncode == REFUSED:
        raise BadInput("refused", where=path, why=f"pickled data can run code ({said[-1]})", todo=_TODO)
    if ended.returncode != 0:
        raise BadInput("not a usable checkpoint", where=path, why=said[-1], todo=_TODO)
    try:
        return safetensors.torch.load(ended.stdout)
    except SafetensorError as error:
        raise BadInput("not a usable checkpoint", where=path, why=str(error), todo=_TODO) from error


def main() -> int:
    """The reading process."""
    path, entry = sys.argv[1:]
    if tarfile.is_tarfile(path):  # torch before 2.6 runs code of such a file whatever weights_only says
        return _end("the tar format of torch.save before 2017", REFUSED)
    _limit_memory()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        data = safetensors.torch.save(_tensors(content, entry))
    except (pickle.UnpicklingError, LookupError) as error:  # the latter of noise that begins like a pickle
        asked = [line.strip() for line in str(error).splitlines() if "global" in line.lower()]
        return _end(asked[0][:200], REFUSED) if asked else _end("not a file of torch.save", DAMAGED)
    except Exception as error:
        return _end(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", DAMAGED)
    sys.stdout.buffer.write(data)
    return 0


def _tensors(content: Any, entry: str) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not isinstance(content.get(entry), Mapping):
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"expected a dictionary with the entry {entry}, found {found}")
    tensors = {str(name): value.detach().float().clone().contiguous() for name, value in content[entry].items()}
    if isinstance(epoch := content.get(EPOCH), int):
        tensors[EPOCH] = torch.tensor(epoch)
    return tensors


def _limit_memory() -> None:
    """Where the system can say how much address space this process has."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _end(reason: str, code: int) -> int:
    sys.stderr.write(f"{reason}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

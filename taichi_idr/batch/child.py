"""`tidr` as a worker starts it: the same program, in a process that ends, with its checkpoint, when its worker is gone.

Standard input is a pipe that only the worker holds: it ends when the worker does, whatever ended that.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

GRACE = 60.0  # seconds to save a checkpoint in


def main() -> None:
    """Run `tidr` with this process's arguments."""
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # not this folder, nor the user's
    signal.signal(signal.SIGINT, signal.default_int_handler)  # workers ignore it, and so would this
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    runpy.run_module("taichi_idr", run_name="__main__")


def _end_with_the_worker() -> None:
    os.read(0, 1)  # sys.stdin has a lock that Python wants at its end
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()

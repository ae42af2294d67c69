"""In place of `tidr` in tests of batches: `python batch_program.py COMMAND PLACE [--out RUN] OPTIONS`.

A fit has ten steps, each a line of RUN/steps.txt and a checkpoint; a file in the capture says what else happens:
`slow` (each step takes 0.2 s), `broken` (exit code 65), `killed` (SIGTERM to itself at step 3, once), `busy` (exit code
75, once).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from taichi_idr.batch.child import _end_with_the_worker

STEPS = 10
stopped: list[int] = []


def fit(capture: Path, run: Path) -> int:
    if (capture / "broken").exists():
        print("tidr: error: unreadable image (003.png): cut short; replace it", file=sys.stderr)
        return 65
    if (capture / "busy").exists():
        (capture / "busy").unlink()
        print("tidr: error: run is in use", file=sys.stderr)
        return 75
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    done = [int(path.stem) for path in (run / "checkpoints").glob("*.tidr")]
    for step in range(max(done, default=0) + 1, STEPS + 1):
        time.sleep(0.2 if (capture / "slow").exists() else 0.0)
        with (run / "steps.txt").open("a") as file:
            file.write(f"{step} {os.environ.get('TIDR_CORES')}\n")
        (run / "checkpoints" / f"{step:08d}.tidr").touch()
        if step == 3 and (capture / "killed").exists():
            (capture / "killed").unlink()
            os.kill(os.getpid(), signal.SIGTERM)
        if stopped:
            print("tidr: error: stopped, checkpoint written", file=sys.stderr)
            return 128 + stopped[0]
    print("tidr: warning: view 3 is dark\nverdict   good: PSNR 30.0 dB")
    return 0


def write(file: Path) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("made")
    return 0


def main(command: str, place: Path, *options: str) -> int:
    if command == "fit":
        return fit(place, Path(options[options.index("--out") + 1]))
    return write(place / {"mesh": "mesh/mesh.ply", "report": "report/index.html"}[command])


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stopped.append(number))
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))

"""One backend, in a process of its own: a driver that crashes takes nobody's results with it.

`python -m taichi_idr.bench REQUEST` writes a line of JSON for each thing that it knows; other lines are noise.
"""

from __future__ import annotations

import sys

from .backend import MARK, Request, measure_backend


def main() -> None:
    for event in measure_backend(Request.model_validate_json(sys.argv[1])):
        sys.stdout.write(f"{MARK}{event.model_dump_json()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

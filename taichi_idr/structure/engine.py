"""Structure from motion: COLMAP in a process of its own, watched, and what it found."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import Literal

import numpy as np
import psutil

from ..capture.formats.source import listed
from ..errors import BadInput, OutOfMemory, Unavailable, warn
from ..machine import HOME, available_cores, free_memory
from .files import FEWEST
from .model import Structure, read_structure
from .plain import PlainPhoto, copied, copy_name, shrinking

WORKER = Path(__file__).with_name("worker.py")
EXHAUSTIVE = 60  # photos up to which all pairs are matched; above, they count as taken one after the other
SECONDS_PER_PHOTO, LEAST_SECONDS = 60, 600
MEMORY_SHARE = 0.8  # of what is free when it starts
LOOK_EVERY = 0.2  # seconds
MAPPERS = ("global", "incremental")  # the first wins where both place as many photos: its worst camera is better
LEAST_PLACED = 0.8  # share of the photos
FEW_OBSERVATIONS, TOO_FEW_OBSERVATIONS = 100, 50  # points in the median photo
FOCAL = (0.5, 3.0)  # focal length in the longer side, beyond which the scene was flat or the camera turned on the spot

Engine = Literal["auto", "colmap", "builtin"]

_TODO = "take the photos again with more overlap, or give a capture with cameras"


@dataclass(frozen=True)
class SfmOptions:
    """focal: length in pixels where it is known. quick: a quarter of the time, fewer photos are placed. engine: "auto"
    is COLMAP where pycolmap is installed; the built-in one places fewer photos where they lie far apart."""

    focal: float | None = None
    quick: bool = False
    threads: int | None = None
    engine: Engine = "auto"


def find_structure(files: Sequence[Path], folder: Path, options: SfmOptions, say: Callable[[str], None]) -> Structure:
    """Cameras of photos; what is made on the way stays in `folder`, which has to be new. say: is told each stage.

    Raises Unavailable: pycolmap or, without it, OpenCV is not installed; BadInput: a photo cannot be read, too few can
    be placed; OutOfMemory.
    Warns of photos that are left out.
    """
    has_colmap = importlib.util.find_spec("pycolmap") is not None
    if options.engine == "colmap" and not has_colmap:
        todo = "pip install 'taichi-idr[photos]', or use --sfm builtin"
        raise Unavailable("pycolmap is not installed", why="it finds where photos were taken", todo=todo)
    (folder / "images").mkdir(parents=True)
    photos, said = copied(files, folder / "images")
    for text in said:
        warn(text)
    if options.engine == "builtin" or not has_colmap:
        return _checked(_built_in(photos, options, say), files)
    factor = shrinking([photo.size for photo in photos])
    job = folder / "job.json"
    job.write_text(json.dumps(_job(photos, folder, factor, options)))
    _run(job, max(LEAST_SECONDS, SECONDS_PER_PHOTO * len(photos)), say)
    by_copy = {copy_name(number): photo for number, photo in enumerate(photos)}
    originals = {name: photo.file for name, photo in by_copy.items()}, {n: photo.size for n, photo in by_copy.items()}
    found = [read_structure(path, *originals, factor) for path in sorted(folder.glob("MODEL-*.npz"))]
    if not found:
        raise _unplaced(0, files)
    return _checked(max(found, key=len), files)


def _built_in(photos: Sequence[PlainPhoto], options: SfmOptions, say: Callable[[str], None]) -> Structure:
    """Raises BadInput for photos of several cameras, or that show nothing in common."""
    from .builtin import builtin_structure

    cameras = {(photo.size, photo.camera) for photo in photos}
    if len(cameras) > 1:
        why = f"{len(cameras)} sizes or cameras; the built-in engine knows one"
        todo = "take all with one camera and zoom, or pip install 'taichi-idr[photos]' for COLMAP"
        raise BadInput("photos of several cameras", where="photos", why=why, todo=todo)
    found = builtin_structure(photos, options.focal, say)
    if found is None:
        raise _unplaced(0, [photo.file for photo in photos])
    return found


def _job(photos: Sequence[PlainPhoto], folder: Path, factor: float, options: SfmOptions) -> dict[str, object]:
    groups: dict[tuple[tuple[int, int], str], list[int]] = {}
    for number, photo in enumerate(photos):
        groups.setdefault((photo.size, photo.camera), []).append(number)
    return {
        "folder": str(folder),
        "camera_model": "SIMPLE_RADIAL",
        "threads": options.threads or available_cores(),
        "quick": options.quick,
        "sequential": len(photos) > EXHAUSTIVE,
        "mappers": MAPPERS,
        "groups": [
            {
                "names": [copy_name(number) for number in numbers],
                "parameters": _parameters(photos[numbers[0]], factor, options.focal),
            }
            for numbers in groups.values()
        ],
    }


def _parameters(photo: PlainPhoto, factor: float, told: float | None) -> str:
    """Focal length, principal point and bending to start from; nothing where no focal length is known."""
    focal = told or photo.focal
    if focal is None:
        return ""
    width, height = (round(side / factor) for side in photo.size)
    return f"{focal / factor:.6g},{width / 2:g},{height / 2:g},0"


def _run(job: Path, seconds: float, say: Callable[[str], None]) -> None:
    """The worker, until it ends. Raises BadInput where it fails or takes too long, OutOfMemory where too much."""
    most = MEMORY_SHARE * (free_memory() or float("inf"))
    stages: list[str] = []
    with TemporaryFile() as errors:
        command = [sys.executable, str(WORKER), str(job)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": errors}
        with subprocess.Popen(command, cwd=HOME, text=True, errors="replace", **pipes) as worker:
            reader = Thread(target=_listen, args=(worker, stages, say), daemon=True)
            reader.start()
            try:
                _watch(worker, most, time.monotonic() + seconds, stages)
            finally:
                worker.kill()  # it has nothing to tidy up
                worker.wait()
                reader.join()
        if worker.returncode != 0:
            raise BadInput("no cameras found", where="photos", why=_end_in_words(worker.returncode, stages), todo=_TODO)


def _listen(worker: subprocess.Popen[str], stages: list[str], say: Callable[[str], None]) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("stage "):
            stages.append(line.removeprefix("stage ").strip())
            say(stages[-1])


def _watch(worker: subprocess.Popen[str], most: float, deadline: float, stages: Sequence[str]) -> None:
    process = psutil.Process(worker.pid)
    while worker.poll() is None:
        try:
            used = process.memory_info().rss
        except psutil.Error:  # it has just ended
            used = 0
        where = stages[-1] if stages else "start"
        if used > most:
            why = f"COLMAP takes {used / 1e9:.1f} GB ({where})"
            raise OutOfMemory("not enough memory", where="photos", why=why, todo="use fewer photos, or --quick")
        if time.monotonic() > deadline:
            raise BadInput("no cameras found", where="photos", why=f"COLMAP does not end ({where})", todo=_TODO)
        time.sleep(LOOK_EVERY)


def _end_in_words(code: int, stages: Sequence[str]) -> str:
    ended = f"was stopped by signal {-code}" if code < 0 else f"failed with code {code}"
    return f"COLMAP {ended} ({stages[-1] if stages else 'start'})"


def _checked(found: Structure, files: Sequence[Path]) -> Structure:
    placed = {view.image for view in found.views}
    lost = [path.name for path in files if path not in placed]
    if len(found) < max(FEWEST, LEAST_PLACED * len(files)):
        raise _unplaced(len(found), files, f": not {listed(lost)}")
    if lost:
        warn(f"{len(lost)} of {len(files)} photos have no place among the others and are left out: {', '.join(lost)}")
    usual = float(np.median(np.bincount(found.observing, minlength=len(found))))
    ratios = [view.pinhole.fx / max(view.pinhole.width, view.pinhole.height) for view in found.views]
    focal = float(np.median(ratios))
    if usual < TOO_FEW_OBSERVATIONS:
        why = f"the usual photo shares {usual:.0f} points with others, {TOO_FEW_OBSERVATIONS} are needed"
        todo = "put the object on something with texture, a newspaper, and take sharper photos"
        raise BadInput("too little to see", where="photos", why=why, todo=todo)
    if not FOCAL[0] < focal < FOCAL[1]:
        why = f"the focal length comes out as {focal:.2g} times a photo's longer side"
        todo = "walk around the object, on more than one level; or give --focal PIXELS"
        raise BadInput("flat or turning scene", where="photos", why=why, todo=todo)
    if usual < FEW_OBSERVATIONS:
        warn(f"the usual photo shares only {usual:.0f} points with others: cameras may be inexact")
    return found


def _unplaced(placed: int, files: Sequence[Path], names: str = "") -> BadInput:
    why = f"{placed} of {len(files)} photos have a place among the others{names}"
    todo = "take more, with more overlap (10 to 15 degrees from one to the next); a turntable needs a plain background"
    return BadInput("no cameras found", where="photos", why=why, todo=todo)

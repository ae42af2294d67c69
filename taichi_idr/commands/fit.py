"""`tidr fit`: a capture becomes a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..capture.formats.catalogue import find_capture, is_recognised
from ..capture.formats.idr import FORMAT, poses_file
from ..capture.formats.pairing import ignore_folder
from ..capture.memory import check_memory
from ..errors import InputMissing, UsageError
from ..fitting.place import Place
from ..methods.catalogue import make_config, method_of
from ..methods.method import Need
from ..runs.folder import SILHOUETTES, RunFolder, default_run
from ..structure.files import is_plain, name_of
from ..types import MAX_PIXELS, CaptureReading
from .prepare import Knowledge, prepare_capture
from .silhouettes import silhouettes_beside

if TYPE_CHECKING:
    from ..fitting.session import FitSummary
    from ..methods.trainer import Trainer
    from ..runtime import Arch

PREPARED = "capture"
"""Folder of a run with what plain photos became."""


def fit_capture(
    capture: Path,
    *,
    out: Path | None = None,
    preset: str = "fast",
    assignments: list[str] | None = None,
    steps: int | None = None,
    time_limit: float | None = None,
    until: float | Literal["converged"] | None = None,
    rays: int | None = None,
    downscale: int | None = None,
    seed: int | None = None,
    cameras: Literal["fixed", "train"] | None = None,
    exposure: Literal["auto", "on", "fixed", "none"] | None = None,
    init_cameras: Path | None = None,
    arch: Arch = "cpu",
    threads: int | None = None,
    fresh: bool = False,
    normalize: bool = False,
    invert_masks: bool = False,
    resize_masks: bool = False,
    allow_outside: bool = False,
    max_pixels: int = MAX_PIXELS,
    ignore: Path | None = None,
    knowledge: Knowledge | None = None,
    watch: Callable[[Trainer], None] | None = None,
) -> FitSummary:
    """Fit a capture folder and leave the result in a run folder; an interrupted run of the same settings goes on.

    A folder of plain photos becomes a capture first, `RUN/capture`; knowledge: what is known of them.

    time_limit: seconds of this call. until: minutes of the whole fit, which has as many steps as there is time for; or
    "converged", which goes on from the last step until more of them help little.
    cameras: None leaves it to the settings. exposure: whether photos have gains, likewise. init_cameras: poses to start
    from, a file in the capture or a path; poses to be trained otherwise start from the capture's rough ones where it
    has them.
    ignore: folder, likewise, of pictures of what no loss may use, white on black; by default the capture's `ignore/`.
    watch: called before the first step of this call and after each, to measure; it must leave the trainer as it is.

    >>> summary = fit_capture(capture, out=run, steps=2, rays=64, assignments=["schedule.hull_steps=40"])
    memory    ...
    >>> summary.steps, summary.run == run
    (2, True)

    Raises the TidrErrors of the capture, UsageError, InputMissing, CannotCreate, Locked, WriteFailed, BadInput (a run
    of other settings), Diverged, Stopped.
    """
    minutes, converged = (None, True) if until == "converged" else (until, None)
    if steps is not None and minutes is not None:
        raise UsageError("two ends of one fit", where=f"--steps {steps} --until {minutes:g}", todo="give one of them")
    groups = {"schedule": {"steps": steps, "rays": rays}, "cameras": {"train": cameras and cameras == "train"}}
    ends = {"time_limit": time_limit, "until": minutes, "until_converged": converged}
    if exposure:
        groups["exposure"] = {"mode": "off" if exposure == "none" else exposure}
    config = make_config(preset, assignments or [], **groups, **ends, downscale=downscale, seed=seed)
    method = method_of(config)
    if config.cameras.train and not method.trains_cameras:
        why = f"method {method.name} takes them as they are"
        raise UsageError("cameras cannot be trained", where="--cameras train", why=why, todo="use --cameras fixed")
    run = out or default_run(name_of(capture))
    RunFolder(run).refuse_links()
    known, cuts = knowledge or Knowledge(), method.cuts_masks
    place = Place.of(os.environ)
    if is_plain(capture):
        place.refuse_plain(capture)
        capture = prepare_capture(capture, run / PREPARED, knowledge, threads=threads)
        known, cuts = Knowledge(), False  # they are cut
    elif is_recognised(capture):
        _refuse_known(known, capture, cuts=cuts)
    poses = poses_file(capture, init_cameras, train=config.cameras.train)
    reading = CaptureReading(
        normalize,
        invert_masks,
        resize_masks,
        poses,
        allow_outside,
        ignore_folder(capture, ignore),
        max_pixels=max_pixels,
    )
    if known.masks is not None:
        reading = replace(reading, silhouettes=str(known.masks.resolve()))
    elif cuts:
        reading = silhouettes_beside(capture, reading, run / SILHOUETTES, known, threads=threads, fresh=fresh)
    need_masks, depth = Need.MASKS in method.needs, method.depth(config)
    layout = find_capture(capture, reading, need_masks=need_masks, depth=depth)  # before torch is imported
    if layout.format != FORMAT:
        print(f"capture   {layout.format}, {len(layout.images)} photos", flush=True)
    print(f"memory    {check_memory(layout, config.downscale, more=method.pixel_bytes(config))}", flush=True)
    from .. import runtime
    from ..fitting.session import fit
    from ..fitting.together import joined

    place.take_gpu()
    runtime.init(arch, threads=threads or place.threads)
    if config.cameras.train or poses:
        print(_poses_in_words(poses, config.cameras.train), flush=True)
    with joined(place) as ranks:
        return fit(capture, reading, config, run, layout=layout, fresh=fresh, watch=watch, ranks=ranks)


def _refuse_known(knowledge: Knowledge, capture: Path, *, cuts: bool) -> None:
    """What is not for a capture that has cameras. cuts: whether silhouettes are cut of its photos."""
    masks, rest, todo = knowledge.masks, replace(knowledge, masks=None), "leave out --focal, --quick and --sfm"
    if masks is not None and not masks.is_dir():
        raise InputMissing("no such folder", where=f"--masks {masks}", todo="name the folder of masks")
    if cuts and masks is None:
        rest = replace(rest, region=None, keep_support=False, mask_model=None)
    else:
        todo += "; --region, --keep-support and --mask-model are for --preset maskless"
    if rest != Knowledge():
        raise UsageError("the capture is prepared already", where=capture, todo=todo)


def _poses_in_words(file: str | None, train: bool) -> str:
    poses = f"those of {file}" if file else "the capture's own"
    return f"cameras   {'trained, starting from' if train else 'fixed at'} {poses}"

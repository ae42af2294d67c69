"""`tidr flow`: meshes or clouds over time become one mesh that moves."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput, Unavailable, UsageError, WriteFailed, warn
from ..files.writing import atomic_write, create_folder, gone_if_refused, remove
from ..meshes.files import sequence_files
from ..methods.flow.settings import FlowConfig, make_flow_config
from ..runs.folder import default_run
from ..settings import to_toml

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ..meshes.mesh import Mesh
    from ..meshes.sequences import MeshSequence
    from ..methods.flow.prepared import LabelledSequence
    from ..methods.flow.result import FlowScores
    from ..methods.flow.trainer import FlowTrainer
    from ..runtime import Arch

RESOLUTIONS = (32, 64, 128, 256, 512)
MESHES, FILM, SUMMARY, TABLE, SETTINGS = "meshes", "film.mp4", "summary.txt", "frames.csv", "flow.toml"
FILM_SIZE, FILM_SPEED = 360, 16.0  # pixels of each half, frames per second
LEAST_IOU = 0.7  # of a frame that is explained
HELD_OUT = 5_000  # points of each frame, drawn anew, that say how well it is explained


@dataclass(frozen=True)
class FlowReport:
    """files: the meshes, in the order of time, with the same vertices; scores: of each frame of the input."""

    files: tuple[Path, ...]
    scores: FlowScores


def flow_sequence(
    folder: Path,
    *,
    out: Path | None = None,
    preset: str = "fast",
    correspondences: bool = False,
    assignments: list[str] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    resolution: int = 128,
    frames: int | None = None,
    film_frames: int = 48,
    arch: Arch = "cpu",
    threads: int | None = None,
) -> FlowReport:
    """Fit an occupancy flow to closed meshes or point clouds of a folder, time 0 to 1 in the order of their names.

    Writes `OUT/meshes/000.ply` and so on, in the input's frame and unit: the same vertices at even times, their colours
    telling where they were at time 0; `OUT/film.mp4`, the input beside it; `OUT/frames.csv`, how well each frame is
    explained; `OUT/flow.toml`, all settings; `OUT/summary.txt`. Prints what it found.

    correspondences: the files have the same vertices, whose ways are followed. resolution: cells along the cube's edge,
    a power of two times 32. frames: how many meshes, those of the input where None.

    Raises UsageError, InputMissing, BadInput, CannotCreate, WriteFailed, Diverged.
    """
    began = time.monotonic()
    known = {"correspondence_weight": 1.0} if correspondences else {}
    config = make_flow_config(preset, assignments or [], schedule={"steps": steps}, loss=known, seed=seed)
    if resolution not in RESOLUTIONS:
        raise UsageError("unknown resolution", where=f"--res {resolution}", todo=f"choose one of {RESOLUTIONS}")
    files = sequence_files(folder)
    target = out or default_run(folder.absolute().name)
    if (target / MESHES).resolve() == folder.resolve():
        todo = "choose another --out"
        raise UsageError("the result would replace the input", where=f"--out {target}", todo=todo)
    with gone_if_refused(target / MESHES, target) as keep:
        create_folder(target / MESHES)
        sequence = _read(files, config)
        from .. import runtime
        from ..methods.flow.prepared import labelled

        device = runtime.init(arch, threads=threads).device
        seen = labelled(sequence, config.samples, config.seed)
        lines = _sequence_lines(sequence)
        print("\n".join(lines), flush=True)
        trainer = _fitted(config, seen, device)
        meshes = _meshes(trainer, seen, resolution, frames or len(sequence))
        keep()
    written = _write_meshes(target, meshes, seen.T_world_normalised)
    scores = _scores(trainer, sequence, config)
    atomic_write(target / SETTINGS, to_toml(config))
    atomic_write(target / TABLE, _table(sequence, scores))
    more = [f"fit       {preset}, {config.schedule.steps:,} steps, seed {config.seed}", *_result_lines(meshes, scores)]
    if film_frames:
        more += _film_lines(target / FILM, _film_pictures(trainer, seen, meshes[0], sequence, film_frames))
    more.append(f"written   {written[0]} to {written[-1].name}, {time.monotonic() - began:.0f} s in all")
    atomic_write(target / SUMMARY, "\n".join([*lines, *more, ""]))
    print("\n".join(more))
    return FlowReport(tuple(written), scores)


def _read(files: list[Path], config: FlowConfig) -> MeshSequence:
    """Warns of frames that may not belong together. Raises BadInput."""
    from ..methods.flow.frames import read_frames

    sequence = read_frames(files, config.cloud)
    other = sequence.unlike_first()
    if config.loss.correspondence_weight and other:
        why = f"its vertices and faces are not those of {sequence.names[0]}"
        raise BadInput("no correspondences", where=files[0].with_name(other), why=why, todo="fit without them")
    for doubt in sequence.doubts():
        warn(doubt)
    return sequence


def _fitted(config: FlowConfig, seen: LabelledSequence, device: torch.device) -> FlowTrainer:
    """All steps. Raises Diverged."""
    from ..fitting.progress import Moment, Progress
    from ..methods.flow.trainer import FlowTrainer, fit_flow, threads_for

    trainer = FlowTrainer(config, seen, device)
    batch = config.samples.first + config.samples.later
    with threads_for(config), Progress(config.schedule.steps, batch, items="points") as progress:
        fit_flow(trainer, lambda step, loss: progress.update(Moment(step, loss)))
    return trainer


def _meshes(trainer: FlowTrainer, seen: LabelledSequence, resolution: int, count: int) -> list[Mesh]:
    """The same vertices at `count` even times, normalised frame. Raises Diverged."""
    import numpy as np

    from ..methods.flow.result import first_mesh, moving_mesh

    first = first_mesh(trainer.flow, seen.half, resolution)
    first = replace(first, colours=_place_colours(first.vertices))
    return list(moving_mesh(trainer.flow, first, np.linspace(0, 1, count)))


def _place_colours(vertices: np.ndarray) -> np.ndarray:
    """Colours (V, 3) uint8 that tell where in their box vertices are."""
    import numpy as np

    low = vertices.min(axis=0)
    share = (vertices - low) / np.maximum(np.ptp(vertices, axis=0), 1e-12)
    return np.round(255 * (0.1 + 0.85 * share)).astype(np.uint8)


def _scores(trainer: FlowTrainer, sequence: MeshSequence, config: FlowConfig) -> FlowScores:
    """On points that the fit has not seen. Warns where the motion does not explain a frame."""
    from ..methods.flow.prepared import labelled
    from ..methods.flow.result import scores

    others = config.samples.model_copy(update={"per_frame": HELD_OUT, "near_share": 0.0})
    found = scores(trainer.flow, labelled(sequence, others, config.seed + 1))
    if found.iou.min() < LEAST_IOU:
        frame = sequence.names[int(found.iou.argmin())]
        warn(f"{frame} is not explained: its IoU is {found.iou.min():.2f}; take more --steps")
    return found


def _write_meshes(target: Path, meshes: list[Mesh], T_world_normalised: np.ndarray) -> list[Path]:
    """000.ply and so on, in the world frame; meshes of an older run that had more go."""
    from ..meshes.mesh import transformed
    from ..meshes.writing import write_mesh

    folder, digits = target / MESHES, max(3, len(str(len(meshes) - 1)))
    written = [folder / f"{number:0{digits}d}.ply" for number in range(len(meshes))]
    for path, mesh in zip(written, meshes, strict=True):
        write_mesh(path, transformed(mesh, T_world_normalised))
    older = set(folder.glob("*.ply")) - set(written) if (target / SETTINGS).is_file() else set()
    for path in older:
        if path.stem.isdecimal():
            remove(path)
    return written


def _film_lines(path: Path, pictures: list[np.ndarray]) -> list[str]:
    """What is said of the film; one that cannot be written is no reason to lose the rest."""
    from ..pictures.film import write_film

    try:
        write_film(path, pictures, FILM_SPEED)
    except (Unavailable, WriteFailed) as error:
        warn(error)
        return []
    return [f"film      {path}"]


def _film_pictures(
    trainer: FlowTrainer, seen: LabelledSequence, first: Mesh, sequence: MeshSequence, count: int
) -> list[np.ndarray]:
    """The input at the frame nearest in time, and beside it the mesh as it moves."""
    import numpy as np

    from ..meshes.mesh import transformed
    from ..methods.flow.result import moving_mesh
    from ..painting.side_by_side import side_by_side, watching

    given = [transformed(mesh, np.linalg.inv(seen.T_world_normalised)) for mesh in sequence.meshes]
    if sequence.unlike_first() is None:
        colours = _place_colours(given[0].vertices)
        given = [replace(mesh, colours=colours) for mesh in given]
    camera = watching(np.concatenate([mesh.vertices for mesh in given]), FILM_SIZE)
    times, pictures = np.linspace(0, 1, count), []
    for moment, found in zip(times, moving_mesh(trainer.flow, first, times), strict=True):
        nearest = int(np.abs(sequence.times - moment).argmin())
        pictures.append(side_by_side([given[nearest], found], camera, FILM_SIZE))
    return pictures


def _sequence_lines(sequence: MeshSequence) -> list[str]:
    """What was given, in words."""
    low, high = sequence.box()
    same = "the same vertices at all times" if sequence.unlike_first() is None else "vertices differ"
    return [
        f"frames    {len(sequence)}, {sequence.names[0]} to {sequence.names[-1]}, {same}",
        "size      " + " x ".join(f"{extent:.4g}" for extent in high - low) + " world units in all",
    ]


def _result_lines(meshes: list[Mesh], scores: FlowScores) -> list[str]:
    """What came of it, in words."""
    from ..meshes.mesh import topology

    found = topology(meshes[0].faces, len(meshes[0].vertices))
    state = "watertight" if found.closed else "NOT watertight"
    count = f"{len(meshes)} times {len(meshes[0].vertices):,} vertices, {len(meshes[0].faces):,} faces"
    lines = [
        f"meshes    {count}, {state}, {found.bodies} {'body' if found.bodies == 1 else 'bodies'}",
        f"IoU       {scores.iou.mean():.3f}, least {scores.iou.min():.3f} (frame {scores.iou.argmin()})",
    ]
    if scores.correspondence is not None:
        error = 100 * scores.correspondence[1:]
        lines.append(
            f"vertices  {error.mean():.2f} % of the longest edge off their true places, at most {error.max():.2f} %"
        )
    return lines


def _table(sequence: MeshSequence, scores: FlowScores) -> str:
    """One row for each frame of the input."""
    errors = [""] * len(sequence) if scores.correspondence is None else [f"{e:.6f}" for e in scores.correspondence]
    rows = zip(sequence.names, sequence.times, scores.iou, errors, strict=True)
    lines = [f"{name},{moment:.6f},{iou:.6f},{error}" for name, moment, iou, error in rows]
    return "\n".join(["file,time,iou,correspondence_error", *lines, ""])

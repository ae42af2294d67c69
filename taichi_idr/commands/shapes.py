"""`tidr shapes`: closed meshes become an occupancy network, and what it says becomes meshes."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CannotCreate, Diverged, InputMissing, UsageError, warn
from ..files.writing import atomic_write, create_folder, gone_if_refused
from ..meshes.files import find_meshes
from ..methods.shapes.settings import ShapesConfig, make_shapes_config
from ..runs.folder import RunFolder, default_run, is_shapes_run

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from ..meshes.mesh import Mesh
    from ..meshes.solid import Solid
    from ..methods.shapes.extraction import Shape
    from ..methods.shapes.network import OccupancyModel
    from ..methods.shapes.trainer import ShapesTrainer
    from ..runs.shapes import KnownShapes, LoadedShapes
    from ..runtime import Arch

METRICS, LOCK = "metrics.json", "run.lock"
MESHES, INTERPOLATED, SAMPLES = "mesh", "interpolated", "samples"
RESOLUTION = 256
WIDE = 256  # layers from which a product of some thousand rows is worth a second thread


@dataclass(frozen=True)
class Wanted:
    """What is made of a run beside its own shapes. interpolate: two shapes, by name or number; count: meshes from one
    to the other; sample: how many codes are drawn from N(0, 1); seed: of these, by default the run's."""

    interpolate: tuple[str, str] | None = None
    count: int = 5
    sample: int = 0
    seed: int | None = None

    @property
    def anything(self) -> bool:
        return self.interpolate is not None or self.sample > 0


@dataclass(frozen=True)
class ShapesSummary:
    """run: its folder; files: meshes that were written; numbers: by the name of a shape, as in metrics.json."""

    run: Path
    files: list[Path]
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)


def shape_meshes(
    meshes: list[Path],
    *,
    out: Path | None = None,
    preset: str | None = None,
    assignments: list[str] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    resolution: int = RESOLUTION,
    wanted: Wanted = Wanted(),
    fresh: bool = False,
    arch: Arch = "cpu",
    threads: int | None = None,
) -> ShapesSummary:
    """Learn the inside of closed meshes and write what the network says of them, `OUT/mesh/NAME.ply`, each in its
    file's frame and unit, with `OUT/metrics.json`; prints how near they are.

    meshes: files, or folders of some; or nothing, or the folder of a run: that is asked again, then, not trained. An
    interrupted run of the same meshes and settings goes on. preset: None is `fast` for one mesh, `latent` for several.
    resolution: cells along an edge of a shape's padded box. wanted: beside these, `OUT/interpolated/A-B/*.ply` and
    `OUT/samples/*.ply`.

    >>> summary = shape_meshes([capture / "gt_mesh.ply"], out=out, steps=20, resolution=32)
    shapes    1: gt_mesh...
    >>> [file.name for file in summary.files]
    ['gt_mesh.ply']

    Raises UsageError, InputMissing, BadInput (a mesh that is open), CannotCreate, Locked, WriteFailed, Diverged,
    Stopped.
    """
    run = _existing_run(meshes, out)
    if run is not None:
        _refuse_training(run, preset, assignments, steps, fresh)
        return _ask_again(run, replace(wanted, seed=seed), resolution, arch, threads)
    files = found_meshes(meshes)
    config = make_shapes_config(preset, len(files), assignments or [], schedule={"steps": steps}, seed=seed)
    _check_wanted(wanted, list(files))
    folder = out or default_run(meshes[0].stem if len(meshes) == 1 else "shapes")
    if RunFolder(folder).config_file.exists():
        raise CannotCreate(
            "cannot create run", where=folder, why="it is of another command", todo="choose another --out"
        )
    from .. import runtime
    from ..runs.lock import hold

    with gone_if_refused(folder) as keep:
        create_folder(folder)
        runtime.init(arch, threads=threads)
        solids, digests = _solids(files)
        with hold(folder / LOCK):
            keep()
            return _fitted(folder, config, list(files), solids, digests, wanted, resolution, fresh)


def found_meshes(paths: list[Path]) -> dict[str, Path]:
    """Files by the names of their shapes, which tell all of them apart; of folders, all meshes in them.

    Raises UsageError without any, InputMissing, BadInput.
    """
    files = [file for path in paths for file in find_meshes(path)]
    if not files:
        raise UsageError("no mesh", where="tidr shapes", todo="name meshes, or the folder of a run")
    found: dict[str, Path] = {}
    times = Counter(file.stem for file in files)
    for number, file in enumerate(files):
        name = file.stem if times[file.stem] == 1 else f"{file.stem}_{number}"
        while name in found:
            name += "_"
        found[name] = file
    return found


def _existing_run(meshes: list[Path], out: Path | None) -> Path | None:
    """The run that is to be asked again, where no mesh is to be learned. Raises InputMissing."""
    if len(meshes) == 1 and meshes[0].is_dir() and is_shapes_run(meshes[0]):
        if out is not None and out.resolve() != meshes[0].resolve():
            raise UsageError("two runs", where=f"{meshes[0]} --out {out}", todo="leave out --out")
        return meshes[0]
    if meshes or out is None:
        return None
    if not is_shapes_run(out):
        raise InputMissing("no run of shapes", where=out, todo="name meshes to make it of")
    return out


def _refuse_training(run: Path, *options: Any) -> None:
    if any(option not in (None, False, []) for option in options):
        why, todo = "a run is asked again, not trained", "leave out --preset, --set, --steps and --fresh"
        raise UsageError("nothing to train", where=run, why=why, todo=f"{todo}, or name its meshes")


def _check_wanted(wanted: Wanted, names: list[str]) -> None:
    """Raises UsageError where there is nothing between shapes, or no such shape."""
    if len(names) == 1 and wanted.anything:
        option = "--interpolate" if wanted.interpolate else "--sample"
        raise UsageError("one shape has no codes", where=option, why="the run has one", todo="name several meshes")
    for text in wanted.interpolate or ():
        _number(text, names)


def _number(text: str, names: list[str]) -> int:
    """Of the shape with this name or number. Raises UsageError."""
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    todo = f"choose of {', '.join(f'{i} {name}' for i, name in enumerate(names[:6]))}{' …' if len(names) > 6 else ''}"
    raise UsageError("no such shape", where=f"--interpolate {text}", todo=todo)


def _solids(files: dict[str, Path]) -> tuple[list[Solid], list[str]]:
    """Closed meshes, and digests of what the files say. Raises BadInput, InputMissing."""
    from ..meshes.reading import read_mesh
    from ..meshes.solid import make_solid
    from ..runs.shapes import digest

    meshes = [read_mesh(file) for file in files.values()]
    solids = [make_solid(mesh, file) for mesh, file in zip(meshes, files.values(), strict=True)]
    faces = [f"{name} ({len(mesh.faces):,} faces)" for name, mesh in zip(files, meshes, strict=True)]
    print(f"shapes    {len(faces)}: {', '.join(faces[:6])}{' …' if len(faces) > 6 else ''}", flush=True)
    for file, solid in zip(files.values(), solids, strict=True):
        if not solid.oriented:
            warn(f"{file}: its faces do not agree on what is outside; a place counts as inside by parity")
    return solids, [digest(mesh) for mesh in meshes]


def _fitted(
    folder: Path,
    config: ShapesConfig,
    names: list[str],
    solids: list[Solid],
    digests: list[str],
    wanted: Wanted,
    resolution: int,
    fresh: bool,
) -> ShapesSummary:
    """Trained, or gone on with; meshed and measured."""
    import torch

    from .. import runtime
    from ..runs.shapes import STATE, check_goes_on, load_shapes

    began, loaded = time.monotonic(), None
    if fresh:
        shutil.rmtree(folder / STATE, ignore_errors=True)
    elif is_shapes_run(folder):
        loaded = load_shapes(folder)
        check_goes_on(loaded, config, digests, folder)
    if loaded is None or loaded.step < config.schedule.steps:
        _train(folder, config, names, solids, digests, loaded)
    loaded = load_shapes(folder)
    model, known = loaded.model(runtime.current().device), loaded.known
    print(
        f"fit       {config.preset}, {loaded.step:,} steps, seed {config.seed}, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    codes = mean_codes(model, known)
    files, numbers = [], {}
    for number, name in enumerate(known.names):
        shape = _shape(model, codes[number], config, known, number, resolution)
        files.append(_written(folder / MESHES / f"{name}.ply", shape.mesh))
        generator = torch.Generator().manual_seed(config.seed)
        numbers[name] = _measured(model, codes[number], shape, solids[number], config, generator)
        print(_line(name, shape, numbers[name]), flush=True)
    atomic_write(folder / METRICS, json.dumps(numbers, indent=1) + "\n")
    files += _more(folder, model, codes, config, known, wanted, resolution)
    print("\n".join(f"written   {file}" for file in files))
    return ShapesSummary(folder, files, numbers)


def _ask_again(run: Path, wanted: Wanted, resolution: int, arch: Arch, threads: int | None) -> ShapesSummary:
    """Meshes of a run that is there: what is wanted, or its own shapes."""
    from .. import runtime
    from ..runs.shapes import load_shapes

    runtime.init(arch, threads=threads)
    loaded = load_shapes(run)
    known, config = loaded.known, loaded.config
    _check_wanted(wanted, known.names)
    if loaded.step < config.schedule.steps:
        warn(f"{run} has done {loaded.step:,} of {config.schedule.steps:,} steps: name its meshes to finish it")
    model = loaded.model(runtime.current().device)
    codes, files = mean_codes(model, known), []
    if not wanted.anything:
        for number, name in enumerate(known.names):
            shape = _shape(model, codes[number], config, known, number, resolution)
            files.append(_written(run / MESHES / f"{name}.ply", shape.mesh))
    files += _more(run, model, codes, config, known, wanted, resolution)
    print("\n".join(f"written   {file}" for file in files))
    return ShapesSummary(run, files)


def _train(
    folder: Path,
    config: ShapesConfig,
    names: list[str],
    solids: list[Solid],
    digests: list[str],
    loaded: LoadedShapes | None,
) -> None:
    """All steps that are left, with checkpoints. Raises Stopped, once one is written, and Diverged."""
    import torch

    from .. import runtime
    from ..fitting.interrupts import Interrupts
    from ..fitting.progress import Moment, Progress
    from ..methods.shapes.samples import make_pool
    from ..methods.shapes.trainer import ShapesTrainer
    from ..runs.shapes import save_shapes

    schedule, generator = config.schedule, torch.Generator().manual_seed(config.seed)
    pool = make_pool(solids, config.samples, config.surface.places, generator)
    shares = 100 * pool.inside.float().mean(dim=1)
    print(f"points    {config.samples.pool:,} a shape, {_span(shares.tolist())} % of them inside", flush=True)
    known = _known(
        names, solids, digests, pool.drawn(torch.arange(len(names)), schedule.points, generator), pool.surface
    )
    trainer = ShapesTrainer(config, pool, runtime.current().device)
    if loaded is not None:
        trainer.load_state(loaded.tensors, loaded.step)
    batch = schedule.points * min(schedule.shapes, len(names))
    with Interrupts() as interrupts, _threads(config), Progress(schedule.steps, batch, items="points") as progress:
        while trainer.steps_done < schedule.steps:
            progress.update(Moment(trainer.steps_done + 1, trainer.step()))
            if interrupts.pending or _due(trainer, schedule.checkpoint_interval):
                save_shapes(folder, config, known, trainer.steps_done, trainer.state())
            if interrupts.pending:
                raise interrupts.stopped(folder)


def _due(trainer: ShapesTrainer, interval: int) -> bool:
    return trainer.steps_done % interval == 0 or trainer.steps_done == trainer.config.schedule.steps


def _threads(config: ShapesConfig) -> Any:
    """Around the steps: how many threads torch uses in them."""
    from contextlib import nullcontext

    from .. import runtime

    narrow = config.network.kind == "hash" or config.network.width < WIDE
    return runtime.small_batches() if narrow else nullcontext()


def _known(
    names: list[str], solids: list[Solid], digests: list[str], drawn: tuple[Tensor, Tensor], places: Tensor
) -> KnownShapes:
    import numpy as np

    from ..runs.shapes import KnownShapes

    return KnownShapes(names, digests, np.stack([solid.T_world_normalised for solid in solids]), *drawn, places)


def mean_codes(model: OccupancyModel, known: KnownShapes) -> Tensor:
    """Codes (S, Z) of a run's shapes: the means of q(z | points)."""
    import torch

    from ..methods.shapes.extraction import mean_code

    device = next(model.parameters()).device
    pairs = zip(known.points.to(device), known.inside.to(device), strict=True)
    return torch.stack([mean_code(model, points, inside) for points, inside in pairs])


def _shape(
    model: OccupancyModel, code: Tensor, config: ShapesConfig, known: KnownShapes, number: int, resolution: int
) -> Shape:
    from ..methods.shapes.extraction import shape_of

    places = known.places[number].numpy()
    return shape_of(model, code, config, known.frames[number], resolution=resolution, places=places)


def _measured(
    model: OccupancyModel, code: Tensor, shape: Shape, solid: Solid, config: ShapesConfig, generator: torch.Generator
) -> dict[str, float]:
    """iou; chamfer: distance from the given mesh, of the longest edge of its box; asked: share of the lattice."""
    from ..measures.surfaces import mesh_distance
    from ..meshes.mesh import transformed
    from ..methods.shapes.extraction import overlap

    truth, T = transformed(solid.mesh, solid.T_world_normalised), solid.T_world_normalised
    found = mesh_distance(shape.mesh, truth)
    return {
        "iou": overlap(model, code, solid, config.samples, generator),
        "chamfer": found.chamfer / float(T[0, 0]),
        "normal_error_deg": found.normal_error_deg,
        "asked": shape.share,
    }


def _line(name: str, shape: Shape, numbers: dict[str, float]) -> str:
    from ..meshes.mesh import topology

    found = topology(shape.mesh.faces, len(shape.mesh.vertices))
    bodies = "1 body" if found.bodies == 1 else f"{found.bodies} bodies"
    near = f"IoU {numbers['iou']:.4f}, Chamfer {100 * numbers['chamfer']:.3f} % of the box"
    asked = f"{100 * numbers['asked']:.1f} % of the lattice asked"
    return f"{name:<9} {near}, {len(shape.mesh.vertices):,} vertices, {bodies}, {asked}"


def _more(
    run: Path,
    model: OccupancyModel,
    codes: Tensor,
    config: ShapesConfig,
    known: KnownShapes,
    wanted: Wanted,
    resolution: int,
) -> list[Path]:
    """Meshes of other codes than those of the shapes."""
    files = []
    if wanted.interpolate is not None:
        first, last = (_number(text, known.names) for text in wanted.interpolate)
        folder = run / INTERPOLATED / f"{known.names[first]}-{known.names[last]}"
        between = _between(codes, known, first, last, wanted.count)
        files += _meshes(folder, model, between, config, resolution, known.places[[first, last]].flatten(0, 1).numpy())
    if wanted.sample:
        seed = config.seed if wanted.seed is None else wanted.seed
        files += _meshes(run / SAMPLES, model, _drawn(codes, known, seed, wanted.sample), config, resolution, None)
    return files


def _between(
    codes: Tensor, known: KnownShapes, first: int, last: int, count: int
) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Codes and frames, both in equal steps from one shape's to the other's."""
    for number in range(count):
        share = number / max(count - 1, 1)
        frame = (1 - share) * known.frames[first] + share * known.frames[last]
        yield (1 - share) * codes[first] + share * codes[last], frame


def _drawn(codes: Tensor, known: KnownShapes, seed: int, count: int) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Codes from N(0, 1), in the mean of the shapes' frames."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randn(codes.shape[1], generator=generator).to(codes), known.frames.mean(axis=0)


def _meshes(
    folder: Path,
    model: OccupancyModel,
    asked: Iterator[tuple[Tensor, np.ndarray]],
    config: ShapesConfig,
    resolution: int,
    places: np.ndarray | None,
) -> list[Path]:
    """One file for each code; a code without a surface is told."""
    from ..methods.shapes.extraction import shape_of

    files = []
    for number, (code, frame) in enumerate(asked):
        file = folder / f"{number:03d}.ply"
        try:
            shape = shape_of(model, code, config, frame, resolution=resolution, places=places)
        except Diverged as error:
            warn(f"{file} is not written: {error.what}")
            continue
        files.append(_written(file, shape.mesh))
    return files


def _written(file: Path, mesh: Mesh) -> Path:
    from ..meshes.writing import write_mesh

    create_folder(file.parent)
    write_mesh(file, mesh)
    return file


def _span(numbers: list[float]) -> str:
    low, high = f"{min(numbers):.0f}", f"{max(numbers):.0f}"
    return low if low == high else f"{low} to {high}"

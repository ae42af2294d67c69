"""Silhouettes cut of photos whose cameras are known: what `tidr mask`, `tidr prepare` and fits without masks share."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CannotCreate, warn
from ..files.writing import atomic_write, create_folder, gone_if_refused, replacing_folder
from ..types import CaptureReading

if TYPE_CHECKING:
    from ..capture.formats.source import Layout
    from ..masking.network import MaskNetwork
    from ..masking.small_photos import SmallPhoto
    from ..structure.model import Structure
    from ..structure.region import Region
    from .prepare import Knowledge

MASKS = "masks"
"""Folder of silhouettes."""
RECORD = "cut.json"  # what they were cut of
NOT_YET = "none"  # there is never such a folder
SEED = 0


def silhouettes_beside(
    capture: Path,
    reading: CaptureReading,
    folder: Path,
    knowledge: Knowledge,
    *,
    threads: int | None = None,
    fresh: bool = False,
) -> CaptureReading:
    """Cut silhouettes of a capture's photos into a folder, with what the object stands on and how the photos are
    exposed, and return the reading that takes them in the place of the capture's own, which are not looked at.

    knowledge: of it region, keep_support and mask_model. What was cut before of the same files is left as it is, and
    what people drew on it; photos that carry their silhouette as alpha keep it. fresh: what was cut of others goes.
    Raises InputMissing, BadInput (also where no object is found), Unavailable without OpenCV or onnxruntime,
    CannotCreate where silhouettes of other files are, WriteFailed.
    """
    from ..capture.fingerprints import fingerprint, fingerprints
    from ..capture.formats.catalogue import find_capture

    bare = replace(reading, silhouettes=str(folder.resolve() / NOT_YET))
    layout = find_capture(capture, bare, need_masks=False)
    if layout.masks is None:
        return reading
    model = None if knowledge.mask_model is None else fingerprint(knowledge.mask_model)
    known = {"region": knowledge.region, "keep_support": knowledge.keep_support, "mask_model": model}
    record = json.dumps({**known, "files": fingerprints(capture, layout)}, indent=1) + "\n"
    before = (folder / RECORD).read_text() if (folder / RECORD).is_file() else None
    if before is not None and before != record:
        if not fresh:
            todo = "use the same options, another --out, or --fresh"
            raise CannotCreate("silhouettes of other photos or options", where=folder, todo=todo)
        shutil.rmtree(folder)
    if before != record:
        with gone_if_refused(folder, folder.parent), replacing_folder(folder) as new:
            _cut_into(new, layout, bare, knowledge, threads)
            atomic_write(new / RECORD, record)
    return replace(reading, silhouettes=str(folder.resolve()))


def looked_at(
    layout: Layout, reading: CaptureReading, region: tuple[float, float, float, float] | None = None
) -> tuple[Structure, list[SmallPhoto], Region]:
    """Points that the photos of a capture share, its photos made small, and where the object is; world frame.

    region: x, y, z, radius of a ball that holds it, where that is known.
    """
    import numpy as np

    from ..capture.reading import stored_views
    from ..masking.object_ball import sighted_region
    from ..masking.small_photos import small_photos
    from ..structure.region import find_region, region_of_ball
    from ..structure.tracks import known_structure

    print(f"photos    {len(layout.images)}, with cameras", flush=True)
    structure = known_structure(stored_views(layout, reading))
    small, found = small_photos(structure), find_region(structure, np.random.default_rng(SEED))
    if region is None:
        found = sighted_region(found, small, structure.points)
    else:
        found = region_of_ball(structure, np.array(region[:3]), region[3], found.support)
    print(found.sentence, flush=True)
    return structure, small, found


def cut_masks(
    small: list[SmallPhoto],
    structure: Structure,
    region: Region,
    folder: Path,
    network: MaskNetwork | None = None,
    *,
    keep_support: bool = False,
) -> list[Path]:
    """The files of silhouettes that are cut into a folder, by a network if there is one. Warns of photos without the
    object."""
    import numpy as np

    from ..masking.kept_support import with_support
    from ..masking.rounds import object_masks
    from ..masking.seeds import within
    from ..masking.writing import write_masks

    print("masks     ...", flush=True)
    if network is None:
        masks = object_masks(small, structure, region)
    else:
        masks = [(network(photo.colour) > 0.5) & within(photo, region) for photo in small]
    empty = [photo.view.image.name for photo, mask in zip(small, masks, strict=True) if not mask.any()]
    if empty:
        warn(f"no object found in {', '.join(empty)}: draw their masks, or leave them out")
    print(f"masks     the object covers {100 * np.median([mask.mean() for mask in masks]):.0f} % of the usual photo")
    return write_masks(small, with_support(small, masks, region) if keep_support else masks, folder)


def write_known_exposures(structure: Structure, small: list[SmallPhoto], out: Path) -> None:
    """Where photos differ in exposure."""
    import numpy as np

    from ..capture.known_exposures import write_exposures
    from ..masking.small_photos import cameras_of
    from ..structure.exposures import track_stops

    if not small:
        return
    colours = [photo.colours_at(structure.points[structure.seen_by(view)]) for view, photo in enumerate(small)]
    stops = track_stops(structure, colours, cameras_of(small, np.eye(4)))
    if stops is not None:
        mean = stops.mean(axis=1)
        print(f"exposure  {mean.min():+.1f} to {mean.max():+.1f} EV, by the points that photos share", flush=True)
        write_exposures(out, [view.image for view in structure.views], stops)


def _cut_into(folder: Path, layout: Layout, reading: CaptureReading, knowledge: Knowledge, threads: int | None) -> None:
    from .. import runtime

    runtime.init("cpu", threads=threads)
    from ..capture.cut_masks import write_cut
    from ..capture.support import write_support
    from ..masking.kept_support import underside
    from ..masking.network import MaskNetwork

    network = None if knowledge.mask_model is None else MaskNetwork(knowledge.mask_model, threads)
    structure, small, region = looked_at(layout, reading, knowledge.region)
    keep = knowledge.keep_support
    files = cut_masks(small, structure, region, create_folder(folder / MASKS), network, keep_support=keep)
    if not keep:  # a disc's border is no edge of the photo, which a fit might find
        write_cut(folder, files)
    support = underside(region) if keep else region.support
    if support is not None:
        write_support(folder, support)
    write_known_exposures(structure, small, folder)

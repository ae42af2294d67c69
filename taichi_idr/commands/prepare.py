"""`tidr prepare`: plain photos, or a video, become a capture, with cameras and silhouettes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CannotCreate, InputMissing, UsageError
from ..files.writing import atomic_write, create_folder, gone_if_refused, replacing_folder, scratch_folder
from .silhouettes import MASKS, SEED, cut_masks, write_known_exposures

if TYPE_CHECKING:
    from ..masking.network import MaskNetwork
    from ..masking.small_photos import SmallPhoto
    from ..structure.engine import Engine
    from ..structure.model import Structure
    from ..structure.region import Region

RECORD = "prepared.json"
VERSION = 1
LEAVE = "leave it out"


@dataclass(frozen=True)
class Knowledge:
    """What is known of plain photos beforehand.

    masks: folder of silhouettes, named as their photos; then none are cut. focal: length in pixels. quick: cameras in a
    quarter of the time, of fewer photos. region: x, y, z, radius of a ball that holds the object, in the world of a
    capture that was prepared before. sfm: what finds the cameras; auto is COLMAP where it is. keep_support: a piece of
    what the object stands on is part of it. mask_model: ONNX file of a network that cuts the silhouettes.
    """

    masks: Path | None = None
    focal: float | None = None
    quick: bool = False
    region: tuple[float, float, float, float] | None = None
    sfm: Engine = "auto"
    keep_support: bool = False
    mask_model: Path | None = None


def prepare_capture(photos: Path, out: Path, knowledge: Knowledge | None = None, *, threads: int | None = None) -> Path:
    """Find cameras of plain photos, what they look at and its silhouettes, and write all that as a capture.

    Of a video the sharpest frames are taken. The world's z is up and its origin in the object's middle; its unit is the
    radius of a ball around the object. What was prepared before from the same photos and with the same knowledge is
    left as it is. Returns `out`.

    Raises InputMissing, BadInput, Unavailable (an optional package is not installed), OutOfMemory, UsageError,
    CannotCreate, WriteFailed.
    """
    from ..capture.formats.source import folder_of_photos
    from ..masking.network import MaskNetwork, check_there
    from ..structure.files import is_video, plain_photos

    knowledge = knowledge or Knowledge()
    if knowledge.region is not None and not knowledge.region[3] > 0:
        where = f"--region ...,{knowledge.region[3]:g}"
        raise UsageError("no such ball", where=where, why="its radius is not positive", todo="give a radius above 0")
    files = [photos] if is_video(photos) else plain_photos(photos)
    masks = _known_masks(photos, knowledge.masks)
    if masks is not None:
        _refuse_cutting(knowledge, f"{masks} holds them")
    if knowledge.mask_model is not None:
        check_there(knowledge.mask_model)
    record = _record(knowledge, files, masks)
    if (before := _read_record(out)) is not None and {**record, "placed": before["placed"]} == before:
        print(f"prepared  {out}: {before['placed']} photos, from before")
        return out
    if out.is_dir() and any(out.iterdir()):
        raise CannotCreate("the folder is not empty", where=out, todo="name a new one, or remove it")
    network = None if knowledge.mask_model is None else MaskNetwork(knowledge.mask_model, threads)
    with gone_if_refused(out), replacing_folder(out) as new, scratch_folder() as frames:
        from .. import runtime

        if is_video(photos):
            from ..structure.video import write_frames

            files, where = write_frames(photos, frames), f"sharp frames of {photos}"
        else:
            where = f"in {folder_of_photos(photos)}"
        print(f"photos    {len(files)} {where}", flush=True)
        runtime.init("cpu", threads=threads)
        structure, region, small = _placed(files, knowledge, threads, cut=masks is None)
        if masks is None and not small:
            _refuse_cutting(knowledge, "the photos carry their silhouettes")
        if knowledge.keep_support and region.support is None:
            raise UsageError("no support to keep", where="--keep-support", why="no plane is plain to see", todo=LEAVE)
        _write(structure, region, masks, small, network, new, keep_support=knowledge.keep_support)
        atomic_write(new / RECORD, json.dumps({**record, "placed": len(structure)}, indent=1) + "\n")
    print(f"prepared  {out}: tidr check and tidr fit take it")
    return out


def _refuse_cutting(knowledge: Knowledge, why: str) -> None:
    """Where silhouettes are there already."""
    for option, given in (("--keep-support", knowledge.keep_support), ("--mask-model", knowledge.mask_model)):
        if given:
            raise UsageError("no masks are cut", where=option, why=why, todo=LEAVE)


def _known_masks(photos: Path, chosen: Path | None) -> Path | None:
    """The folder of masks that were given or lie beside the photos."""
    from ..capture.formats.source import MASK_FOLDERS

    if chosen is not None and not chosen.is_dir():
        raise InputMissing("no such folder", where=f"--masks {chosen}", todo="name the folder of masks")
    return chosen or next((photos / name for name in MASK_FOLDERS if (photos / name).is_dir()), None)


def _record(knowledge: Knowledge, files: Sequence[Path], masks: Path | None) -> dict[str, Any]:
    """What a prepared capture depends on, as JSON has it."""
    from ..capture.fingerprints import fingerprint
    from ..capture.formats.source import list_images

    drawn = {} if masks is None else {path.name: fingerprint(path) for path in list_images(masks, "mask")}
    known = {"focal": knowledge.focal, "quick": knowledge.quick, "region": knowledge.region and [*knowledge.region]}
    if knowledge.sfm != "auto":
        known["sfm"] = knowledge.sfm
    if knowledge.keep_support:
        known["keep_support"] = True
    if knowledge.mask_model is not None:
        known["mask_model"] = fingerprint(knowledge.mask_model)
    return {"version": VERSION, **known, "photos": {path.name: fingerprint(path) for path in files}, "masks": drawn}


def _read_record(out: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((out / RECORD).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("placed"), int) else None


def _placed(
    files: Sequence[Path], knowledge: Knowledge, threads: int | None, *, cut: bool
) -> tuple[Structure, Region, list[SmallPhoto]]:
    """Cameras and points in a frame about the object, the region in it, and photos that masks are to be cut of, if any.

    cut: unless the photos carry their silhouettes.
    """
    import numpy as np

    from ..masking.object_ball import sighted_region
    from ..masking.small_photos import seen_from, small_photos
    from ..structure.engine import SfmOptions, find_structure
    from ..structure.region import find_region, region_of_ball, upright

    with scratch_folder() as folder:
        options = SfmOptions(knowledge.focal, knowledge.quick, threads, knowledge.sfm)
        structure = find_structure(
            files, folder / "work", options, lambda stage: print(f"cameras   {stage} ...", flush=True)
        )
    points = np.bincount(structure.observing, minlength=len(structure))
    lengths = sorted({round(view.pinhole.fx) for view in structure.views})
    focal_words = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    print(
        f"cameras   {len(structure)} of {len(files)} photos, {np.median(points):.0f} points in the usual one, "
        f"focal length {focal_words} pixels",
        flush=True,
    )
    small = small_photos(structure) if cut and not _have_alpha(structure) else []
    found = find_region(structure, np.random.default_rng(SEED))
    if small and knowledge.region is None:
        found = sighted_region(found, small, structure.points)
    structure, found = upright(structure, found)
    if knowledge.region is not None:
        *centre, radius = knowledge.region
        found = region_of_ball(structure, np.array(centre), radius, found.support)
    print(found.sentence, flush=True)
    return structure, found, seen_from(small, structure) if small else []


def _write(
    structure: Structure,
    region: Region,
    known: Path | None,
    small: list[SmallPhoto],
    network: MaskNetwork | None,
    out: Path,
    *,
    keep_support: bool,
) -> None:
    from ..capture.cut_masks import write_cut
    from ..capture.formats.colmap import COLMAP_FOLDER, model_texts
    from ..capture.support import write_support
    from ..masking.kept_support import underside

    images, masks = create_folder(out / "images"), create_folder(out / MASKS)
    for view in structure.views:
        _link(view.image, images / view.image.name)
    model = create_folder(out / COLMAP_FOLDER)
    of_object = structure.points[region.is_object].tolist()
    for name, text in model_texts(structure.views, of_object, model).items():
        atomic_write(model / name, text)
    support = underside(region) if keep_support else region.support
    if support is not None:
        write_support(out, support)
    if known is not None:
        _copy_masks(structure, known, masks)
    elif small:
        files = cut_masks(small, structure, region, masks, network, keep_support=keep_support)
        if not keep_support:  # a disc's border is no edge of the photo, which a fit might find
            write_cut(out, files)
    write_known_exposures(structure, small, out)
    if not any(masks.iterdir()):
        masks.rmdir()


def _have_alpha(structure: Structure) -> bool:
    from ..capture.formats.source import has_alpha

    return all(has_alpha(view.image) for view in structure.views)


def _copy_masks(structure: Structure, known: Path, folder: Path) -> None:
    from ..capture.formats.pairing import paired_masks
    from ..capture.formats.source import list_images

    images = [view.image for view in structure.views]
    for image, mask in zip(images, paired_masks(known, images, list_images(known, "mask")), strict=True):
        shutil.copyfile(mask, folder / f"{image.stem}{mask.suffix}")  # it may be painted on
    print(f"masks     {len(images)} from {known}")


def _link(file: Path, place: Path) -> None:
    """The same file there; a copy where links are not to be had."""
    try:
        os.link(file.resolve(), place)
    except OSError:
        shutil.copyfile(file, place)

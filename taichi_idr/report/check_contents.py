"""From an inspection to its page: pictures are drawn, numbers put in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..cameras.rotations import rotation_matrices
from ..capture.coverage import UPRIGHT
from ..capture.inspection import Inspection, Picture
from ..capture.quality import ViewQuality
from ..files.writing import atomic_write, create_folder, write_filled
from .check_page import CheckPage, PhotoCard, check_page_html, coverage_map, outlined
from .page import Row
from .scene import scene_html

MAP = "coverage.png"
PHOTOS = "photos"


def write_check(folder: Path, title: str, found: Inspection, memory: str) -> Path:
    """`index.html` and the pictures beside it. Raises CannotCreate, WriteFailed."""
    create_folder(folder / PHOTOS)
    files = [_picture_file(folder, number, picture) for number, picture in enumerate(found.pictures)]
    if found.coverage:
        _write_image(folder / MAP, coverage_map(found.coverage))
    odd = {picture.name for picture in found.pictures if picture.findings}
    state, verdict = verdict_of(found)
    page = CheckPage(
        title=f"{title}: {len(found.pictures)} photos",
        subtitle=f"{found.layout.format}, as `tidr check` found it",
        state=state,
        verdict=verdict,
        notes=found.notes,
        headlines=_headlines(found, len(odd), memory),
        scene=_scene(found, odd),
        world_map=MAP if found.coverage else "",
        coverage=_coverage_rows(found),
        photos=_cards(found, files),
    )
    atomic_write(folder / "index.html", check_page_html(page))
    return folder / "index.html"


def verdict_of(found: Inspection) -> tuple[str, str]:
    """good, look or bad; and why, in one line."""
    if found.error is not None:
        return "bad", f"A fit would refuse it: {found.error}"
    odd = sum(bool(picture.findings) for picture in found.pictures)
    if odd or found.notes:
        photos = f"{odd} of {len(found.pictures)} photos" if odd else "no single photo"
        return "look", f"It can be fitted; {photos} and {len(found.notes)} notes to look at first"
    return "good", "Nothing to object to"


def _cards(found: Inspection, files: list[str]) -> list[PhotoCard]:
    """Those with findings first."""
    quality = found.quality or (None,) * len(files)
    rows = zip(found.pictures, files, quality, strict=True)
    photos = [PhotoCard(picture.name, file, picture.findings, _numbers(picture, one)) for picture, file, one in rows]
    return sorted(photos, key=lambda card: not card.findings)


def _numbers(picture: Picture, quality: ViewQuality | None) -> str:
    if picture.photo is None:
        return ""
    size = f"{picture.photo.shape[1]}x{picture.photo.shape[0]}"
    if quality is None:
        return size
    shares = {"object": quality.covered, "sharpness": quality.sharpness, "brightness": quality.brightness}
    return ", ".join([size, *(f"{name} {share:.0%}" for name, share in shares.items() if np.isfinite(share))])


def _headlines(found: Inspection, odd: int, memory: str) -> list[Row]:
    rows = [Row("photos to look at", str(odd)), Row("memory of a fit", memory.split(" needed")[0])]
    if found.quality:
        rows.append(Row("of a photo shows the object", f"{np.median([one.covered for one in found.quality]):.0%}"))
    if found.coverage:
        rows.append(Row("of all directions photographed", f"{found.coverage.seen:.0%}"))
    return rows


def _coverage_rows(found: Inspection) -> list[Row]:
    if found.coverage is None:
        return []
    low, high = found.coverage.elevation.min(), found.coverage.elevation.max()
    shaded = "shaded; surfaces that no photo shows are guessed"
    return [
        Row("largest gap around the object", f"{found.coverage.gap:.0f}°", shaded),
        Row("elevation", f"{low:.0f}° to {high:.0f}°", "of the cameras, above the object's horizon"),
    ]


def _scene(found: Inspection, odd: set[str]) -> str:
    if found.cameras is None:
        return ""
    shapes = [picture.photo.shape[:2] if picture.photo is not None else (3, 4) for picture in found.pictures]
    upwards = -rotation_matrices(found.cameras.quaternions).numpy()[:, :, 1].mean(axis=0)
    up = upwards if np.linalg.norm(upwards) > UPRIGHT else np.array([0.0, 0.0, 1.0])
    names = [picture.name for picture in found.pictures]
    points = np.zeros((0, 3)) if found.hull is None else found.hull
    return scene_html(found.cameras, shapes, names, odd, points, up)


def _picture_file(folder: Path, number: int, picture: Picture) -> str:
    if picture.photo is None:
        return ""
    file = f"{PHOTOS}/{number:04d}.jpg"
    _write_image(folder / file, outlined(picture.photo, picture.mask, picture.ignored))
    return file


def _write_image(path: Path, image: Image.Image) -> None:
    write_filled(path, lambda data: image.save(data, "JPEG" if path.suffix == ".jpg" else "PNG", quality=88))

"""The page of `tidr check`: a verdict, cameras and hull in space, and every photo with its mask outlined."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from ..capture.coverage import Coverage
from .page import STYLE, Row, cards, section, table

PICTURE = 360  # pixels of a photo's longer side
OUTLINE, IGNORED, DIMMED = (255, 64, 32), (120, 120, 120), 0.55
"""Colours, and brightness of what is not the object."""
MAP = (360, 180)
_STYLE = """
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px; }
.photo { font-size: 13px; } .photo b { font-size: 14px; }
.photo ul { margin: 4px 0; padding-left: 18px; color: #a33d16; }
.photo.good ul { color: #2f8a6b; list-style: "✓  "; }
.photo img { border: 3px solid #e8b9a5; } .photo.good img { border-color: #cfe8dd; }
.verdict { padding: 14px 18px; border-radius: 12px; margin-top: 18px; font-size: 16px; }
.verdict.good { background: #e3f4ec; } .verdict.look { background: #fdf1dc; } .verdict.bad { background: #fbe3da; }
"""


@dataclass(frozen=True)
class PhotoCard:
    """One photo: its name, the file of its picture, what was found (nothing of a good one), numbers in words."""

    name: str
    file: str
    findings: tuple[str, ...]
    numbers: str


@dataclass(frozen=True)
class CheckPage:
    """All that the page shows. state: good, look or bad. scene: HTML; world_map: file of `coverage_map`."""

    title: str
    subtitle: str
    state: str
    verdict: str
    notes: list[str]
    headlines: list[Row]
    scene: str
    world_map: str
    coverage: list[Row]
    photos: list[PhotoCard]


def check_page_html(page: CheckPage) -> str:
    """The whole document."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in page.notes)
    world = f'<img src="{escape(page.world_map)}" alt="Directions of the photos around the object">'
    parts = [
        f"<h1>{escape(page.title)}</h1><p>{escape(page.subtitle)}</p>",
        f'<div class="verdict {escape(page.state)}"><b>{escape(page.verdict)}</b></div>',
        cards(page.headlines),
        section("To look at", f"<ul>{notes}</ul>" if notes else ""),
        section("Cameras and what all masks agree on (drag to turn, wheel to zoom)", page.scene),
        section("From where it was photographed", (world if page.world_map else "") + table(page.coverage)),
        section("Photos, their masks outlined", _photos(page.photos)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{escape(page.title)}</title><style>{STYLE}{_STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{"".join(parts)}</main></body></html>\n'


def outlined(photo: np.ndarray, mask: np.ndarray | None, ignored: np.ndarray | None) -> Image.Image:
    """A small picture of a photo (H, W, 3) uint8 with the outline of its mask (H, W), background
    dimmed; ignored pixels are grey."""
    scale = PICTURE / max(photo.shape[:2])
    size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
    small = np.array(
        Image.fromarray(photo).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
    )
    if ignored is not None:
        small[_resized(ignored, size)] = IGNORED
    if mask is not None:
        inside = _resized(mask, size)
        small[~inside] = (DIMMED * small[~inside]).astype(np.uint8)
        small[ndimage.binary_dilation(inside, iterations=2) & ~inside] = OUTLINE
    return Image.fromarray(small)


def coverage_map(found: Coverage) -> Image.Image:
    """Azimuth to the right, elevation upwards, in degrees; dots are cameras, the widest gap is shaded."""
    image = Image.new("RGB", (2 * MAP[0], 2 * MAP[1]), "white")
    draw = ImageDraw.Draw(image)
    if found.gap < 360:
        first = (found.gap_middle - found.gap / 2) % 360
        for start in (first, first - 360):
            draw.rectangle((2 * start, 0, 2 * (start + found.gap), 2 * MAP[1]), fill=(250, 226, 214))
    for degrees in range(0, 361, 30):
        draw.line((2 * degrees, 0, 2 * degrees, 2 * MAP[1]), fill=(228, 231, 236))
    for degrees in range(0, 181, 30):
        draw.line((0, 2 * degrees, 2 * MAP[0], 2 * degrees), fill=(228, 231, 236) if degrees != 90 else (150, 160, 175))
    for azimuth, elevation in zip(found.azimuth.tolist(), found.elevation.tolist(), strict=True):
        x, y = 2 * azimuth, 2 * (90 - elevation)
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(43, 95, 179))
    return image


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)) > 0


def _photos(photos: list[PhotoCard]) -> str:
    cells = []
    for photo in photos:
        lines = "".join(f"<li>{escape(text)}</li>" for text in photo.findings or ("nothing to object to",))
        picture = f'<img src="{escape(photo.file)}" alt="{escape(photo.name)}" loading="lazy">' if photo.file else ""
        kind = "photo" if photo.findings else "photo good"
        cells.append(
            f'<div class="{kind}"><b>{escape(photo.name)}</b>{picture}<ul>{lines}</ul>'
            f"<span>{escape(photo.numbers)}</span></div>"
        )
    return f'<div class="photos">{"".join(cells)}</div>' if cells else ""

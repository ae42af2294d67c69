"""Pictures on a mesh: where its faces lie in them, and what is there."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

QUALITY = 92  # of JPEG: no block is seen, and 4096 x 4096 texels take some MB


@dataclass(frozen=True)
class Atlas:
    """Where the faces of a mesh lie in a picture of height x width texels.

    places (P, 2) float64: column and row, texel (row i, column j) has its centre at (j, i); corners (F, 3) int32: the
    place of each face's corners; vertex (P,) int32: of the mesh, at each place. Charts are at least `apart` texels from
    each other.
    """

    places: np.ndarray
    corners: np.ndarray
    vertex: np.ndarray
    height: int
    width: int
    apart: float

    @property
    def uv(self) -> np.ndarray:
        """Places (P, 2) in [0, 1], from the picture's upper left corner to its lower right."""
        return (self.places + 0.5) / (self.width, self.height)


@dataclass(frozen=True)
class Texture:
    """colours (H, W, 3) uint8 sRGB; normals (H, W, 3) uint8 or None: in tangent space, as glTF has them; tangents
    (P, 4) float32 or None: unit tangent at each place of the atlas, and the side that the bitangent is on, 1 or -1."""

    atlas: Atlas
    colours: np.ndarray
    normals: np.ndarray | None = None
    tangents: np.ndarray | None = None

    def turned(self, rotation: np.ndarray) -> Texture:
        """On a mesh that was turned by a rotation (3, 3)."""
        if self.tangents is None:
            return self
        turned = np.concatenate([self.tangents[:, :3] @ rotation.T, self.tangents[:, 3:]], axis=1)
        return replace(self, tangents=turned.astype(np.float32))


def jpeg_bytes(picture: np.ndarray) -> bytes:
    """Of (H, W, 3) uint8 sRGB, with all of its colours."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return file.getvalue()


def png_bytes(picture: np.ndarray) -> bytes:
    """Of (H, W, 3) uint8, without loss."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()

"""Rays through pixels of pinhole cameras (CAM-1).

Argument           | shape      | meaning                                                    | unit
quaternions        | (V, 4)     | w x y z, camera (OpenCV axes) -> normalised; any length    |
centres            | (V, 3)     | camera centres c                                           | normalised
inverse_intrinsics | (V, 3, 3)  | K^-1                                                       | 1 / pixel
view_index         | (R,) int32 | which camera                                               |
pixels             | (R, 2)     | u column, v row; integer coordinates are pixel centres     | pixel
origins            | (R, 3)     | c                                                          | normalised
directions         | (R, 3)     | v = normalise(Q(q) K^-1 (u, v, 1))                         |
"""

from ._ti import array1, array2, array3, ti
from .quaternion import rotate, unit_quaternion


@ti.func
def unproject(inverse_intrinsics: ti.template(), view, u, v):
    """K^-1 (u, v, 1): the pixel's direction in camera axes, at depth 1."""
    p = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        p[a] = inverse_intrinsics[view, a, 0] * u + inverse_intrinsics[view, a, 1] * v
        p[a] += inverse_intrinsics[view, a, 2]
    return p


@ti.kernel
def generate_rays(
    quaternions: array2,
    centres: array2,
    inverse_intrinsics: array3,
    view_index: array1,
    pixels: array2,
    origins: array2,
    directions: array2,
):
    """One ray per pixel. Taichi differentiates this kernel in quaternions and centres."""
    for r in range(pixels.shape[0]):
        view = view_index[r]
        w, u = unit_quaternion(quaternions[view, 0], quaternions[view, 1], quaternions[view, 2], quaternions[view, 3])
        d = rotate(w, u, unproject(inverse_intrinsics, view, pixels[r, 0], pixels[r, 1]))
        length = ti.sqrt(d.dot(d))
        for a in ti.static(range(3)):
            origins[r, a] = centres[view, a]
            directions[r, a] = d[a] / length

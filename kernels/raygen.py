"""Rays through pixels of pinhole cameras (CAM-1), and the adjoint to their poses.

With p = K^-1 (u, v, 1), the unit quaternion (w, u) = q / |q| and d = Q(q) p = p + 2 w u x p + 2 u x (u x p), the
direction is v = d / |p|. From b = dL/dv:

    dL/dd = (b - (b.v) v) / |p| =: g        dL/dw = 2 g.(u x p)
    dL/du = 2 w p x g + 2 ((u.p) g + (u.g) p - 2 (p.g) u)
    dL/dq = (s - (s.q) q / |q|^2) / |q|     with s = (dL/dw, dL/du)

Argument            | shape      | meaning                                                    | unit
quaternions         | (V, 4)     | w x y z, camera (OpenCV axes) -> normalised; any length    |
centres             | (V, 3)     | camera centres c                                           | normalised
inverse_intrinsics  | (V, 3, 3)  | K^-1                                                       | 1 / pixel
view_index          | (R,) int32 | which camera                                               |
pixels              | (R, 2)     | u column, v row; integer coordinates are pixel centres     | pixel
origins             | (R, 3)     | c                                                          | normalised
directions          | (R, 3)     | v = normalise(Q(q) K^-1 (u, v, 1))                         |
quaternion_bar, ... | as theirs  | cotangents; those of cameras are added to                  |
"""

from ._ti import array1, array2, array3, on_cpu, ti
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
    """One ray per pixel."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(pixels.shape[0]):
        view = view_index[r]
        w, u, _length = unit_quaternion(quaternions, view)
        p = unproject(inverse_intrinsics, view, pixels[r, 0], pixels[r, 1])
        d = rotate(w, u, p) / p.norm()
        for a in ti.static(range(3)):
            origins[r, a] = centres[view, a]
            directions[r, a] = d[a]


@ti.func
def turn_adjoint(w, u, p, g):
    """dL/dw, dL/du of d = p + 2 w u x p + 2 u x (u x p), from g = dL/dd."""
    along = 2.0 * w * p.cross(g) + 2.0 * (u.dot(p) * g + u.dot(g) * p - 2.0 * p.dot(g) * u)
    return 2.0 * g.dot(u.cross(p)), along


@ti.kernel
def generate_rays_adjoint(
    quaternions: array2,
    inverse_intrinsics: array3,
    view_index: array1,
    pixels: array2,
    origin_bar: array2,
    direction_bar: array2,
    quaternion_bar: array2,
    centre_bar: array2,
):
    """Cotangents of the cameras, summed over their rays; in the order of the rays on the CPU."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(pixels.shape[0]):
        view = view_index[r]
        w, u, length = unit_quaternion(quaternions, view)
        p = unproject(inverse_intrinsics, view, pixels[r, 0], pixels[r, 1])
        v = rotate(w, u, p) / p.norm()
        b = ti.Vector([direction_bar[r, 0], direction_bar[r, 1], direction_bar[r, 2]])
        w_bar, u_bar = turn_adjoint(w, u, p, (b - b.dot(v) * v) / p.norm())
        s = ti.Vector([w_bar, u_bar[0], u_bar[1], u_bar[2]])
        q = ti.Vector([w, u[0], u[1], u[2]])
        s = (s - s.dot(q) * q) / length
        for a in ti.static(range(4)):
            quaternion_bar[view, a] += s[a]
        for a in ti.static(range(3)):
            centre_bar[view, a] += origin_bar[r, a]

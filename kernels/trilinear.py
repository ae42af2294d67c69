"""The trilinear interpolant of a cell, and reading a lattice with it.

Corner i of a cell lies at (i & 1, i >> 1 & 1, i >> 2) cells from its first one.
"""

from ._ti import ti


@ti.func
def trilinear(t, f):
    """Of the interpolant of corner values t (8): value, gradient and mixed second derivatives xy, xz, yz at f."""
    x = ti.Vector([t[1] - t[0], t[3] - t[2], t[5] - t[4], t[7] - t[6]])  # d/dx on the four edges along x
    v = ti.Vector([t[0] + f[0] * x[0], t[2] + f[0] * x[1], t[4] + f[0] * x[2], t[6] + f[0] * x[3]])
    y0, y1 = v[1] - v[0], v[3] - v[2]
    low, high = v[0] + f[1] * y0, v[2] + f[1] * y1
    x0, x1 = x[0] + f[1] * (x[1] - x[0]), x[2] + f[1] * (x[3] - x[2])
    gradient = ti.Vector([x0 + f[2] * (x1 - x0), y0 + f[2] * (y1 - y0), high - low])
    xy0, xy1 = x[1] - x[0], x[3] - x[2]
    return low + f[2] * (high - low), gradient, ti.Vector([xy0 + f[2] * (xy1 - xy0), x1 - x0, y1 - y0])


@ti.func
def locate(x, resolution):
    """Cell (integer corner) and fraction in [0, 1] of x, clamped to [-1, 1]^3, on a grid of `resolution` cells."""
    cell = ti.Vector([0, 0, 0])
    fraction = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        scaled = ti.min(ti.max((x[a] + 1.0) * 0.5, 0.0), 1.0) * resolution
        cell[a] = ti.min(ti.cast(ti.floor(scaled), ti.i32), resolution - 1)
        fraction[a] = scaled - cell[a]
    return cell, fraction


@ti.func
def interpolate(lattice: ti.template(), x):
    """Trilinear interpolant at x of a lattice (M, M, M) that holds values at -1 + 2 (i, j, k) / (M - 1)."""
    cell, fraction = locate(x, lattice.shape[0] - 1)
    t = ti.Vector([0.0] * 8)
    for i in ti.static(range(8)):
        t[i] = lattice[cell[0] + ti.static(i & 1), cell[1] + ti.static(i >> 1 & 1), cell[2] + ti.static(i >> 2)]
    value, _gradient, _mixed = trilinear(t, fraction)
    return value

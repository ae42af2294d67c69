"""Kernels that do nothing: what is left is the cost of a launch."""

from ._ti import array1, ti


@ti.kernel
def one_argument(a: array1):
    """a | (N,) | untouched where N > 0"""
    if a.shape[0] < 0:
        a[0] = 0.0


@ti.kernel
def ten_arguments(
    a: array1,
    b: array1,
    c: array1,
    d: array1,
    e: array1,
    f: array1,
    g: array1,
    h: array1,
    i: array1,
    j: array1,
):
    """a ... j | (N,) | untouched where N > 0"""
    if a.shape[0] < 0:
        for x in ti.static((a, b, c, d, e, f, g, h, i, j)):
            x[0] = 0.0

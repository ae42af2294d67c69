"""How alike two photos are around a surface point: patches carried over by the tangent plane, correlated.

A plane that does not pass through the reference camera's centre c is v.(X - c) = 1. The pixel (column, row) of that
camera has the direction d = F (column, row, 1), F = R K^-1, and shows the plane at c + d / (v.d). The source camera
with centre c' and M = K' R'^T sees that point at the pixel (q0 / q2, q1 / q2) of

    q = M d + (v.d) M (c - c'),

the homography that the plane induces (Hartley and Zisserman 2004, section 13.1): from the patch's middle, q goes on by
the same vector with every column, and another one with every row. With r the values of the reference patch, w those of
the source at these pixels, and a tilde for what is left without the mean, the likeness is A / sqrt(B C), A = sum r~ w~,
B = sum r~^2, C = sum w~^2.

Pixel i has the slope g_i = dw_i / d(v.d_i) = grad w . d(q0 / q2, q1 / q2) along M (c - c'), so that

    d likeness / dv = sum_i (r~_i / sqrt(B C) - likeness w~_i / C) g_i d_i,

sums of g d, r g d and w g d, in each of which d is linear in the steps to the right and down from the middle. Only the
planes have it: the reference patch lies on whole pixels of its photo.

Argument       | shape        | meaning                                                                    | unit
shades         | (P,) int16   | one channel of all photos, row by row; ABSENT off the object               | 1 / SHADES
layout         | (V, 3) int32 | of each photo: first pixel, height, width
cameras        | (V, 7, 3)    | rows of F, rows of M, and the centre; normalised frame                     | pixel
view           | (N,) int32   | reference photo
pixel          | (N, 2) int32 | column, row in it                                                          | pixel
planes         | (N, 3)       | v of the tangent plane there, in the reference camera                      | 1 / length
sources        | (N, S) int32 | photos to compare with; -1 is none
reach          | scalar       | pixels of the patch beside its middle, each way
spacing        | scalar       | between the patch's pixels                                                 | pixel
least_contrast | scalar       | deviation of the values below which a patch tells nothing
sloped         | template     | whether `slopes` are wanted
likeness       | (N, S)       | correlation; UNSEEN where a patch leaves photo or object, or tells nothing
slopes         | (N, S, 3)    | its derivative in v, 0 where unseen                                        | length
"""

from ._ti import array1, array2, array3, ti
from .rows import row3

UNSEEN = -2.0
ABSENT, SHADES = -32768, 8192.0
TO_FRAME, TO_PIXEL, CENTRE = 0, 3, 6
OFFSET, HEIGHT, WIDTH = 0, 1, 2


@ti.func
def rows3(cameras: ti.template(), view, first):
    """Three rows of a camera as a matrix."""
    m = ti.Matrix([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for a in ti.static(range(3)):
        for b in ti.static(range(3)):
            m[a, b] = cameras[view, first + a, b]
    return m


@ti.func
def shade_at(shades: ti.template(), layout: ti.template(), view, column, row):
    """Value of a whole pixel, and whether it is on photo and object."""
    value, present = 0.0, False
    if column >= 0 and row >= 0 and column < layout[view, WIDTH] and row < layout[view, HEIGHT]:
        shade = ti.cast(shades[layout[view, OFFSET] + row * layout[view, WIDTH] + column], ti.i32)
        value, present = shade / SHADES, shade != ABSENT
    return value, present


@ti.func
def shade_between(shades: ti.template(), layout: ti.template(), view, u, v):
    """Bilinear value with its slopes along u and v, and whether all of it is on photo and object."""
    result, present = ti.Vector([0.0, 0.0, 0.0]), False
    width, height = layout[view, WIDTH], layout[view, HEIGHT]
    if u >= 0.0 and v >= 0.0 and u < width - 1.0 and v < height - 1.0:
        column = ti.max(0, ti.min(int(u), width - 2))  # once more as a number: NaN passes comparisons in fast math
        row = ti.max(0, ti.min(int(v), height - 2))
        first = layout[view, OFFSET] + row * width + column
        a, b = ti.cast(shades[first], float), ti.cast(shades[first + 1], float)
        c, d = ti.cast(shades[first + width], float), ti.cast(shades[first + width + 1], float)
        if ti.min(ti.min(a, b), ti.min(c, d)) > ABSENT:
            present = True
            right, down = u - column, v - row
            top, bottom = a + right * (b - a), c + right * (d - c)
            along = (b - a) + down * ((d - c) - (b - a))
            result = ti.Vector([top + down * (bottom - top), along, bottom - top]) / SHADES
    return result, present


@ti.func
def correlation(
    n,
    source,
    shades: ti.template(),
    layout: ti.template(),
    cameras: ti.template(),
    view: ti.template(),
    pixel: ti.template(),
    planes: ti.template(),
    reach,
    spacing,
    least_contrast,
    sloped: ti.template(),
):
    """Likeness and, where `sloped`, its derivative in the plane."""
    here, plane = view[n], row3(planes, n)
    to_frame, to_pixel = rows3(cameras, here, TO_FRAME), rows3(cameras, source, TO_PIXEL)
    baseline = ti.Vector([cameras[here, CENTRE, a] - cameras[source, CENTRE, a] for a in ti.static(range(3))])
    epipole = to_pixel @ baseline
    # Columns: what d is in the middle, and what it gains to the right and downwards.
    frame = to_frame @ ti.Matrix([[pixel[n, 0], spacing, 0], [pixel[n, 1], 0, spacing], [1, 0, 0]])
    inverse_depth = frame.transpose() @ plane
    q = to_pixel @ frame + epipole.outer_product(inverse_depth)
    seen = True  # before both cameras: where its corners are, all of a patch is
    for i, j in ti.static(((-1, -1), (1, -1), (-1, 1), (1, 1))):
        corner = ti.Vector([1.0, i * reach, j * reach])
        seen = seen and inverse_depth.dot(corner) > 0.0 and (q @ corner)[2] > 0.0
    # The middle's value is taken off all others: what is summed is small, and so are its errors.
    base, _ = shade_at(shades, layout, here, pixel[n, 0], pixel[n, 1])
    r, w, rr, rw, ww = 0.0, 0.0, 0.0, 0.0, 0.0
    g, rg, wg = ti.Vector([0.0, 0.0, 0.0]), ti.Vector([0.0, 0.0, 0.0]), ti.Vector([0.0, 0.0, 0.0])
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if seen:
                place = ti.Vector([1.0, right, down])
                at = q @ place
                scale = 1.0 / at[2]
                u, v = at[0] * scale, at[1] * scale
                column, row = pixel[n, 0] + spacing * right, pixel[n, 1] + spacing * down
                value, present = shade_at(shades, layout, here, column, row)
                other, present_there = shade_between(shades, layout, source, u, v)
                seen = present and present_there
                value -= base
                other[0] -= base
                r += value
                w += other[0]
                rr += value * value
                rw += value * other[0]
                ww += other[0] * other[0]
                if ti.static(sloped):
                    along_u, along_v = epipole[0] - u * epipole[2], epipole[1] - v * epipole[2]
                    along = scale * (other[1] * along_u + other[2] * along_v) * place
                    g += along
                    rg += value * along
                    wg += other[0] * along
    count = ti.cast((2 * reach + 1) ** 2, float)
    least = count * least_contrast * least_contrast
    A, B, C = rw - r * w / count, rr - r * r / count, ww - w * w / count
    like, change = UNSEEN, ti.Vector([0.0, 0.0, 0.0])
    if seen and B > least and C > least:
        like = A / ti.sqrt(B * C)
        change = frame @ ((rg - r / count * g) / ti.sqrt(B * C) - like / C * (wg - w / count * g))
    return like, change


@ti.kernel
def patch_likeness(
    shades: array1,
    layout: array2,
    cameras: array3,
    view: array1,
    pixel: array2,
    planes: array2,
    sources: array2,
    reach: int,
    spacing: int,
    least_contrast: float,
    sloped: ti.template(),
    likeness: array2,
    slopes: array3,
):
    """One pair of patches per task."""
    for pair in range(sources.shape[0] * sources.shape[1]):
        n, s = pair // sources.shape[1], pair % sources.shape[1]
        like, change = UNSEEN, ti.Vector([0.0, 0.0, 0.0])
        if sources[n, s] >= 0:
            like, change = correlation(
                n, sources[n, s], shades, layout, cameras, view, pixel, planes, reach, spacing, least_contrast, sloped
            )
        likeness[n, s] = like
        if ti.static(sloped):
            for a in ti.static(range(3)):
                slopes[n, s, a] = change[a]

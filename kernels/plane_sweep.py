"""Planes tried for pixels of a photo: which one carries the patch around a pixel best to other photos.

Planes and cameras are those of kernels/patch_consistency.py. With v.(X - c) = 1, the plane of the pixel p = (column,
row, 1) takes it to q = H p in another photo, H = M F + M (c - c') (F^T v)^T, all with one matrix for a patch. The
planes tried for a pixel are v (first + k step), k = 0, 1, ...: parallel ones, equally far apart in inverse depth, which
is v.(F p).

A plane's likeness is the mean over the `best` photos most alike (those that see the surface, while others are hidden
from it). Pixels of a patch off the object, in either photo, are left out of its correlation, half of them at most.
Between the best plane and its two neighbours stands the vertex of a parabola.

Argument       | shape        | meaning                                                                    | unit
shades         | (P,) int16   | one channel of all photos, row by row; ABSENT off the object               | 1 / SHADES
layout         | (V, 3) int32 | of each photo: first pixel, height, width
cameras        | (V, 7, 3)    | rows of F, rows of M, and the centre; normalised frame                     | pixel
sources        | (V, S) int32 | photos to compare each with; -1 is none
view           | (N,) int32   | photo
pixel          | (N, 2) int32 | column, row in it
planes         | (N, 3)       | v                                                                          | 1 / length
first          | (N,)         | factor of v in the first plane
step           | (N,)         | between planes
count          | (N,) int32   | planes
reach          | template     | pixels of the patch beside its middle, each way
best           | template     | photos that count
least_contrast | scalar       | deviation of the values, beside a slope, below which a patch tells nothing
factor         | (N,)         | of the best plane
likeness       | (N,)         | its mean correlation; UNSEEN where fewer than `best` photos can be compared
"""

from ._ti import array1, array2, array3, ti
from .patch_consistency import CENTRE, TO_FRAME, TO_PIXEL, UNSEEN, rows3, shade_at, shade_between
from .rows import row3

LEAST_SHARE = 0.5  # of a patch's pixels that have to be on the object in both photos


@ti.func
def pair_likeness(
    shades: ti.template(),
    layout: ti.template(),
    source,
    H,
    column,
    row,
    base,
    values: ti.template(),
    there: ti.template(),
    reach: ti.template(),
    least_contrast,
):
    """Correlation of a patch (values less base, and 1 where they are there) with what another photo shows through H."""
    side = ti.static(2 * reach + 1)
    n, r, w, rr, rw, ww = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(side):
        line = H @ ti.Vector([column - reach, row + j - reach, 1.0])
        for i in range(side):
            if there[j * side + i] != 0 and line[2] > 0.0:
                scale = 1.0 / line[2]
                shown, present = shade_between(shades, layout, source, line[0] * scale, line[1] * scale)
                if present:
                    value, other = values[j * side + i], shown[0] - base
                    n += 1.0
                    r += value
                    w += other
                    rr += value * value
                    rw += value * other
                    ww += other * other
            line += ti.Vector([H[0, 0], H[1, 0], H[2, 0]])
    like = UNSEEN
    if n >= LEAST_SHARE * side * side:
        least = n * least_contrast * least_contrast
        A, B, C = rw - r * w / n, rr - r * r / n, ww - w * w / n
        if B > least and C > least:
            like = A / ti.sqrt(B * C)
    return like


@ti.func
def bent_deviation(values: ti.template(), there: ti.template(), reach: ti.template()):
    """Deviation of a patch from the linear slope that fits it: shading is linear, and alike everywhere."""
    side = ti.static(2 * reach + 1)
    n, r, rr = 0.0, 0.0, 0.0
    x, y, xx, yy, xr, yr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for p in range(side * side):
        if there[p] != 0:
            right, down, value = ti.cast(p % side - reach, float), ti.cast(p // side - reach, float), values[p]
            n += 1.0
            r += value
            x += right
            y += down
            rr += value * value
            xx += right * right
            yy += down * down
            xr += right * value
            yr += down * value
    n = ti.max(n, 1.0)
    along, across = xr - x * r / n, yr - y * r / n
    slopes = along * along / ti.max(xx - x * x / n, 1e-6) + across * across / ti.max(yy - y * y / n, 1e-6)
    return ti.sqrt(ti.max(rr - r * r / n - slopes, 0.0) / n)


@ti.kernel
def plane_sweep(
    shades: array1,
    layout: array2,
    cameras: array3,
    sources: array2,
    view: array1,
    pixel: array2,
    planes: array2,
    first: array1,
    step: array1,
    count: array1,
    reach: ti.template(),
    best: ti.template(),
    least_contrast: float,
    factor: array1,
    likeness: array1,
):
    """One pixel per task."""
    side = ti.static(2 * reach + 1)
    for n in range(factor.shape[0]):
        here, column, row = view[n], pixel[n, 0], pixel[n, 1]
        to_frame = rows3(cameras, here, TO_FRAME)
        centre = ti.Vector([cameras[here, CENTRE, a] for a in ti.static(range(3))])
        base, _ = shade_at(shades, layout, here, column, row)
        # The middle's value is taken off all others: what is summed is small, and so are its errors.
        values, there = ti.Vector([0.0] * side * side), ti.Vector([0] * side * side)
        for p in range(side * side):
            value, present = shade_at(shades, layout, here, column + p % side - reach, row + p // side - reach)
            values[p] = value - base
            there[p] = ti.cast(present, ti.i32)
        slope = to_frame.transpose() @ row3(planes, n)
        middle = slope.dot(ti.Vector([ti.cast(column, float), ti.cast(row, float), 1.0]))
        top, top_factor, before, left, right, top_k = UNSEEN, first[n], UNSEEN, UNSEEN, UNSEEN, -2
        tells = bent_deviation(values, there, reach) > least_contrast
        for k in range(count[n] if tells else 0):
            f = first[n] + k * step[n]
            alike = ti.Vector([UNSEEN] * best)
            for s in range(sources.shape[1]):
                source = sources[here, s]
                if source >= 0 and f * middle > 0.0:
                    to_pixel = rows3(cameras, source, TO_PIXEL)
                    away = ti.Vector([cameras[source, CENTRE, a] for a in ti.static(range(3))])
                    H = to_pixel @ to_frame + (to_pixel @ (centre - away)).outer_product(f * slope)
                    like = pair_likeness(
                        shades, layout, source, H, column, row, base, values, there, reach, least_contrast
                    )
                    for b in ti.static(range(best)):  # the most alike ones, in order
                        larger, smaller = ti.max(alike[b], like), ti.min(alike[b], like)
                        alike[b], like = larger, smaller
            mean = alike.sum() / best if alike[best - 1] > UNSEEN else UNSEEN
            if k == top_k + 1:
                right = mean
            if mean > top:
                top, top_k, left, right, top_factor = mean, k, before, UNSEEN, f
            before = mean
        bend = left - 2.0 * top + right
        if left > UNSEEN and right > UNSEEN and bend < 0.0:
            top_factor += 0.5 * step[n] * (left - right) / bend
        factor[n] = top_factor
        likeness[n] = top

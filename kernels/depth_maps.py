"""What depth maps say about points: before them, at them, or hidden behind; and how far from their surface.

A map has a tangent plane v.(X - c) = 1 for each pixel that shows a surface. For a point X that projects next to
that pixel let s = v.(X - c): the ray of X meets the plane at depth z / s, z being the depth of X. The gap between
surface and point is (1 / s - 1) z; in pixels of the photo there it is (1 / s - 1) / |F's first column|. The point's
distance to the plane is (1 - s) / |v|, positive before it.

Argument   | shape        | meaning                                                              | unit
maps       | (P, 3)       | v of every pixel of all photos, row by row; 0 where no surface is known | 1 / length
layout     | (V, 3) int32 | of each photo: first pixel, height, width
cameras    | (V, 7, 3)    | rows of F, rows of M, and the centre; normalised frame               | pixel
points     | (N, 3)       | X                                                                    | length
group      | (N,) int32   | row of `lookers`
lookers    | (G, S) int32 | photos that look at points of a group; -1 is none
at_most    | scalar       | gap up to which a point lies at the surface, before or behind        | pixel
through    | scalar       | gap above which a map sees through the point                         | pixel
thickness  | scalar       | distance behind a surface above which nothing is known, and before it to which it counts
counts     | (N, 2) int32 | maps at whose surface the point lies; that see through it
distance   | (N,)         | sum of weight times distance, which is cut at the thickness          | length
weight     | (N,)         | sum of weights: the cosine between normal and ray, squared; falls behind the surface
"""

from ._ti import array1, array2, array3, ti
from .patch_consistency import CENTRE, HEIGHT, OFFSET, TO_FRAME, TO_PIXEL, WIDTH, rows3
from .rows import row3

LEAST_FACING = 0.1
"""Cosine between a plane's normal and a ray below which the plane says nothing."""


@ti.kernel
def look_at_points(
    maps: array2,
    layout: array2,
    cameras: array3,
    points: array2,
    group: array1,
    lookers: array2,
    at_most: float,
    through: float,
    thickness: float,
    counts: array2,
    distance: array1,
    weight: array1,
):
    """One point per task."""
    for n in range(points.shape[0]):
        X = row3(points, n)
        at, seen_through, total, weights = 0, 0, 0.0, 0.0
        for k in range(lookers.shape[1]):
            view = lookers[group[n], k]
            if view >= 0:
                away = X - ti.Vector([cameras[view, CENTRE, a] for a in ti.static(range(3))])
                q = rows3(cameras, view, TO_PIXEL) @ away
                depth = ti.max(q[2], 1e-9)
                column = ti.cast(ti.floor(q[0] / depth + 0.5), ti.i32)
                row = ti.cast(ti.floor(q[1] / depth + 0.5), ti.i32)
                height, width = layout[view, HEIGHT], layout[view, WIDTH]
                if q[2] > 0.0 and column >= 0 and row >= 0 and column < width and row < height:
                    v = row3(maps, layout[view, OFFSET] + row * width + column)
                    s, size = v.dot(away), v.norm()
                    facing = s / ti.max(size * away.norm(), 1e-12)
                    if facing > LEAST_FACING:
                        pitch = ti.Vector([cameras[view, TO_FRAME + a, 0] for a in ti.static(range(3))]).norm()
                        gap = (1.0 / s - 1.0) / pitch
                        at += ti.cast(ti.abs(gap) <= at_most, ti.i32)
                        seen_through += ti.cast(gap > through, ti.i32)
                        far = (1.0 - s) / size
                        if far > -thickness:
                            trust = facing * facing * ti.min(1.0 + far / thickness, 1.0)
                            total += trust * ti.min(far, thickness)
                            weights += trust
        counts[n, 0] = at
        counts[n, 1] = seen_through
        distance[n] = total
        weight[n] = weights

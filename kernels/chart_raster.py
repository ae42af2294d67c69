"""Which triangle of an atlas each texel lies in."""

from ._ti import array2, ti

SLACK = 1e-6  # of barycentric coordinates: no texel between two triangles is in neither


@ti.func
def signed_area(a, b, c):
    """Twice the area of a triangle in the plane, positive where its corners go counter-clockwise."""
    first, second = b - a, c - a
    return first[0] * second[1] - first[1] * second[0]


@ti.kernel
def rasterise_charts(corners: array2, first_face: ti.i32, face: array2):
    """The last of the triangles that hold a texel's centre; other texels keep what they have.

    corners     | (F, 6)        | column, row of three corners; texel (row i, column j) has its centre at (j, i)
    first_face  |               | number of the triangle in row 0 of `corners`
    face        | (H, W) int32  | number of the triangle, -1 where there is none
    """
    for f in range(corners.shape[0]):
        a = ti.Vector([corners[f, 0], corners[f, 1]])
        b = ti.Vector([corners[f, 2], corners[f, 3]])
        c = ti.Vector([corners[f, 4], corners[f, 5]])
        area = signed_area(a, b, c)
        low = ti.max(ti.ceil(ti.min(a, b, c), ti.i32), 0)
        high = ti.floor(ti.max(a, b, c), ti.i32)
        if area != 0.0:
            for i in range(low[1], ti.min(high[1] + 1, face.shape[0])):
                for j in range(low[0], ti.min(high[0] + 1, face.shape[1])):
                    here = ti.Vector([1.0 * j, 1.0 * i])
                    u, v = signed_area(here, b, c) / area, signed_area(a, here, c) / area
                    if u >= -SLACK and v >= -SLACK and u + v <= 1.0 + SLACK:
                        ti.atomic_max(face[i, j], first_face + f)

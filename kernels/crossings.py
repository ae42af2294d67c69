"""How often rays leave and enter a mesh, by a walk through a tree of boxes (closest_triangle.py): what is inside.

Of a closed mesh whose faces look outwards, leaving less entering is the winding number of the ray's origin, whatever
the direction: 1 inside, 0 outside, 2 where bodies overlap.
"""

from ._ti import array1, array2, ti
from .closest_triangle import LEAF
from .first_triangle import box_entry, inverted
from .rows import columns3, load_ray


@ti.func
def crossing(origin, direction, a, b, c):
    """1 where the ray leaves through the triangle's back, -1 where it enters through its front, else 0 (Moeller and
    Trumbore, 1997).

    Without slack: neighbours that overlapped would count twice.
    """
    first, second = b - a, c - a
    across = direction.cross(second)
    determinant = first.dot(across)
    passed = 0
    if determinant != 0.0:
        from_a = origin - a
        u = from_a.dot(across) / determinant
        up = from_a.cross(first)
        v = direction.dot(up) / determinant
        if u >= 0.0 and v >= 0.0 and u + v <= 1.0 and second.dot(up) / determinant > 0.0:
            passed = ti.select(determinant < 0.0, 1, -1)
    return passed


@ti.kernel
def crossings(
    origins: array2, directions: array2, triangles: array2, boxes: array2, used: ti.i32, winding: array1, passed: array1
):
    """Signed and plain number of the triangles along each ray.

    origins    | (R, 3)         |
    directions | (R, 3)         | unit
    triangles  | (LEAF L, 9)    | corners, L a power of two
    boxes      | (2 L - 1, 6)   | least and greatest corner of each node
    used       |                | rows of `triangles` that count; copies follow
    winding    | (R,) int32     | times that the ray leaves less times that it enters
    passed     | (R,) int32     | both together
    """
    for r in range(origins.shape[0]):
        first_leaf = boxes.shape[0] // 2
        origin, direction = load_ray(origins, directions, r)
        inverse = inverted(direction)
        total, number = 0, 0
        node = 0
        walking = True
        while walking:
            descend = False
            if box_entry(origin, inverse, boxes, node) < ti.math.inf:
                if node < first_leaf:
                    descend = True
                    node = 2 * node + 1
                else:
                    for k in range(LEAF):
                        row = (node - first_leaf) * LEAF + k
                        if row < used:
                            a, b = columns3(triangles, row, 0), columns3(triangles, row, 3)
                            side = crossing(origin, direction, a, b, columns3(triangles, row, 6))
                            total += side
                            number += ti.abs(side)
            if not descend:
                while node > 0 and node % 2 == 0:
                    node = (node - 1) // 2
                walking = node > 0
                node += 1
        winding[r] = total
        passed[r] = number

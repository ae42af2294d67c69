"""First triangle of a mesh along a ray, by descent through a tree of boxes, the nearer child first.

The tree is complete (closest_triangle.py), so a walk needs no stack but a bit for each level that says whether the
farther child is still to be visited (the bit trail of Hapala et al., "Efficient stack-less BVH traversal", 2011).
"""

from ._ti import array1, array2, ti
from .closest_triangle import LEAF
from .rows import columns3, load_ray

SLACK = 1e-5  # of barycentric coordinates: neighbours overlap by it, so that no ray slips through their edge
LEAST = 1e-12  # component of a direction: a box is left through a face that is parallel to the ray very late


@ti.func
def box_entry(origin, inverse, boxes: ti.template(), node):
    """Distance along the ray to a box, 0 inside, infinite where it is missed."""
    low = (columns3(boxes, node, 0) - origin) * inverse
    high = (columns3(boxes, node, 3) - origin) * inverse
    near = ti.max(ti.min(low, high).max(), 0.0)
    far = ti.max(low, high).min()
    return ti.select(near <= far * (1.0 + SLACK), near, ti.math.inf)


@ti.func
def inverted(direction):
    """1 / direction, as `box_entry` takes it: finite where a component is 0."""
    inverse = ti.Vector([0.0, 0.0, 0.0])
    for k in ti.static(range(3)):
        length = ti.max(ti.abs(direction[k]), LEAST)
        inverse[k] = ti.select(direction[k] < 0.0, -1.0, 1.0) / length
    return inverse


@ti.func
def triangle_depth(origin, direction, a, b, c):
    """Distance along the ray to a triangle, whichever side it shows; infinite where missed (Moeller and Trumbore,
    1997)."""
    first, second = b - a, c - a
    across = direction.cross(second)
    determinant = first.dot(across)
    depth = ti.math.inf
    if determinant != 0.0:
        from_a = origin - a
        u = from_a.dot(across) / determinant
        up = from_a.cross(first)
        v = direction.dot(up) / determinant
        along = second.dot(up) / determinant
        if u >= -SLACK and v >= -SLACK and u + v <= 1.0 + SLACK and along > 0.0:
            depth = along
    return depth


@ti.func
def first_in_leaf(origin, direction, triangles: ti.template(), leaf, best, found):
    """The better of `best` and the leaf's triangles."""
    for k in range(LEAF):
        row = leaf * LEAF + k
        a, b, c = columns3(triangles, row, 0), columns3(triangles, row, 3), columns3(triangles, row, 6)
        here = triangle_depth(origin, direction, a, b, c)
        if here < best:
            best = here
            found = row
    return best, found


@ti.kernel
def first_triangle(origins: array2, directions: array2, triangles: array2, boxes: array2, depth: array1, first: array1):
    """Distance along each ray to the mesh, and the triangle that has it.

    origins    | (R, 3)         |
    directions | (R, 3)         | unit
    triangles  | (LEAF L, 9)    | corners, L a power of two
    boxes      | (2 L - 1, 6)   | least and greatest corner of each node
    depth      | (R,)           | unit of the origins, infinite where the mesh is missed
    first      | (R,) int32     | row of `triangles`, -1 where missed
    """
    for r in range(origins.shape[0]):
        first_leaf = boxes.shape[0] // 2
        origin, direction = load_ray(origins, directions, r)
        inverse = inverted(direction)
        best, row = ti.math.inf, -1
        node, waiting = 0, 0  # bit 0 of `waiting`: whether the sibling of `node` is to be visited, bit 1 its parent's
        walking = True
        while walking:
            descend = False
            if box_entry(origin, inverse, boxes, node) < best:
                if node < first_leaf:
                    left = box_entry(origin, inverse, boxes, 2 * node + 1)
                    right = box_entry(origin, inverse, boxes, 2 * node + 2)
                    if ti.min(left, right) < best:
                        descend = True
                        node = 2 * node + 1 + ti.cast(right < left, ti.i32)
                        waiting = 2 * waiting + ti.cast(ti.max(left, right) < best, ti.i32)
                else:
                    best, row = first_in_leaf(origin, direction, triangles, node - first_leaf, best, row)
            if not descend:
                while node > 0 and waiting % 2 == 0:
                    node = (node - 1) // 2
                    waiting = waiting // 2
                walking = node > 0
                node += 2 * (node % 2) - 1  # the sibling
                waiting -= 1
        depth[r] = best
        first[r] = row

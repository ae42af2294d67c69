"""Nearest triangle of a mesh, by descent through a tree of boxes.

The triangles lie along a space-filling curve; `LEAF` neighbours on it share a leaf, and the tree above is
complete: node n has the children 2 n + 1 and 2 n + 2. A complete tree needs no stack: after a node is done
the walk climbs while it stands on a right child, and goes on with the sibling.
"""

from ._ti import array1, array2, ti
from .rows import columns3

LEAF = 4  # triangles


@ti.func
def squared_distance_to_segment(x, a, b):
    edge = b - a
    share = (x - a).dot(edge) / ti.max(edge.dot(edge), 1e-30)  # a segment without length is a point
    apart = x - a - ti.min(ti.max(share, 0.0), 1.0) * edge
    return apart.dot(apart)


@ti.func
def squared_distance_to_triangle(x, a, b, c):
    """To the plane where the foot of the perpendicular is on the inner side of all edges, else to the nearest
    edge."""
    normal = (b - a).cross(c - a)
    square = normal.dot(normal)
    best = ti.min(
        squared_distance_to_segment(x, a, b),
        squared_distance_to_segment(x, b, c),
        squared_distance_to_segment(x, c, a),
    )
    first = (b - a).cross(x - a).dot(normal)
    second = (c - b).cross(x - b).dot(normal)
    third = (a - c).cross(x - c).dot(normal)
    if square > 0.0 and first >= 0.0 and second >= 0.0 and third >= 0.0:
        height = (x - a).dot(normal)
        best = ti.min(best, height * height / square)
    return best


@ti.func
def squared_distance_to_box(x, boxes: ti.template(), node):
    outside = ti.max(columns3(boxes, node, 0) - x, x - columns3(boxes, node, 3), 0.0)
    return outside.dot(outside)


@ti.func
def nearest_in_leaf(x, triangles: ti.template(), leaf, best, nearest):
    """The better of `best` and the leaf's triangles."""
    for k in range(LEAF):
        row = leaf * LEAF + k
        corners = (columns3(triangles, row, 0), columns3(triangles, row, 3), columns3(triangles, row, 6))
        here = squared_distance_to_triangle(x, corners[0], corners[1], corners[2])
        if here < best:
            best = here
            nearest = row
    return best, nearest


@ti.kernel
def closest_triangle(
    points: array2, triangles: array2, boxes: array2, guess: array1, distance: array1, nearest: array1
):
    """Distance from each point to the mesh, and the triangle that has it.

    points    | (N, 3)              |
    triangles | (LEAF L, 9)         | corners, L a power of two
    boxes     | (2 L - 1, 6)        | least and greatest corner of each node
    guess     | (N,) int32          | a leaf near the point, in [0, L)
    distance  | (N,)                | unit of the points
    nearest   | (N,) int32          | row of `triangles`
    """
    for n in range(points.shape[0]):
        first_leaf = boxes.shape[0] // 2
        x = columns3(points, n, 0)
        best, row = nearest_in_leaf(x, triangles, guess[n], ti.math.inf, 0)
        node = 0
        walking = True
        while walking:
            descend = False
            if squared_distance_to_box(x, boxes, node) < best:
                if node < first_leaf:
                    descend = True
                    node = 2 * node + 1
                else:
                    best, row = nearest_in_leaf(x, triangles, node - first_leaf, best, row)
            if not descend:
                while node > 0 and node % 2 == 0:
                    node = (node - 1) // 2
                walking = node > 0
                node += 1
        distance[n] = ti.sqrt(best)
        nearest[n] = row

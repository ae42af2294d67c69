"""Visual hull by carving: a lattice point stays where (almost) every photo that sees it shows the object there.

Also how many photos say what of each point, and what rays meet of a hull.
"""

from ._ti import array1, array2, array3, ti


@ti.func
def project(projections: ti.template(), view, p):
    """(column, row, depth) of a point; column and row are meaningless at depth <= 0."""
    image = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        image[a] = projections[view, a, 3]
        for b in ti.static(range(3)):
            image[a] += projections[view, a, b] * p[b]
    depth = ti.max(image[2], 1e-12)
    return image[0] / depth, image[1] / depth, image[2]


@ti.func
def lattice_point(index, resolution):
    """Point of [-1, 1]^3, ends included; z runs fastest."""
    cells = ti.cast(resolution - 1, float)
    x = index // (resolution * resolution)
    y = (index // resolution) % resolution
    z = index % resolution
    return 2.0 * ti.Vector([ti.cast(x, float), ti.cast(y, float), ti.cast(z, float)]) / cells - 1.0


@ti.func
def bit(words: ti.template(), first_word, pixel):
    """Of a pixel of a view whose words begin at first_word."""
    return (words[first_word + pixel // 32] >> (pixel % 32)) & 1


@ti.func
def nearest_cell(x, resolution):
    """Number of the lattice point of [-1, 1], ends included, that is nearest to x."""
    return ti.math.clamp(ti.cast(ti.floor((x + 1.0) * 0.5 * (resolution - 1) + 0.5), ti.i32), 0, resolution - 1)


@ti.func
def vote(
    words: ti.template(),
    ignored: ti.template(),
    first_words: ti.template(),
    sizes: ti.template(),
    projections: ti.template(),
    some_ignored,
    view,
    p,
):
    """What a view shows at a point: 1 the object, 0 background, -1 nothing, since it does not see the point."""
    said = -1
    column, row, depth = project(projections, view, p)
    c = ti.floor(column + 0.5)
    r = ti.floor(row + 0.5)
    if depth > 0.0 and c >= 0.0 and r >= 0.0 and c < sizes[view, 1] and r < sizes[view, 0]:
        pixel = ti.cast(r, ti.i32) * sizes[view, 1] + ti.cast(c, ti.i32)
        if some_ignored == 0 or bit(ignored, first_words[view], pixel) == 0:
            said = bit(words, first_words[view], pixel)
    return said


@ti.kernel
def visual_hull(
    words: array1,
    ignored: array1,
    first_words: array1,
    sizes: array2,
    projections: array3,
    some_ignored: ti.i32,
    resolution: ti.i32,
    first: ti.i32,
    most_outside: float,
    least_inside: float,
    occupied: array1,
):
    """Carve the lattice points first, first + 1, ... into occupied.

    words        | (B,) int32   | masks, one bit a pixel, row by row, lowest bit first; each view starts a word
    ignored      | (B,) int32   | likewise, of pixels that say nothing
    first_words  | (V,) int32   | where each view starts
    sizes        | (V, 2) int32 | rows, columns                                            | pixel
    projections  | (V, 3, 4)    | normalised -> pixel times depth, depth > 0 in front
    some_ignored | scalar       | whether `ignored` holds anything; else it is not read
    resolution   | scalar       | lattice points along each axis of [-1, 1]^3
    most_outside | scalar       | share of the views that see a point that may show background there
    least_inside | scalar       | views that must show the object there
    occupied     | (N,) int32   | 1 on the object

    A point behind a camera, beside its photo or at an ignored pixel is unseen by it.
    """
    views = sizes.shape[0]
    for n in range(occupied.shape[0]):
        p = lattice_point(first + n, resolution)
        inside = 0
        outside = 0
        for view in range(views):
            # More misses than the views to come could make good: carved.
            if outside <= most_outside * views and inside + views - view >= least_inside:
                said = vote(words, ignored, first_words, sizes, projections, some_ignored, view, p)
                inside += ti.cast(said == 1, ti.i32)
                outside += ti.cast(said == 0, ti.i32)
        kept = outside <= most_outside * (inside + outside) and inside >= least_inside
        occupied[n] = ti.cast(kept, ti.i32)


@ti.kernel
def hull_votes(
    words: array1,
    ignored: array1,
    first_words: array1,
    sizes: array2,
    projections: array3,
    some_ignored: ti.i32,
    resolution: ti.i32,
    first: ti.i32,
    inside: array1,
    outside: array1,
):
    """Count what all views say of the lattice points first, first + 1, ...; the first arguments are visual_hull's.

    inside  | (N,) int32 | views that show the object at a point
    outside | (N,) int32 | views that show background there
    """
    for n in range(inside.shape[0]):
        p = lattice_point(first + n, resolution)
        shown = 0
        seen = 0
        for view in range(sizes.shape[0]):
            said = vote(words, ignored, first_words, sizes, projections, some_ignored, view, p)
            shown += ti.cast(said == 1, ti.i32)
            seen += ti.cast(said >= 0, ti.i32)
        inside[n] = shown
        outside[n] = seen - shown


@ti.kernel
def first_occupied(
    occupied: array1, resolution: ti.i32, radius: float, origins: array2, directions: array2, depth: array1
):
    """Where rays first meet an occupied cell of the lattice within a sphere.

    occupied   | (N^3,) int32 | 1 where a lattice point of [-1, 1]^3 is, z fastest; its cell is what is nearest to it
    resolution | scalar       | N
    radius     | scalar       | of the sphere about the origin
    origins    | (R, 3)       | of rays, in the lattice's frame
    directions | (R, 3)       | unit
    depth      | (R,)         | distance along the ray, to half a cell; -1 where it meets none
    """
    step = 1.0 / ti.cast(resolution - 1, float)
    for r in range(depth.shape[0]):
        o = ti.Vector([origins[r, 0], origins[r, 1], origins[r, 2]])
        d = ti.Vector([directions[r, 0], directions[r, 1], directions[r, 2]])
        middle = -o.dot(d)
        half = ti.sqrt(ti.max(radius * radius - (o + middle * d).norm_sqr(), 0.0))
        found = -1.0
        t = ti.max(middle - half, 0.0)
        while found < 0.0 and t < middle + half:
            p = o + t * d
            if ti.abs(p).max() <= 1.0 + step:
                i, j, k = nearest_cell(p[0], resolution), nearest_cell(p[1], resolution), nearest_cell(p[2], resolution)
                if occupied[(i * resolution + j) * resolution + k] != 0:
                    found = t
            t += step
        depth[r] = found

"""Which rays are still at work, and the points they ask about."""

from ._ti import array1, array2, on_cpu, ti
from .rows import load_ray


@ti.kernel
def list_active(flags: array1, indices: array1, count: array1):
    """Indices of the non-zero flags in rising order, by one thread: the same list on every run.

    flags   | (N,) int32 |
    indices | (N,) int32 | the first count[0] are written
    count   | (1,) int32 |
    """
    ti.loop_config(serialize=True)
    for _ in range(1):
        total = 0
        for n in range(flags.shape[0]):
            indices[total] = n  # whether it counts or not: a branch would be guessed wrongly half of the time
            total += ti.cast(flags[n] != 0, ti.i32)
        count[0] = total


@ti.kernel
def points_along(origins: array2, directions: array2, depth: array2, indices: array1, points: array2):
    """Point m lies on ray r = i // K at depth[r, i % K], where i = indices[m].

    origins, directions | (R, 3)     | rays, normalised frame
    depth               | (R, K)     | K depths along each ray, normalised units
    indices             | (M,) int32 | into the flattened (R, K)
    points              | (M, 3)     | normalised frame
    """
    ti.loop_config(serialize=ti.static(on_cpu()))
    for m in range(indices.shape[0]):
        columns = depth.shape[1]
        r = indices[m] // columns
        o, d = load_ray(origins, directions, r)
        x = o + depth[r, indices[m] - r * columns] * d
        for a in ti.static(range(3)):
            points[m, a] = x[a]

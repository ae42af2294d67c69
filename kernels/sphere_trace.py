"""Sphere tracing from both ends of a ray (TRACE-1 to TRACE-7): what happens between two questions to a field.

Each ray has two fronts: A walks forward from the entry into the bounding sphere, B back from the exit. A
front is active until its value falls to the tolerance or the fronts cross.

Argument | shape        | meaning
depth    | (R, 2)       | of the fronts, columns FORWARD, BACKWARD; normalised units
value    | (R, 2)       | f at the fronts, as last asked
step     | (R, 2)       | length of the last step
active   | (R, 2) int32 | 1 while the front walks

Conditions are selections, without branches: which front walks on is as good as random to the processor.
"""

from ._ti import array1, array2, on_cpu, ti
from .rows import load_ray
from .sphere_bounds import sphere_interval

FORWARD, BACKWARD = 0, 1


@ti.kernel
def start_fronts(
    origins: array2,
    directions: array2,
    radius: float,
    depth: array2,
    active: array2,
    entry: array1,
    meets: array1,
):
    """Put the fronts on the sphere (TRACE-1, TRACE-2).

    radius | scalar     | of the sphere, normalised units
    entry  | (R,)       | A's first depth; where the sphere is missed, that nearest to the centre (TRACE-13)
    meets  | (R,) int32 | 1 where the line meets the sphere
    """
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        near, far, hit = sphere_interval(o, d, radius)
        meets[r] = ti.cast(hit, ti.i32)
        entry[r] = ti.select(hit, near, -d.dot(o))
        for side in ti.static(range(2)):
            depth[r, side] = near if ti.static(side == FORWARD) else far
            active[r, side] = meets[r]


@ti.kernel
def advance(value: array2, tolerance: float, step: array2, depth: array2, active: array2):
    """Stop fronts whose value is within the tolerance or negative (TRACE-3), move others by f (TRACE-4)."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(value.shape[0]):
        for side in ti.static(range(2)):
            walks = (active[r, side] != 0) & (value[r, side] > tolerance)
            f = ti.select(walks, value[r, side], 0.0)
            t = depth[r, side]
            active[r, side] = ti.cast(walks, ti.i32)
            step[r, side] = f
            depth[r, side] = t + f if ti.static(side == FORWARD) else t - f


@ti.kernel
def pull_back(value: array2, step: array2, active: array2, share: float, depth: array2, overshot: array2):
    """Line search (TRACE-5): an active front inside the object goes back by `share` of its last step.

    overshot (R, 2) int32: 1 where it did.
    """
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(value.shape[0]):
        for side in ti.static(range(2)):
            inside = (active[r, side] != 0) & (value[r, side] < 0.0)
            back = ti.select(inside, share * step[r, side], 0.0)
            t = depth[r, side]
            overshot[r, side] = ti.cast(inside, ti.i32)
            depth[r, side] = t - back if ti.static(side == FORWARD) else t + back


@ti.kernel
def stop_crossed(depth: array2, active: array2):
    """A front is active only while t_A < t_B (TRACE-6)."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(depth.shape[0]):
        apart = depth[r, FORWARD] < depth[r, BACKWARD]
        for side in ti.static(range(2)):
            active[r, side] = ti.cast(apart & (active[r, side] != 0), ti.i32)

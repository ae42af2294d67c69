"""Where rays meet the bounding sphere around the origin (TRACE-1)."""

from ._ti import array1, array2, on_cpu, ti
from .rows import load_ray


@ti.func
def sphere_interval(o, d, radius):
    """t = -v.c -+ sqrt((v.c)^2 - (|c|^2 - r^2)), both clamped >= 0, and whether the radicand is positive.

    The radicand is formed as r^2 minus the squared distance of line and centre: the same number, without the
    cancellation of far cameras in single precision. A miss gets the depth nearest to the centre twice.
    """
    middle = -d.dot(o)
    nearest = o + middle * d
    radicand = radius * radius - nearest.dot(nearest)
    half = ti.sqrt(ti.max(radicand, 0.0))
    return ti.max(middle - half, 0.0), ti.max(middle + half, 0.0), radicand > 0.0


@ti.kernel
def sphere_bounds(origins: array2, directions: array2, radius: float, near: array1, far: array1, hit: array1):
    """Depths at which unit rays enter and leave the sphere.

    origins, directions | (R, 3)     | rays, normalised frame
    radius              | scalar     | of the sphere, normalised units
    near, far           | (R,)       | depths along the ray, normalised units, >= 0
    hit                 | (R,) int32 | 1 where the line meets the sphere
    """
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        t_near, t_far, meets = sphere_interval(o, d, radius)
        near[r] = t_near
        far[r] = t_far
        hit[r] = ti.cast(meets, ti.i32)

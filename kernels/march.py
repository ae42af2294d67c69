"""The hunt for the surface on a lattice of signed distances, at no network cost.

The lattice samples a field at M^3 points of [-1, 1]^3, lattice[i, j, k] at x = -1 + 2 (i, j, k) / (M - 1), and is read
by trilinear interpolation, whose error near the surface is about h^2 / 8 times the curvature (h: cell size). `march`
therefore reports an interval wherever the interpolant comes below a margin above that error, and the field itself
decides there; `least_along` finds where the interpolant is least, the point of the mask loss (TRACE-9, TRACE-14).

Argument            | shape     | meaning
origins, directions | (R, 3)    | rays, normalised frame, unit directions
start               | (R,)      | depth from which to search
lattice             | (M, M, M) | signed distance, negative inside
radius              | scalar    | bounding sphere
"""

from ._ti import array1, array2, array3, ti
from .sphere_bounds import load_ray, sphere_interval

OUTSIDE, CLEAR, CANDIDATE = 0, 1, 2
LOW, HIGH, GUESS, SLOPE = 0, 1, 2, 3
RELAXATION = 0.8  # share of the interpolated distance that one step dares: the interpolant is no exact distance
MOST_STEPS = 2048  # bounds a launch; a ray of length 2 at the least step used (1/512) ends before


@ti.func
def interpolate(lattice: ti.template(), x):
    """Trilinear interpolant at x."""
    m = lattice.shape[0]
    base = ti.Vector([0, 0, 0])
    f = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        scaled = ti.min(ti.max((x[a] + 1.0) * 0.5, 0.0), 1.0) * (m - 1)
        base[a] = ti.min(ti.cast(ti.floor(scaled), ti.i32), m - 2)
        f[a] = scaled - base[a]
    total = 0.0
    for corner in ti.static(ti.grouped(ti.ndrange(2, 2, 2))):
        weight = 1.0
        for a in ti.static(range(3)):
            weight *= f[a] if ti.static(corner[a] == 1) else 1.0 - f[a]
        total += weight * lattice[base[0] + corner[0], base[1] + corner[1], base[2] + corner[2]]
    return total


@ti.kernel
def march(
    origins: array2,
    directions: array2,
    start: array1,
    lattice: array3,
    radius: float,
    margin: float,
    least_step: float,
    interval: array2,
    outcome: array1,
):
    """First stretch of each ray, from `start` on, where the interpolant comes from above `margin` to below it.

    margin, least_step: normalised units. interval (R, 4): LOW, the last depth above the margin; HIGH, the first one
    below -margin (certainly inside) or above the margin again (a graze); GUESS and SLOPE, root and derivative of the
    interpolant where it changes sign first, SLOPE = 0 where it does not. outcome (R,) int32: OUTSIDE, CLEAR, CANDIDATE.
    """
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        near, far, meets = sphere_interval(o, d, radius)
        t = ti.max(near, start[r])  # depth of the current sample
        before = t  # depth of the sample before
        value_before = ti.math.inf  # and the value there
        slope = 0.0  # of the interpolant at its first change of sign, 0 while there is none
        guess = far  # and its root
        entry = t  # where the candidate stretch begins
        entered = 0  # whether one has begun
        outside = (
            0  # whether a value above the margin has been seen: a search may start inside, behind a tried interval
        )
        outcome[r] = CLEAR if meets else OUTSIDE
        for column in ti.static(range(4)):
            interval[r, column] = 0.0
        searching = meets and t < far
        steps = 0
        while searching:
            value = interpolate(lattice, o + t * d)
            if value >= margin:
                outside = 1
            if entered == 0 and outside == 1 and value < margin:
                entered = 1
                entry = before
            if outside == 1 and slope == 0.0 and value <= 0.0 and value_before > 0.0 and t > before:
                slope = (value - value_before) / (t - before)
                guess = t - value / slope
            past = entered == 1 and (value < -margin or value > margin)
            steps += 1
            if past or t >= far or steps >= MOST_STEPS:
                searching = False
                if entered == 1:
                    outcome[r] = CANDIDATE
                    interval[r, LOW] = entry
                    interval[r, HIGH] = t
                    interval[r, GUESS] = guess
                    interval[r, SLOPE] = slope
            before = t
            value_before = value
            step = least_step
            if entered == 0:
                step = ti.max(least_step, RELAXATION * (ti.abs(value) - margin))
            t = ti.min(t + step, far)


@ti.kernel
def least_along(
    origins: array2,
    directions: array2,
    start: array1,
    lattice: array3,
    radius: float,
    least_step: float,
    depth: array1,
    value: array1,
):
    """Depth (R,) and value (R,) of the least interpolated distance from `start` to the far side of the sphere.

    A ray that misses the sphere reports its point nearest to the centre (TRACE-13) and the distance from the sphere.
    """
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        near, far, meets = sphere_interval(o, d, radius)
        best = ti.math.inf
        best_depth = -o.dot(d)
        if meets:
            t = ti.min(ti.max(near, start[r]), far)
            searching = True
            while searching:
                here = interpolate(lattice, o + t * d)
                if here < best:
                    best = here
                    best_depth = t
                searching = t < far
                t = ti.min(t + ti.max(least_step, RELAXATION * ti.abs(here)), far)
        else:
            best = (o + best_depth * d).norm() - radius
        depth[r] = best_depth
        value[r] = best

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
from .rows import load_ray
from .sphere_bounds import sphere_interval
from .trilinear import interpolate

OUTSIDE, CLEAR, CANDIDATE = 0, 1, 2
LOW, HIGH, GUESS, SLOPE = 0, 1, 2, 3
RELAXATION = 0.8  # share of the interpolated distance that one step dares: the interpolant is no exact distance
VERTEX_REACH = 2.0  # least steps from the least value to those beside it
STRAIGHT = 0.01  # bend of a parabola, of its reach, below which its vertex is anywhere
MOST_STEPS = 2048  # bounds a launch; a ray of length 2 at the least step used (1/512) ends before


@ti.func
def march_interval(o, d, start, lattice: ti.template(), radius, margin, least_step):
    """First stretch of the ray o + t d, from `start` on, where the interpolant comes from above `margin` to below it.

    Returns the outcome and a vector: LOW, the last depth above the margin; HIGH, the first one below -margin (certainly
    inside) or above the margin again (a graze); GUESS and SLOPE, root and derivative of the interpolant where it
    changes sign first, SLOPE = 0 where it does not.
    """
    near, far, meets = sphere_interval(o, d, radius)
    interval = ti.Vector([0.0, 0.0, 0.0, 0.0])
    outcome = ti.select(meets, CLEAR, OUTSIDE)
    t = ti.max(near, start)  # depth of the current sample
    before = t  # depth of the sample before
    value_before = ti.math.inf  # and the value there
    slope = 0.0  # of the interpolant at its first change of sign, 0 while there is none
    guess = far  # and its root
    entry = t  # where the candidate stretch begins
    entered = 0  # whether one has begun
    outside = 0  # whether a value above the margin has been seen: a search may start inside, behind a tried interval
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
                outcome = CANDIDATE
                interval = ti.Vector([entry, t, guess, slope])
        before = t
        value_before = value
        step = least_step
        if entered == 0:
            step = ti.max(least_step, RELAXATION * (ti.abs(value) - margin))
        t = ti.min(t + step, far)
    return outcome, interval


@ti.func
def least_on_ray(o, d, start, lattice: ti.template(), radius, least_step, enough):
    """Depth and value of the least interpolated distance from `start` to the far side of the sphere.

    The search ends early at a value below `enough`; else the depth is the vertex of a parabola through the least value
    and those beside it, for samples are far apart and the interpolant is rough. A ray that misses the sphere reports
    its point nearest to the centre (TRACE-13) and the distance from the sphere.
    """
    near, far, meets = sphere_interval(o, d, radius)
    best = ti.math.inf
    best_depth = -o.dot(d)
    if meets:
        t = ti.min(ti.max(near, start), far)
        searching = True
        while searching:
            here = interpolate(lattice, o + t * d)
            if here < best:
                best = here
                best_depth = t
            searching = t < far and best >= enough
            t = ti.min(t + ti.max(least_step, RELAXATION * ti.abs(here)), far)
        if best >= enough:
            reach = VERTEX_REACH * least_step
            before = interpolate(lattice, o + (best_depth - reach) * d)
            after = interpolate(lattice, o + (best_depth + reach) * d)
            bend = before - 2.0 * best + after
            if bend > STRAIGHT * reach:
                shift = ti.math.clamp(0.5 * reach * (before - after) / bend, -reach, reach)
                best_depth = ti.math.clamp(best_depth + shift, ti.max(near, start), far)
                best = ti.min(best, interpolate(lattice, o + best_depth * d))
    else:
        best = (o + best_depth * d).norm() - radius
    return best_depth, best


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
    """`march_interval` of every ray: interval (R, 4), outcome (R,) int32: OUTSIDE, CLEAR, CANDIDATE.

    margin, least_step: normalised units.
    """
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        ending, found = march_interval(o, d, start[r], lattice, radius, margin, least_step)
        outcome[r] = ending
        for column in ti.static(range(4)):
            interval[r, column] = found[column]


@ti.kernel
def least_along(
    origins: array2,
    directions: array2,
    start: array1,
    lattice: array3,
    radius: float,
    least_step: float,
    enough: float,
    depth: array1,
    value: array1,
):
    """`least_on_ray` of every ray: depth (R,), value (R,), normalised units."""
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        found, least = least_on_ray(o, d, start[r], lattice, radius, least_step, enough)
        depth[r] = found
        value[r] = least

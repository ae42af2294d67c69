"""First hits of rays on the field of preset `fast`: the march proposes an interval, the field decides in it.

One ray is one task from its entry into the sphere to the point of the mask loss (docs/decisions/0005-proxy-tracer.md
says why it goes so, 0011 why in one kernel).

Argument            | shape       | meaning
origins, directions | (R, 3)      | rays, normalised frame, unit directions
is_object           | (R,) int32  | 1 where a photo shows the object; in training, others get search_depth alone
lattice             | (M, M, M)   | march.py
table ... inputs    |             | the field, hash_field.py
numbers             | (NUMBERS,)  | RADIUS, TOLERANCE (of |f|), then normalised units: NEAR_MARGIN and LEAST_STEP of the
                    |             | march, WIDENING of an interval, HEAD_ON, ENOUGH
counts              | (4,) int32  | ROUNDS, SECANT_STEPS, SAMPLES, POLISH_STEPS
training            | 0 or 1      | whether hits search behind themselves (TRACE-14), and nothing is left for later
depth               | (R,)        | of the hit
status              | (R,) int32  | OUTSIDE ... CONVERGED as types.HitStatus; not in training: PENDING, not settled here
search_depth, value | (R,)        | point of the mask loss, and the interpolant there
"""

from ._ti import array1, array2, array3, ti
from .hash_field import field_value
from .march import CANDIDATE, GUESS, HIGH, LOW, SLOPE, least_on_ray, march_interval
from .march import OUTSIDE as MARCHED_OUTSIDE
from .rows import load_ray
from .sphere_bounds import sphere_interval

PENDING, OUTSIDE, MISSED, BRACKETED, CONVERGED = -1, 0, 1, 2, 3
RADIUS, TOLERANCE, NEAR_MARGIN, LEAST_STEP, WIDENING, HEAD_ON, ENOUGH, NUMBERS = 0, 1, 2, 3, 4, 5, 6, 7
ROUNDS, SECANT_STEPS, SAMPLES, POLISH_STEPS = 0, 1, 2, 3
MARCH, SECANT, SAMPLE, POLISH, DONE = 0, 1, 2, 3, 4
STEEPEST_GUESS = 0.1  # the interpolant's slope along a ray, taken at least this steep, bounds the first secant step
FLATTEST_SECANT = 0.05  # a secant flatter than this (or rising) keeps the slope before it
LEAST_CHORD = 1e-12  # difference of values that regula falsi divides by at least


@ti.func
def chord_zero(low, f_low, high, f_high):
    """Zero of the chord."""
    return (low * f_high - high * f_low) / ti.min(f_high - f_low, -LEAST_CHORD)


@ti.kernel
def trace_proxy(
    origins: array2,
    directions: array2,
    is_object: array1,
    lattice: array3,
    table: array2,
    levels: array2,
    network: array2,
    hull: array3,
    width: ti.template(),
    inputs: ti.template(),
    numbers: array1,
    counts: array1,
    training: int,
    depth: array1,
    status: array1,
    search_depth: array1,
    search_value: array1,
):
    """Hits of all rays.

    A ray goes from stage to stage: MARCH to an interval; SECANT steps from the interpolant's root where the ray enters
    head-on; else, or if they do not arrive, equal SAMPLES until the field changes sign; POLISH by the Illinois rule
    (Dowell and Jarratt, "A modified regula falsi method", 1971: an end kept twice in a row has its value halved); MARCH
    on if nothing was found. The field is asked at one place of the loop alone, because Taichi copies a function's code
    to wherever it is called.
    """
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        radius, tolerance, least_step = numbers[RADIUS], numbers[TOLERANCE], numbers[LEAST_STEP]
        searches_only = training != 0 and is_object[r] == 0
        hit = 0.0  # depth of the hit
        ending = MISSED  # status so far
        stage = DONE if searches_only else MARCH
        turn = 0  # intervals tried
        start = 0.0  # where the next march begins
        t = 0.0  # depth of the next question
        asked = 0  # questions in this stage
        low, high = 0.0, 0.0  # the widened interval; in POLISH the bracket
        f_low, f_high = 0.0, 0.0  # in POLISH the values there
        kept = 0  # in POLISH the end that was kept last: -1 low, 1 high
        before, f_before = 0.0, 0.0  # the last question, and its answer
        slope = 0.0  # in SECANT
        while stage != DONE:
            if stage == MARCH:
                outcome, interval = march_interval(o, d, start, lattice, radius, numbers[NEAR_MARGIN], least_step)
                low = ti.max(interval[LOW] - numbers[WIDENING], 0.0)
                high = interval[HIGH] + numbers[WIDENING]
                start = interval[HIGH]
                asked = 0
                if outcome != CANDIDATE:
                    stage = DONE
                    ending = OUTSIDE if outcome == MARCHED_OUTSIDE else MISSED
                elif interval[SLOPE] < 0.0 and high - low < numbers[HEAD_ON]:
                    stage = SECANT
                    t = interval[GUESS]
                    slope = ti.min(interval[SLOPE], -STEEPEST_GUESS)
                else:
                    stage = SAMPLE
                    t = low
            else:
                value = field_value(o + t * d, table, levels, network, hull, width, inputs)
                here = t
                asked += 1
                arrived = ti.abs(value) <= tolerance
                if stage == SECANT:
                    if asked > 1 and here != before and (value - f_before) / (here - before) < -FLATTEST_SECANT:
                        slope = (value - f_before) / (here - before)
                    t = ti.min(ti.max(here - value / slope, low), high)
                    if arrived:
                        stage = DONE
                    elif asked > counts[SECANT_STEPS]:
                        stage = SAMPLE
                        asked = 0
                        t = low
                elif stage == SAMPLE:
                    t = low + asked * (high - low) / (counts[SAMPLES] - 1)
                    arrived = False
                    if asked > 1 and f_before > 0.0 and value <= 0.0:
                        stage = POLISH
                        asked = 0
                        kept = 0
                        low, f_low, high, f_high = before, f_before, here, value
                        t = chord_zero(low, f_low, high, f_high)
                    elif asked == counts[SAMPLES]:
                        turn += 1
                        stage = MARCH if turn < counts[ROUNDS] else DONE
                        ending = MISSED if training != 0 else PENDING
                else:
                    if value > 0.0:
                        low, f_low = here, value
                        if kept == 1:
                            f_high *= 0.5
                        kept = 1
                    else:
                        high, f_high = here, value
                        if kept == -1:
                            f_low *= 0.5
                        kept = -1
                    t = chord_zero(low, f_low, high, f_high)
                    if arrived or asked == counts[POLISH_STEPS]:
                        stage = DONE
                        ending = BRACKETED
                        hit = here
                if arrived:
                    ending = CONVERGED
                    hit = here
                before, f_before = here, value
        behind = hit if ending >= BRACKETED else 0.0
        least, least_value = hit, 0.0
        if training != 0 or ending < BRACKETED:
            limit = -ti.math.inf if searches_only else -numbers[ENOUGH]
            least, least_value = least_on_ray(o, d, behind, lattice, radius, least_step, limit)
        if searches_only:
            _near, _far, meets = sphere_interval(o, d, radius)
            hit = least
            ending = OUTSIDE if not meets else (BRACKETED if least_value < 0.0 else MISSED)
        depth[r] = hit
        status[r] = ending
        search_depth[r] = least
        search_value[r] = least_value

"""First hits of rays on the field of preset `fast`: the march proposes an interval, the field decides in it.

One ray is one task from its entry into the sphere to the point of the mask loss; the rounds of march and decision, the
secant, the samples and the regula falsi are those of docs/decisions/0005-proxy-tracer.md.

Argument            | shape       | meaning
origins, directions | (R, 3)      | rays, normalised frame, unit directions
is_object           | (R,) int32  | 1 where a photo shows the object; in training, others get the interpolant's root
lattice             | (M, M, M)   | march.py
table ... inputs    |             | the field, hash_field.py
numbers             | (NUMBERS,)  | RADIUS, TOLERANCE (of |f|), then normalised units: NEAR_MARGIN and LEAST_STEP of the
                    |             | march, WIDENING of an interval, HEAD_ON, ENOUGH
counts              | (4,) int32  | ROUNDS, SECANT_STEPS, SAMPLES, POLISH_STEPS
training            | static bool | whether hits search behind themselves (TRACE-14), and nothing is left for later
depth               | (R,)        | of the hit
status              | (R,) int32  | OUTSIDE ... CONVERGED as types.HitStatus; not in training: PENDING, not settled here
search_depth, value | (R,)        | point of the mask loss, and the interpolant there
"""

from ._ti import array1, array2, array3, ti
from .hash_field import field_value
from .march import CANDIDATE, GUESS, HIGH, LOW, SLOPE, least_on_ray, march_interval
from .march import OUTSIDE as MARCHED_OUTSIDE
from .sphere_bounds import load_ray

PENDING, OUTSIDE, MISSED, BRACKETED, CONVERGED = -1, 0, 1, 2, 3
RADIUS, TOLERANCE, NEAR_MARGIN, LEAST_STEP, WIDENING, HEAD_ON, ENOUGH, NUMBERS = 0, 1, 2, 3, 4, 5, 6, 7
ROUNDS, SECANT_STEPS, SAMPLES, POLISH_STEPS = 0, 1, 2, 3
STEEPEST_GUESS = 0.1  # the interpolant's slope along a ray, taken at least this steep, bounds the first secant step
FLATTEST_SECANT = 0.05  # a secant flatter than this (or rising) keeps the slope before it
LEAST_CHORD = 1e-12  # difference of values that regula falsi divides by at least


@ti.func
def secant(
    o,
    d,
    interval,
    low,
    high,
    steps,
    tolerance,
    table: ti.template(),
    levels: ti.template(),
    network: ti.template(),
    hull: ti.template(),
    width: ti.template(),
    inputs: ti.template(),
):
    """Depth and value after secant steps from the interpolant's root; the first uses the interpolant's slope."""
    depth = interval[GUESS]
    slope = ti.min(interval[SLOPE], -STEEPEST_GUESS)
    value = field_value(o + depth * d, table, levels, network, hull, width, inputs)
    step = 0
    while step < steps and ti.abs(value) > tolerance:
        moved = ti.min(ti.max(depth - value / slope, low), high)
        there = field_value(o + moved * d, table, levels, network, hull, width, inputs)
        if moved != depth:
            newer = (there - value) / (moved - depth)
            if newer < -FLATTEST_SECANT:
                slope = newer
        depth = moved
        value = there
        step += 1
    return depth, value


@ti.func
def first_change(
    o,
    d,
    low,
    high,
    samples,
    table: ti.template(),
    levels: ti.template(),
    network: ti.template(),
    hull: ti.template(),
    width: ti.template(),
    inputs: ti.template(),
):
    """Whether f > 0 is followed by f <= 0 among equal samples of [low, high]; both depths and values there."""
    before = low
    f_before = field_value(o + low * d, table, levels, network, hull, width, inputs)
    after = low
    f_after = f_before
    found = False
    sample = 1
    while sample < samples and not found:
        before = after
        f_before = f_after
        after = low + sample * (high - low) / (samples - 1)
        f_after = field_value(o + after * d, table, levels, network, hull, width, inputs)
        found = f_before > 0.0 and f_after <= 0.0
        sample += 1
    return found, ti.Vector([before, f_before, after, f_after])


@ti.func
def illinois(
    o,
    d,
    bracket,
    steps,
    tolerance,
    table: ti.template(),
    levels: ti.template(),
    network: ti.template(),
    hull: ti.template(),
    width: ti.template(),
    inputs: ti.template(),
):
    """Root and value by regula falsi in (low, f > 0, high, f <= 0): an end kept twice in a row has its value halved.

    Dowell and Jarratt, "A modified regula falsi method", 1971.
    """
    low, f_low, high, f_high = bracket[0], bracket[1], bracket[2], bracket[3]
    root = low
    value = f_low
    moved = 0  # which end the last step moved: -1 low, 1 high
    step = 0
    while step < steps and ti.abs(value) > tolerance:
        root = (low * f_high - high * f_low) / ti.min(f_high - f_low, -LEAST_CHORD)
        value = field_value(o + root * d, table, levels, network, hull, width, inputs)
        if value > 0.0:
            low = root
            f_low = value
            if moved == -1:
                f_high *= 0.5
            moved = -1
        else:
            high = root
            f_high = value
            if moved == 1:
                f_low *= 0.5
            moved = 1
        step += 1
    return root, value


@ti.func
def decide(
    o,
    d,
    interval,
    numbers: ti.template(),
    counts: ti.template(),
    table: ti.template(),
    levels: ti.template(),
    network: ti.template(),
    hull: ti.template(),
    width: ti.template(),
    inputs: ti.template(),
):
    """Whether the field has a root in the widened interval; its depth, and the value there.

    A short interval in which the interpolant changes sign is entered head-on. Long ones graze, and are sampled.
    """
    low = ti.max(interval[LOW] - numbers[WIDENING], 0.0)
    high = interval[HIGH] + numbers[WIDENING]
    tolerance = numbers[TOLERANCE]
    root = low
    value = ti.math.inf
    if interval[SLOPE] < 0.0 and high - low < numbers[HEAD_ON]:
        root, value = secant(
            o, d, interval, low, high, counts[SECANT_STEPS], tolerance, table, levels, network, hull, width, inputs
        )
    found = ti.abs(value) <= tolerance
    if not found:
        found, bracket = first_change(o, d, low, high, counts[SAMPLES], table, levels, network, hull, width, inputs)
        if found:
            root, value = illinois(
                o, d, bracket, counts[POLISH_STEPS], tolerance, table, levels, network, hull, width, inputs
            )
    return found, root, value


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
    training: ti.template(),
    depth: array1,
    status: array1,
    search_depth: array1,
    search_value: array1,
):
    """Hits of all rays."""
    for r in range(origins.shape[0]):
        o, d = load_ray(origins, directions, r)
        radius, least_step = numbers[RADIUS], numbers[LEAST_STEP]
        hit = 0.0  # depth of the hit, or of what was taken for one
        ending = MISSED
        start = 0.0  # where this round's march begins
        turn = 0
        while turn < counts[ROUNDS]:
            outcome, interval = march_interval(o, d, start, lattice, radius, numbers[NEAR_MARGIN], least_step)
            turn += 1
            if outcome != CANDIDATE:
                turn = counts[ROUNDS]
                if outcome == MARCHED_OUTSIDE:
                    ending = OUTSIDE
                elif ending == PENDING:
                    ending = MISSED
            elif ti.static(training) and is_object[r] == 0:
                turn = counts[ROUNDS]
                if interval[SLOPE] < 0.0:
                    hit = interval[GUESS]
                    ending = BRACKETED
            else:
                found, root, value = decide(
                    o, d, interval, numbers, counts, table, levels, network, hull, width, inputs
                )
                start = interval[HIGH]
                if found:
                    turn = counts[ROUNDS]
                    hit = root
                    ending = ti.select(ti.abs(value) <= numbers[TOLERANCE], CONVERGED, BRACKETED)
                elif ti.static(not training):
                    ending = PENDING
        least_depth = hit
        least = 0.0
        if ti.static(training) or ending < BRACKETED:
            behind = ti.select(ending >= BRACKETED, hit, 0.0)
            enough = ti.select(is_object[r] == 0, -ti.math.inf, -numbers[ENOUGH])
            least_depth, least = least_on_ray(o, d, behind, lattice, radius, least_step, enough)
        depth[r] = hit
        status[r] = ending
        search_depth[r] = least_depth
        search_value[r] = least

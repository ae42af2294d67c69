"""Which samples along a ray can matter, by how steep and how bent the field has been seen to be.

Between two known points of a ray, h apart, f is not below the higher of two cones, f_i - slope |t - t_i|, and, where
they are close, not below their chord by more than bend/2 (t - t_low)(t_high - t). (An interval's error bound for
linear interpolation: it takes f for as smooth as a Softplus network is.)

Argument | shape        | meaning
depth    | (S, N)       | of the points along each ray, ascending; normalised units
value    | (S, N)       | f there, UNKNOWN where it has not been asked
sample   | (S, N) int32 | 1 where the point is one of the samples among which one is sought
slope    | scalar       | the steepest f can be
"""

from ._ti import array1, array2, ti

UNKNOWN = 1e30
LEAST_RUN = 2e-3  # of depth: over a shorter one rounding would pass for slope or bend
CLOSE = 0.1  # of depth: the chord counts between points nearer than this
LEAST_BEND = 4.0  # of a field at a quarter of the unit from a point: a bend may begin between known points
BEND_SAFETY = 4.0  # a ray bends this much more than its known points show (measured: 2 is too little, 4 is enough)


@ti.func
def shape_of_ray(s, depth: ti.template(), value: ti.template()):
    """Steepest chord and sharpest bend (second derivative) among the known points of ray s."""
    steepest, sharpest = 0.0, 0.0
    t_first, t_mid, f_mid, slope_mid, points = 0.0, 0.0, 0.0, 0.0, 0  # the last two known points, their chord's slope
    for k in range(depth.shape[1]):
        t, f = depth[s, k], value[s, k]
        if f < UNKNOWN and (points == 0 or t - t_mid > LEAST_RUN):
            slope = 0.0
            if points > 0:
                slope = (f - f_mid) / (t - t_mid)
                steepest = ti.max(steepest, ti.abs(slope))
            if points > 1:
                sharpest = ti.max(sharpest, 2 * ti.abs(slope - slope_mid) / (t - t_first))
            t_first, t_mid, f_mid, slope_mid = t_mid, t, f, slope
            points += 1
    return steepest, sharpest


@ti.func
def lowest_between(t, t_low, f_low, t_high, f_high, slope, bend):
    """What f at t cannot be below, from the known points on both sides; UNKNOWN values have no say."""
    bound = -UNKNOWN
    if f_low < UNKNOWN:
        bound = f_low - slope * (t - t_low)
    if f_high < UNKNOWN:
        bound = ti.max(bound, f_high - slope * (t_high - t))
    if f_low < UNKNOWN and f_high < UNKNOWN and t_high - t_low < CLOSE:
        share = (t - t_low) / ti.max(t_high - t_low, 1e-9)
        sag = 0.5 * bend * (t - t_low) * (t_high - t)
        bound = ti.max(bound, f_low + share * (f_high - f_low) - sag)
    return bound


@ti.func
def lowest_open(s, depth: ti.template(), value: ti.template(), end, limit, slope, bend):
    """Index before `end` of the unknown point with the lowest bound under `limit`, -1 where there is none.

    Unknown points are samples: those walked over are known.
    """
    lowest, chosen = limit, -1
    t_low, f_low, below = 0.0, UNKNOWN, 0
    count = depth.shape[1]
    for k in range(count + 1):
        known = k == count
        t_high, f_high = 0.0, UNKNOWN
        if k < count:
            known = value[s, k] < UNKNOWN
            t_high, f_high = depth[s, k], value[s, k]
        if known:
            for i in range(below, ti.min(k, end)):
                bound = lowest_between(depth[s, i], t_low, f_low, t_high, f_high, slope, bend)
                if bound < lowest:
                    lowest, chosen = bound, i
            t_low, f_low, below = t_high, f_high, k + 1
    return chosen


@ti.kernel
def next_sample(
    depth: array2, value: array2, sample: array2, rooted: array1, slope: float, steepest: array1, wanted: array1
):
    """The sample to ask next.

    rooted   | (S,) int32 | 1: sought is the first negative sample with its predecessor, if there is one; 0: the least
    steepest | (S,)       | steepest chord between known points
    wanted   | (S,) int32 | index of the sample, -1 when no other can change the answer
    """
    for s in range(depth.shape[0]):
        steepest[s], sharpest = shape_of_ray(s, depth, value)
        bend = ti.max(BEND_SAFETY * sharpest, LEAST_BEND)
        count = depth.shape[1]
        least, negative, before, previous = UNKNOWN, count, -1, -1
        for k in range(count):
            if sample[s, k] != 0:
                if value[s, k] < 0.0 and negative == count:
                    negative, before = k, previous
                least = ti.min(least, value[s, k])
                previous = k
        chosen = -1
        if rooted[s] != 0:
            chosen = lowest_open(s, depth, value, negative, 0.0, slope, bend)
            if chosen < 0 and before >= 0:
                if value[s, before] == UNKNOWN:
                    chosen = before
        if chosen < 0 and (rooted[s] == 0 or negative == count):
            chosen = lowest_open(s, depth, value, count, least, slope, bend)
        wanted[s] = chosen

"""Samples on a stretch of a ray, the first change of sign, and regula falsi in it (TRACE-8 to 11, TRACE-14).

A bracket holds t_low with f >= 0 before t_high with f < 0.

Argument  | shape  | meaning
depth     | (S, K) | sampled depths, rising, normalised units
value     | (S, K) | f there
low, high | (S, 2) | ends of the bracket, columns DEPTH and VALUE
"""

from ._ti import array1, array2, on_cpu, ti

DEPTH, VALUE = 0, 1


@ti.func
def false_position(t_low, f_low, t_high, f_high):
    """Zero of the chord; the end inside where the chord has no slope (there the released tracer gets NaN)."""
    slope = f_high - f_low
    t = t_high
    if slope < 0.0:
        t = ti.min(ti.max(t_low - f_low * (t_high - t_low) / slope, t_low), t_high)
    return t


@ti.kernel
def least_sample(depth: array2, value: array2, least: array2):
    """Depth and value, columns of least (S, 2), of the least sample; the first one of equals."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for s in range(depth.shape[0]):
        best = 0
        lowest = value[s, 0]
        for k in range(1, depth.shape[1]):
            if value[s, k] < lowest:
                best = k
                lowest = value[s, k]
        least[s, DEPTH] = depth[s, best]
        least[s, VALUE] = lowest


@ti.kernel
def first_crossing(depth: array2, value: array2, low: array2, high: array2, found: array1):
    """Bracket of the first negative sample and its predecessor; found (S,) int32: is there one? (TRACE-8)

    Where sample 0 is negative it is its own predecessor: index -1 must not wrap to the last sample.
    """
    ti.loop_config(serialize=ti.static(on_cpu()))
    for s in range(depth.shape[0]):
        first = 0
        while first < depth.shape[1] and not value[s, first] < 0.0:
            first += 1
        crosses = first < depth.shape[1]
        found[s] = ti.cast(crosses, ti.i32)
        inside = ti.select(crosses, first, 0)
        before = ti.max(inside - 1, 0)
        low[s, DEPTH] = depth[s, before]
        low[s, VALUE] = value[s, before]
        high[s, DEPTH] = depth[s, inside]
        high[s, VALUE] = value[s, inside]


@ti.kernel
def cross_chord(low: array2, high: array2, root: array2):
    """Depth (S, 1) at which the chord of each bracket is zero."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for s in range(low.shape[0]):
        root[s, 0] = false_position(low[s, DEPTH], low[s, VALUE], high[s, DEPTH], high[s, VALUE])


@ti.kernel
def narrow(value: array1, low: array2, high: array2, root: array2):
    """Regula falsi (TRACE-10): root (S, 1) with its value (S,) becomes an end of the bracket; then the next root."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for s in range(low.shape[0]):
        if value[s] > 0.0:
            low[s, DEPTH] = root[s, 0]
            low[s, VALUE] = value[s]
        elif value[s] < 0.0:
            high[s, DEPTH] = root[s, 0]
            high[s, VALUE] = value[s]
        root[s, 0] = false_position(low[s, DEPTH], low[s, VALUE], high[s, DEPTH], high[s, VALUE])

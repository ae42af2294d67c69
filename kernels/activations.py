"""Softplus with its slope, and the adjoint of both.

h = log(1 + exp(beta a)) / beta,   s = dh/da = 1 / (1 + exp(-beta a)),   ds/da = beta s (1 - s), hence
a_bar = s h_bar + beta s (1 - s) s_bar.

Argument         | shape      | meaning
before           | (N, W)     | a
beta             | scalar     | sharpness
exact            | static     | exp and log themselves, for double precision
value, slope     | (N, W)     | h, s
value_bar, ...   | (N, W)     | cotangents
block            | static int | columns a task holds in local vectors, whose loops vectorise; W is a multiple of it
"""

from ._ti import array2, ti

FARTHEST = 16.0  # exp(-16) is nothing beside 1 in single precision


@ti.func
def decayed(x):
    """exp(-|x|) within 1e-7, in operations that vectorise: exp(-y)^16 with y = |x| / 16 by Taylor's series."""
    y = ti.min(ti.abs(x), FARTHEST) / 16
    t = 1.0 - y / 7
    for k in ti.static((6, 5, 4, 3, 2, 1)):
        t = 1.0 - y / k * t
    for _ in ti.static(range(4)):
        t *= t
    return t


@ti.func
def log_of_one_plus(t):
    """log(1 + t), t in [0, 1], within 1e-6: 2 artanh(s) with s = t / (2 + t) <= 1/3."""
    s = t / (2.0 + t)
    q = s * s
    series = 1.0 / 11
    for k in ti.static((9, 7, 5, 3, 1)):
        series = series * q + 1.0 / k
    return 2.0 * s * series


@ti.kernel
def softplus(before: array2, beta: float, exact: ti.template(), block: ti.template(), value: array2, slope: array2):
    """h and s of every element."""
    for n in range(before.shape[0]):
        for part in range(before.shape[1] // block):
            first = part * block
            a = ti.Vector([0.0] * block)
            t = ti.Vector([0.0] * block)
            for j in range(block):
                a[j] = before[n, first + j]
            for j in range(block):
                t[j] = ti.exp(-ti.abs(beta * a[j])) if ti.static(exact) else decayed(beta * a[j])
            for j in range(block):
                more = ti.log(1.0 + t[j]) if ti.static(exact) else log_of_one_plus(t[j])
                s = ti.select(a[j] > 0.0, 1.0, t[j]) / (1.0 + t[j])
                a[j] = ti.max(a[j], 0.0) + more / beta
                t[j] = s
            for j in range(block):
                value[n, first + j] = a[j]
                slope[n, first + j] = t[j]


@ti.kernel
def softplus_adjoint(
    slope: array2, value_bar: array2, slope_bar: array2, beta: float, block: ti.template(), before_bar: array2
):
    """a_bar of every element."""
    for n in range(slope.shape[0]):
        for part in range(slope.shape[1] // block):
            first = part * block
            bar = ti.Vector([0.0] * block)
            for j in range(block):
                s = slope[n, first + j]
                bar[j] = s * (value_bar[n, first + j] + beta * (1.0 - s) * slope_bar[n, first + j])
            for j in range(block):
                before_bar[n, first + j] = bar[j]

"""Adjoint of the differentiable intersection (Lemma 1 of the paper; docs/adjoint.md).

The traced point x = c + t v keeps f(x; theta) = 0 when theta, c or v move. With n = grad f(x) and df the
change of f at the fixed point, dt = -(df + n.dc + t n.dv) / (n.v). From g = dL/dx:

    dL/df = -(g.v) / (n.v)        dL/dc = g - (g.v) / (n.v) n        dL/dv = t (g - (g.v) / (n.v) n)

At grazing rays n.v tends to 0 and depth is no longer a function of the ray: |n.v| is kept above `grazing`.
"""

from ._ti import array1, array2, on_cpu, ti
from .rows import load_ray


@ti.func
def clamped_cosine(cosine, grazing):
    """n.v with magnitude at least `grazing` and its sign; zero counts as entering the surface (n.v < 0)."""
    magnitude = ti.max(ti.abs(cosine), grazing)
    return magnitude if cosine > 0.0 else -magnitude


@ti.kernel
def surface_adjoint(
    directions: array2,
    depth: array1,
    normal: array2,
    grazing: float,
    point_bar: array2,
    origin_bar: array2,
    direction_bar: array2,
    value_bar: array1,
):
    """Cotangents of the ray and of the field's value from the cotangent of the point.

    directions    | (R, 3) | v, unit
    depth         | (R,)   | t, normalised units
    normal        | (R, 3) | n = grad f(x), not normalised
    grazing       | scalar | least |n.v|
    point_bar     | (R, 3) | g
    origin_bar    | (R, 3) | dL/dc
    direction_bar | (R, 3) | dL/dv
    value_bar     | (R,)   | dL/df
    """
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(depth.shape[0]):
        n, v = load_ray(normal, directions, r)
        g = ti.Vector([point_bar[r, 0], point_bar[r, 1], point_bar[r, 2]])
        depth_bar = g.dot(v) / clamped_cosine(n.dot(v), grazing)
        total = g - depth_bar * n
        value_bar[r] = -depth_bar
        for a in ti.static(range(3)):
            origin_bar[r, a] = total[a]
            direction_bar[r, a] = depth[r] * total[a]

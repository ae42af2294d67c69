"""Signed distances with closed forms, and their gradients: shapes to test tracers on.

Each function takes a point x (normalised frame) and returns f(x), negative inside, and grad f(x), a unit vector.

Shape       | parameters, normalised units
SPHERE      | radius
TORUS       | major radius, minor radius; axis z
ROUNDED_BOX | three half edges, rounding (added to the half edges)
CAPSULE     | half length along z, radius
TWO_SPHERES | offset of the centres along +x and -x, radius
"""

from ._ti import array1, array2, on_cpu, ti

SPHERE, TORUS, ROUNDED_BOX, CAPSULE, TWO_SPHERES = 0, 1, 2, 3, 4
TINY = 1e-12  # keeps the gradient finite at centres and on axes, where it has no direction


@ti.func
def sphere(x, radius):
    length = ti.max(x.norm(), TINY)
    return length - radius, x / length


@ti.func
def torus(x, major, minor):
    ring = ti.max(ti.sqrt(x[0] * x[0] + x[1] * x[1]), TINY)
    out = ring - major
    tube = ti.max(ti.sqrt(out * out + x[2] * x[2]), TINY)
    return tube - minor, ti.Vector([out * x[0] / ring, out * x[1] / ring, x[2]]) / tube


@ti.func
def rounded_box(x, half, rounding):
    q = ti.abs(x) - half
    beyond = ti.max(q, 0.0)
    outside = beyond.norm()
    deepest = q.max()
    gradient = beyond / ti.max(outside, TINY)
    if deepest < 0.0:
        for a in ti.static(range(3)):
            gradient[a] = 1.0 if q[a] == deepest else 0.0
    return outside + ti.min(deepest, 0.0) - rounding, gradient * ti.math.sign(x)


@ti.func
def capsule(x, half_length, radius):
    axis = ti.Vector([0.0, 0.0, ti.min(ti.max(x[2], -half_length), half_length)])
    return sphere(x - axis, radius)


@ti.func
def two_spheres(x, offset, radius):
    side = 1.0 if x[0] > 0.0 else -1.0
    return sphere(x - ti.Vector([side * offset, 0.0, 0.0]), radius)


@ti.func
def distance(shape: ti.template(), p: ti.template(), x):
    """f(x) and grad f(x) of the shape with parameters p."""
    value, gradient = 0.0, x
    if ti.static(shape == SPHERE):
        value, gradient = sphere(x, p[0])
    elif ti.static(shape == TORUS):
        value, gradient = torus(x, p[0], p[1])
    elif ti.static(shape == ROUNDED_BOX):
        value, gradient = rounded_box(x, ti.Vector([p[0], p[1], p[2]]), p[3])
    elif ti.static(shape == CAPSULE):
        value, gradient = capsule(x, p[0], p[1])
    else:
        value, gradient = two_spheres(x, p[0], p[1])
    return value, gradient


@ti.kernel
def analytic_sdf(shape: ti.template(), parameters: array1, points: array2, value: array1, gradient: array2):
    """Distance and its gradient at points.

    shape      | constant | SPHERE ... TWO_SPHERES
    parameters | (P,)     | of the shape, as in the table above
    points     | (N, 3)   | normalised frame
    value      | (N,)     | f
    gradient   | (N, 3)   | grad f, unit length
    """
    ti.loop_config(serialize=ti.static(on_cpu()))
    for n in range(points.shape[0]):
        f, g = distance(shape, parameters, ti.Vector([points[n, 0], points[n, 1], points[n, 2]]))
        value[n] = f
        for a in ti.static(range(3)):
            gradient[n, a] = g[a]

"""An ewer: the object of the demo's capture, as one implicit function with procedural colours.

Designed to ask for what the method must do: a twisted, ribbed belly, carved dimples, a loop handle (genus),
a spout, a hollow mouth that no silhouette shows, colours that follow and that ignore the shape. All of it
can be seen from outside. z is up; it lies within BOUND of the origin. Parts are joined by the quadratic
smooth minimum min(a, b) - max(k - |a - b|, 0)^2 / (4 k); outside, the slope of the function stays within
SLOPE: a step of distance / SLOPE never crosses the surface.

Argument | shape  | meaning                                         | unit
points   | (N, 3) | in the object's frame                           | object units
palette  | (6, 3) | rows CREAM ... TERRACOTTA, linear reflectance   | 1
value    | (N,)   | f, negative inside                              | object units
normals  | (N, 3) | grad f / |grad f|                               | 1
colours  | (N, 3) | linear reflectance                              | 1
"""

from ._ti import array1, array2, ti

BOUND = 0.86
SLOPE = 1.25
CREAM, COBALT, TEAL, OCHRE, RED, TERRACOTTA = range(6)

RIBS, TWIST, RIB_HEIGHT = 9.0, 6.0, 0.03
DIMPLES, DIMPLE_Z, DIMPLE_RHO, DIMPLE_RADIUS = 14.0, 0.17, 0.385, 0.055
FAR = 0.09
TURN = 6.283185307179586


@ti.func
def smooth_min(a, b, k):
    overlap = ti.max(k - ti.abs(a - b), 0.0)
    return ti.min(a, b) - overlap * overlap / (4.0 * k)


@ti.func
def smooth_max(a, b, k):
    return -smooth_min(-a, -b, k)


@ti.func
def segment(p, a, b, radius_a, radius_b):
    """Distance to a rod from a to b whose radius changes linearly."""
    along = b - a
    s = ti.min(ti.max((p - a).dot(along) / along.dot(along), 0.0), 1.0)
    return (p - a - s * along).norm() - (radius_a + s * (radius_b - radius_a))


@ti.func
def rib_phase(p):
    """cos of the twisted pattern around the belly: 1 on a ridge, -1 in a groove."""
    return ti.cos(RIBS * ti.atan2(p[1], p[0]) + TWIST * p[2])


@ti.func
def dimple(p, rho):
    """Distance to the nearest of the spheres carved out of the shoulder."""
    sector = TURN / DIMPLES
    phi = ti.atan2(p[1], p[0])
    folded = phi - sector * ti.round(phi / sector)
    q = ti.Vector([rho * ti.cos(folded) - DIMPLE_RHO, rho * ti.sin(folded), p[2] - DIMPLE_Z])
    return q.norm() - DIMPLE_RADIUS


@ti.func
def revolved(p):
    """Belly, neck and foot around the z axis, with ribs, dimples and the floor of the mouth.

    Beyond FAR the ornaments, which cost two thirds of the time, are replaced by the most that they can add.
    """
    q = ti.Vector([ti.sqrt(p[0] * p[0] + p[1] * p[1]), p[2]])
    belly = ti.Vector([q[0], 0.9 * (q[1] + 0.14)]).norm() - 0.45
    neck = segment(q, ti.Vector([0.19, 0.25]), ti.Vector([0.33, 0.66]), 0.06, 0.045)
    foot = segment(q, ti.Vector([0.0, -0.62]), ti.Vector([0.25, -0.62]), 0.05, 0.05)
    floor = segment(q, ti.Vector([0.0, 0.4]), ti.Vector([0.2, 0.4]), 0.05, 0.05)
    value = ti.min(ti.min(belly, neck), ti.min(foot, floor)) - RIB_HEIGHT - 0.05
    if value < FAR:
        band = ti.max(1.0 - ((p[2] + 0.14) / 0.42) ** 2, 0.0)
        ribbed = belly - RIB_HEIGHT * band * band * rib_phase(p)
        solid = smooth_min(smooth_min(ribbed, neck, 0.08), foot, 0.1)
        value = smooth_max(smooth_min(solid, floor, 0.1), -dimple(p, q[0]), 0.015)
    return value


@ti.func
def handle(p):
    """A ring in the x z plane, on the side of +x."""
    q = ti.Vector([p[0] - 0.47, p[2] - 0.27])
    return ti.Vector([q.norm() - 0.23, p[1]]).norm() - 0.045


@ti.func
def spout(p):
    """A tapering rod with a hollow tip, on the side of -x."""
    root, tip = ti.Vector([-0.34, 0.0, 0.0]), ti.Vector([-0.66, 0.0, 0.4])
    hollow = segment(p, ti.Vector([-0.62, 0.0, 0.35]), ti.Vector([-0.78, 0.0, 0.55]), 0.035, 0.05)
    return smooth_max(segment(p, root, tip, 0.12, 0.065), -hollow, 0.02)


@ti.func
def distance(p):
    """f(p), negative inside; far away the distance to the bounding sphere, which is less."""
    value = p.norm() - BOUND
    if value < 0.1:
        value = smooth_min(smooth_min(revolved(p), handle(p), 0.06), spout(p), 0.08)
    return value


@ti.func
def normal(p):
    """grad f / |grad f| from four values at the corners of a tetrahedron, which halves the cost of six."""
    step = 5e-4
    gradient = ti.Vector([0.0, 0.0, 0.0])
    for corner in range(4):
        x, y = 1 - 2 * (corner // 2), 1 - 2 * (corner % 2)
        e = ti.cast(ti.Vector([x, y, x * y]), float)
        gradient += e * distance(p + step * e)
    return gradient / ti.max(gradient.norm(), 1e-12)


@ti.func
def mix_in(colour, palette: ti.template(), row, signed, width):
    """`colour` where signed < -width, the palette's row where signed > width, smooth between."""
    s = ti.min(ti.max(0.5 + 0.5 * signed / width, 0.0), 1.0)
    other = ti.Vector([palette[row, 0], palette[row, 1], palette[row, 2]])
    return colour + s * s * (3.0 - 2.0 * s) * (other - colour)


@ti.func
def reflectance(p, palette: ti.template()):
    """Linear colour of the surface point p."""
    rho = ti.sqrt(p[0] * p[0] + p[1] * p[1])
    phi = ti.atan2(p[1], p[0])
    colour = ti.Vector([palette[CREAM, 0], palette[CREAM, 1], palette[CREAM, 2]])
    belly = 0.30 - ti.abs(p[2] + 0.19)
    colour = mix_in(colour, palette, COBALT, ti.min(-rib_phase(p) - 0.15, belly * 8.0), 0.12)
    fret = ti.sin(12.0 * phi) * ti.sin(46.0 * p[2])
    colour = mix_in(colour, palette, TEAL, ti.min(fret, 12.0 * (0.075 - ti.abs(p[2] - 0.47))), 0.1)
    colour = mix_in(colour, palette, RED, 0.009 - dimple(p, rho), 0.004)
    colour = mix_in(colour, palette, OCHRE, ti.max(p[2] - 0.62, 0.02 - ti.abs(p[2] - 0.35)), 0.006)
    colour = mix_in(colour, palette, TERRACOTTA, ti.max(-0.51 - p[2], 0.012 - ti.abs(p[2] + 0.455)), 0.006)
    body = revolved(p)
    colour = mix_in(colour, palette, TEAL, body - handle(p), 0.01)
    rings = ti.sin(60.0 * (p[2] - p[0])) + 0.2
    colour = mix_in(colour, palette, OCHRE, body - spout(p), 0.01)
    colour = mix_in(colour, palette, TERRACOTTA, ti.min(0.1 * rings, body - spout(p) - 0.01), 0.03)
    speckle = ti.sin(41.0 * p[0] + 3.0 * ti.sin(17.0 * p[2]))
    speckle *= ti.sin(37.0 * p[1] + 3.0 * ti.sin(19.0 * p[0]))
    speckle *= ti.sin(43.0 * p[2] + 3.0 * ti.sin(23.0 * p[1]))
    return mix_in(colour, palette, TERRACOTTA, speckle - 0.7, 0.9)


@ti.kernel
def ewer_distance(points: array2, value: array1):
    """f at every point."""
    for n in range(points.shape[0]):
        value[n] = distance(ti.Vector([points[n, 0], points[n, 1], points[n, 2]]))


@ti.kernel
def ewer_surface(points: array2, palette: array2, normals: array2, colours: array2):
    """Normal and colour at points of the surface."""
    for n in range(points.shape[0]):
        p = ti.Vector([points[n, 0], points[n, 1], points[n, 2]])
        direction = normal(p)
        colour = reflectance(p, palette)
        for a in ti.static(range(3)):
            normals[n, a] = direction[a]
            colours[n, a] = colour[a]

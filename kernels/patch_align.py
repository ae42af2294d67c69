"""Patches sought in a photo: Lucas and Kanade 1981, gain and offset removed.

Argument  | shape     | meaning                                                                         | unit
photo     | (H, W)    | brightness                                                                      |
patches   | (N, P)    | what is sought: mean 0, deviation 1                                             |
there     | (N, P, 2) | u, v where each of its pixels is expected, the middle one being the patch's     | pixel
start     | (N, 2)    | shift to begin with                                                             | pixel
spread    | scalar    | by which pixels are moved away from the middle one: the photo is that much blurred |
steps     | scalar    | of the iteration                                                                |
shift     | (N, 2)    | shift by which the photo is most like the patch                                 | pixel
likeness  | (N,)      | correlation before the last step                                                |
contrast  | (N,)      | deviation of the photo's values there                                           |
curvature | (N, 2, 2) | of half the squared difference of standardised values, in the shift             | 1 / pixel^2
"""

from ._ti import array1, array2, array3, ti

LEAST_CONTRAST = 1e-4  # added to deviations: a flat patch stays flat
RIDGE = 1e-3  # added to the curvature, along whose zeros no step is taken


@ti.func
def bilinear(photo: ti.template(), u, v):
    """Value and its slopes along u and v; beyond the edge what is at it."""
    height, width = photo.shape[0], photo.shape[1]
    x, y = ti.max(0.0, ti.min(u, width - 1.001)), ti.max(0.0, ti.min(v, height - 1.001))
    column = ti.max(0, ti.min(int(ti.floor(x)), width - 2))  # once more as a number: NaN passes the first
    row = ti.max(0, ti.min(int(ti.floor(y)), height - 2))
    right, down = x - column, y - row
    a, b = photo[row, column], photo[row, column + 1]
    c, d = photo[row + 1, column], photo[row + 1, column + 1]
    top, bottom = a + right * (b - a), c + right * (d - c)
    return ti.Vector([top + down * (bottom - top), (b - a) * (1 - down) + (d - c) * down, bottom - top])


@ti.func
def expected(n, p, there: ti.template(), spread):
    """Pixel p of patch n, spread from the middle."""
    middle = there.shape[1] // 2
    place = ti.Vector([0.0, 0.0])
    for a in ti.static(range(2)):
        place[a] = there[n, middle, a] + spread * (there[n, p, a] - there[n, middle, a])
    return place


@ti.func
def normal_equations(n, photo: ti.template(), patches: ti.template(), there: ti.template(), spread, shift):
    """Likeness, contrast, curvature and the right-hand side of the step, at a shift.

    Sums of values w less that of the middle pixel, slopes g and sought values s:
    H = (sum g g^T - P mean(g) mean(g)^T) / contrast^2, and likewise for g w and g s.
    """
    count = patches.shape[1]
    centre = expected(n, count // 2, there, spread) + shift
    base = bilinear(photo, centre[0], centre[1])[0]
    w, ww, sw, s = 0.0, 0.0, 0.0, 0.0
    g, gw, gs = ti.Vector([0.0, 0.0]), ti.Vector([0.0, 0.0]), ti.Vector([0.0, 0.0])
    gg = ti.Matrix([[0.0, 0.0], [0.0, 0.0]])
    for p in range(count):
        place = expected(n, p, there, spread) + shift
        seen = bilinear(photo, place[0], place[1])
        value, slope, sought = seen[0] - base, ti.Vector([seen[1], seen[2]]), patches[n, p]
        w += value
        ww += value * value
        sw += sought * value
        s += sought
        g += slope
        gw += slope * value
        gs += slope * sought
        gg += slope.outer_product(slope)
    contrast = ti.sqrt(ti.max(ww / count - (w / count) ** 2, 0.0)) + LEAST_CONTRAST
    likeness = (sw - s * w / count) / (count * contrast)
    H = (gg - g.outer_product(g) / count) / contrast**2
    right = (gs - g * s / count) / contrast - (gw - g * w / count) / contrast**2
    return likeness, contrast, H, right


@ti.kernel
def align_patches(
    photo: array2,
    patches: array2,
    there: array3,
    start: array2,
    spread: float,
    steps: int,
    shift: array2,
    likeness: array1,
    contrast: array1,
    curvature: array3,
):
    """One patch per task."""
    for n in range(patches.shape[0]):
        now = ti.Vector([start[n, 0], start[n, 1]])
        like, deviation = 0.0, 0.0
        H = ti.Matrix([[0.0, 0.0], [0.0, 0.0]])
        for _ in range(steps):
            like, deviation, H, right = normal_equations(n, photo, patches, there, spread, now)
            xx, yy = H[0, 0] + RIDGE, H[1, 1] + RIDGE
            step = ti.Vector([yy * right[0] - H[0, 1] * right[1], xx * right[1] - H[0, 1] * right[0]])
            step /= xx * yy - H[0, 1] ** 2
            now += ti.max(-2.0 * spread, ti.min(step, 2.0 * spread))
        likeness[n], contrast[n] = like, deviation
        for a in ti.static(range(2)):
            shift[n, a] = now[a]
            for b in ti.static(range(2)):
                curvature[n, a, b] = H[a, b]

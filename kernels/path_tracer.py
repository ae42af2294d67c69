"""Photos of the ewer by path tracing: soft shadows, interreflection, gloss, anti-aliased edges.

Kajiya, "The Rendering Equation", 1986, with one light sampled at every vertex. The lights are spheres that
cannot be seen; the sky is a gradient along z that can, except by the ray of the camera, which sees a
backdrop. A glossy coat lies over a diffuse base: with Schlick's F = F0 + (1 - F0)(1 - n.v)^5 and the
mirrored view m,
    f(l) n.l = F (e + 1)/(2 pi) max(m.l, 0)^e  +  (1 - F) reflectance/pi max(n.l, 0).

Random numbers are a function of (seed, pixel, sample, vertex): at the first vertex additive sequences of
low discrepancy in the pixel, on the light and in the choice of the next direction, each shifted per pixel;
then a hash (Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020). So a picture does not depend on
the order of execution. Lights take turns: `samples` is best a multiple of their number.

Argument | shape        | meaning                                                        | unit
camera   | (4, 3)       | rows 0-2: R K^-1, pixel to direction; row 3: centre; object frame
pixels   | (N, 2)       | (u, v); integers are pixel centres                             | pixel
lights   | (L, 7)       | centre, radius, radiance                                       | object units, 1
sky      | (3, 3)       | radiance from above, from below, and of the backdrop           | 1
palette  | (6, 3)       | reflectance of the ewer's colours                              | 1
coat     | (2,)         | F0 and exponent e                                              | 1
samples  | scalar int   | paths per pixel
bounces  | scalar int   | vertices after the first
radiance | (N, 3)       | mean over the pixel's square                                   | 1
inside   | (N,) int32   | 1 where the ray through the pixel's centre meets the ewer
"""

from ._ti import array1, array2, ti
from .ewer import BOUND, SLOPE, TURN, distance, normal, reflectance

STEPS = 256
TOLERANCE = 1e-4
LIFT = 2e-3
MISS = -1.0
# Exponent of the coat seen by indirect light: a sharp lobe there is a rare bright path, a speck in the photo
# (Kaplanyan and Dachsbacher, "Path Space Regularization", 2013).
REGULARISED = 6.0
# Additive sequences in d dimensions: powers of 1/g, g^(d+1) = g + 1, here for d = 2, 2 and 3.
STEP = [0.7548776662, 0.5698402910, 0.7548776662, 0.5698402910, 0.8191725134, 0.6710436067, 0.5497004779]
PIXEL_U, PIXEL_V, LIGHT_U, LIGHT_V, LOBE, BOUNCE_U, BOUNCE_V = range(7)


@ti.func
def mixed(a, b, c, d):
    """One well-stirred 32-bit number of four (pcg, applied to a linear combination)."""
    state = ti.cast(a, ti.u32) * ti.u32(747796405) + ti.cast(b, ti.u32) * ti.u32(2891336453)
    state += ti.cast(c, ti.u32) * ti.u32(2654435761) + ti.cast(d, ti.u32) * ti.u32(805459861)
    for _ in ti.static(range(2)):
        state = state * ti.u32(747796405) + ti.u32(2891336453)
        state = ((state >> ((state >> 28) + ti.u32(4))) ^ state) * ti.u32(277803737)
        state = (state >> 22) ^ state
    return state


@ti.func
def random(seed, pixel, sample, vertex, dimension: ti.template()):
    """Uniform in [0, 1)."""
    number = 0.0
    if vertex == 0:
        shift = ti.cast(mixed(seed, pixel, dimension, 0) >> 8, float) / 16777216.0
        number = shift + sample * ti.static(STEP[dimension])
    else:
        number = ti.cast(mixed(seed + 1, pixel, sample, 8 * vertex + dimension) >> 8, float) / 16777216.0
    return number - ti.floor(number)


@ti.func
def turn_of_light(seed, pixel, sample, vertex, count):
    return (ti.cast(mixed(seed, pixel, vertex, 1) >> 8, ti.i32) + sample) % count


@ti.func
def around(axis, cosine, turn):
    """The unit vector at that cosine from `axis` and that turn, in [0, 1), about it."""
    helper = ti.Vector([0.0, 0.0, 1.0])
    if ti.abs(axis[2]) > 0.7:
        helper = ti.Vector([1.0, 0.0, 0.0])
    x = axis.cross(helper).normalized()
    y = axis.cross(x)
    sine = ti.sqrt(ti.max(1.0 - cosine * cosine, 0.0))
    return cosine * axis + sine * (ti.cos(TURN * turn) * x + ti.sin(TURN * turn) * y)


@ti.func
def sphere_traced(origin, direction):
    """Depth of the first surface point, or MISS: sphere tracing within the bounding sphere."""
    towards = -origin.dot(direction)
    half_chord = BOUND * BOUND - origin.dot(origin) + towards * towards
    found = MISS
    if half_chord > 0.0:
        far = towards + ti.sqrt(half_chord)
        depth = ti.max(towards - ti.sqrt(half_chord), 0.0)
        step = 0
        while step < STEPS and depth < far:
            value = distance(origin + depth * direction)
            if value < TOLERANCE:
                found = depth
                break
            depth += value / SLOPE
            step += 1
    return found


@ti.func
def pixel_ray(camera: ti.template(), u, v):
    """Unit direction of the ray through (u, v)."""
    d = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        d[a] = camera[a, 0] * u + camera[a, 1] * v + camera[a, 2]
    return d.normalized()


@ti.func
def schlick(f0, cosine):
    return f0 + (1.0 - f0) * (1.0 - ti.min(ti.max(cosine, 0.0), 1.0)) ** 5 * ti.cast(f0 > 0.0, float)


@ti.func
def scattered(n, mirrored, colour, fresnel, exponent, direction):
    """f(l) n.l of the coat and its base."""
    gloss = fresnel * (exponent + 1.0) / TURN * ti.max(mirrored.dot(direction), 0.0) ** exponent
    above = ti.max(n.dot(direction), 0.0)
    return ti.cast(above > 0.0, float) * gloss + (1.0 - fresnel) * colour * above * (2.0 / TURN)


@ti.func
def lit(lights: ti.template(), row, x, n, mirrored, colour, fresnel, exponent, u, v):
    """Light sent back at x from one light, standing for all: a direction even in its solid angle."""
    towards = ti.Vector([lights[row, 0], lights[row, 1], lights[row, 2]]) - x
    away = towards.norm()
    widest = ti.sqrt(ti.max(1.0 - (lights[row, 3] / away) ** 2, 0.0))
    direction = around(towards / away, 1.0 - u * (1.0 - widest), v)
    seen = scattered(n, mirrored, colour, fresnel, exponent, direction)
    result = ti.Vector([0.0, 0.0, 0.0])
    if seen.max() > 0.0 and sphere_traced(x, direction) == MISS:
        solid_angle = TURN * (1.0 - widest)
        radiance = ti.Vector([lights[row, 4], lights[row, 5], lights[row, 6]])
        result = seen * radiance * solid_angle * lights.shape[0]
    return result


@ti.func
def sky_towards(sky: ti.template(), direction):
    s = 0.5 + 0.5 * direction[2]
    result = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        result[a] = sky[1, a] + s * (sky[0, a] - sky[1, a])
    return result


@ti.func
def path(
    origin,
    towards,
    seed,
    pixel,
    sample,
    bounces,
    lights: ti.template(),
    sky: ti.template(),
    palette: ti.template(),
    coat: ti.template(),
):
    """Radiance along one ray of the camera. `carried` is the product of the scattering so far."""
    total = ti.Vector([0.0, 0.0, 0.0])
    carried = ti.Vector([1.0, 1.0, 1.0])
    start, direction = origin, towards
    vertex = 0
    while vertex <= bounces + 1:
        depth = sphere_traced(start, direction)
        if depth == MISS:
            total += carried * sky_towards(sky, direction)
            if vertex == 0:
                total = ti.Vector([sky[2, 0], sky[2, 1], sky[2, 2]])
            break
        if vertex > bounces:
            break
        hit = start + depth * direction
        n = normal(hit)
        colour = reflectance(hit, palette)
        x = hit + LIFT * n
        fresnel = schlick(coat[0], -n.dot(direction))
        mirrored = direction - 2.0 * n.dot(direction) * n
        exponent = coat[1] if vertex == 0 else ti.min(coat[1], REGULARISED)
        total += carried * lit(
            lights,
            turn_of_light(seed, pixel, sample, vertex, lights.shape[0]),
            x,
            n,
            mirrored,
            colour,
            fresnel,
            exponent,
            random(seed, pixel, sample // lights.shape[0], vertex, LIGHT_U),
            random(seed, pixel, sample // lights.shape[0], vertex, LIGHT_V),
        )
        u = random(seed, pixel, sample, vertex, BOUNCE_U)
        turn = random(seed, pixel, sample, vertex, BOUNCE_V)
        glossy = fresnel / (fresnel + (1.0 - fresnel) * ti.max(colour.sum() / 3.0, 0.02))
        if random(seed, pixel, sample, vertex, LOBE) < glossy:
            direction = around(mirrored, u ** (1.0 / (exponent + 1.0)), turn)
            carried *= fresnel / glossy * ti.cast(n.dot(direction) > 0.0, float)
        else:
            direction = around(n, ti.sqrt(u), turn)
            carried *= (1.0 - fresnel) / (1.0 - glossy) * colour
        start = x
        vertex += 1
    return total


@ti.kernel
def photograph(
    camera: array2,
    pixels: array2,
    lights: array2,
    sky: array2,
    palette: array2,
    coat: array1,
    samples: int,
    bounces: int,
    seed: int,
    radiance: array2,
    inside: array1,
):
    """Radiance and silhouette at every pixel."""
    for n in range(pixels.shape[0]):
        centre = ti.Vector([camera[3, 0], camera[3, 1], camera[3, 2]])
        u, v = pixels[n, 0], pixels[n, 1]
        pixel = ti.cast(v, ti.i32) * 65536 + ti.cast(u, ti.i32)
        total = ti.Vector([0.0, 0.0, 0.0])
        for sample in range(samples):
            du = random(seed, pixel, sample, 0, PIXEL_U) - 0.5
            dv = random(seed, pixel, sample, 0, PIXEL_V) - 0.5
            ray = pixel_ray(camera, u + du, v + dv)
            total += path(centre, ray, seed, pixel, sample, bounces, lights, sky, palette, coat)
        inside[n] = ti.cast(sphere_traced(centre, pixel_ray(camera, u, v)) != MISS, ti.i32)
        for a in ti.static(range(3)):
            radiance[n, a] = total[a] / samples

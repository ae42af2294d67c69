"""The field of preset `fast` in one pass: hash encoding, Softplus network, bound of the visual hull; no derivative.

For where the surface is hunted and many values are wanted one after the other: between two questions nothing has to
leave the processor's registers. The networks in training stay in torch (fields/hash_geometry.py); the values agree.

Argument | shape               | meaning
table    | (rows, 2)           | features of the encoding (hash_encoding.py)
levels   | (L, 4) int32        | of the encoding (hash_encoding.py)
network  | (K, W)              | weights, transposed, in the order of use: for each hidden layer its inputs' rows and a
         |                     | row of biases, then the output's weights, then SETTINGS; padded by zeros
hull     | (H, H, H)           | signed distance from the visual hull, normalised units
width    | static int          | W, a multiple of 4
inputs   | static int          | rows of the first layer, a multiple of 4: point, encoding, zeros
"""

from ._ti import array1, array2, array3, ti
from .hash_encoding import encode_level
from .rows import row3
from .trilinear import interpolate

BIAS, BETA, ACTIVE, MARGIN = 0, 1, 2, 3  # columns of the last row: output bias, Softplus, levels, hull's slack


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


@ti.func
def softplus(x, beta):
    """log(1 + exp(beta x)) / beta."""
    return ti.max(x, 0.0) + log_of_one_plus(decayed(beta * x)) / beta


@ti.func
def apply_layer(
    x: ti.template(),
    count,
    network: ti.template(),
    first,
    biases,
    beta,
    y: ti.template(),
    width: ti.template(),
):
    """y = softplus(W x + b) of the first `count` inputs, a multiple of 4; weights from row `first` on.

    Vectors are passed by reference: by value, Taichi copies them element by element.
    """
    for j in range(width):
        y[j] = network[biases, j]
    for block in range(count // 4):
        k = 4 * block
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        row = first + k
        for j in range(width):
            y[j] += a * network[row, j] + b * network[row + 1, j] + c * network[row + 2, j] + d * network[row + 3, j]
    for j in range(width):
        y[j] = softplus(y[j], beta)


@ti.func
def field_value(
    x,
    table: ti.template(),
    levels: ti.template(),
    network: ti.template(),
    hull: ti.template(),
    width: ti.template(),
    inputs: ti.template(),
):
    """f at x: the larger of the network's value and the distance from the grown hull."""
    settings = network.shape[0] - 1
    beta, active = network[settings, BETA], ti.cast(network[settings, ACTIVE], ti.i32)
    encoded = ti.Vector([0.0] * inputs)
    for a in ti.static(range(3)):
        encoded[a] = x[a]
    for level in range(active):
        y = encode_level(x, table, levels, level)
        encoded[3 + 2 * level] = y[0]
        encoded[4 + 2 * level] = y[1]
    hidden = ti.Vector([0.0] * width)
    apply_layer(encoded, (3 + 2 * active + 3) // 4 * 4, network, 0, inputs, beta, hidden, width)
    for further in range((settings - 2 - inputs) // (width + 1)):
        before = ti.Vector([0.0] * width)
        for j in range(width):
            before[j] = hidden[j]
        first = inputs + 1 + further * (width + 1)
        apply_layer(before, width, network, first, first + width, beta, hidden, width)
    value = network[settings, BIAS]
    for j in range(width):
        value += hidden[j] * network[settings - 1, j]
    return ti.max(value, interpolate(hull, x) - network[settings, MARGIN])


@ti.kernel
def field_values(
    points: array2,
    table: array2,
    levels: array2,
    network: array2,
    hull: array3,
    width: ti.template(),
    inputs: ti.template(),
    value: array1,
):
    """f (N,) at points (N, 3) of the normalised frame."""
    for n in range(points.shape[0]):
        value[n] = field_value(row3(points, n), table, levels, network, hull, width, inputs)

"""Multiresolution hash encoding of points: value, Jacobian, and the adjoint of both.

Müller, Evans, Schied, Keller, "Instant Neural Graphics Primitives", 2022, section 3. Each of L levels is a grid over
[-1, 1]^3 whose corners index F = 2 features in a table, directly while (resolution + 1)^3 rows fit, hashed beyond.
With corner features T_k and trilinear weights w_k(x), y = sum_k w_k T_k and J = dy/dx = sum_k (grad w_k) T_k.

Both are linear in the table, so their adjoint to it needs no table:   dL/dT_k = w_k c_y + C_J (grad w_k),
and to the point                       dL/dx = J^T c_y + sum_f (hess y_f) (C_J)_f
where c_y = dL/dy and C_J = dL/dJ. The Hessian of a trilinear function has mixed terms only.

Argument   | shape        | meaning
points     | (N, 3)       | normalised frame; clamped to [-1, 1]
table      | (rows, 2)    | features, all levels one after the other
levels     | (L, 4) int32 | columns RESOLUTION, OFFSET, ROWS, HASHED
active     | scalar int   | levels 0 ... active - 1 are evaluated, the others give zeros
value      | (N, 2 L)     | y
jacobian   | (N, 2 L, 3)  | J, per unit of the normalised frame

All of a cell is loaded into local vectors before anything is stored: after a store to an array every later load would
have to be repeated. Corners are numbered as in kernels/trilinear.py.
"""

from ._ti import array2, array3, ti
from .rows import row3
from .trilinear import locate, trilinear

RESOLUTION, OFFSET, ROWS, HASHED = 0, 1, 2, 3
TASK_STRIDE = 512  # a CPU loop runs in chunks of at least 512 iterations: one task per chunk
PRIME_Y, PRIME_Z = 2654435761 - 2**32, 805459861  # of the paper; as signed numbers, whose products wrap the same way


@ti.func
def corner_rows(cell, levels: ti.template(), level):
    """Table rows of a cell's eight corners: direct where the level's grid fits its rows, else the spatial hash."""
    x, y, z = cell[0], cell[1] * PRIME_Y, cell[2] * PRIME_Z
    rows = ti.Vector([0] * 8)
    if levels[level, HASHED] == 0:
        side = levels[level, RESOLUTION] + 1
        first = (cell[2] * side + cell[1]) * side + cell[0]
        for i in ti.static(range(8)):
            rows[i] = first + ti.static(i & 1) + side * (ti.static(i >> 1 & 1) + side * ti.static(i >> 2))
    else:
        for i in ti.static(range(8)):
            along_y = y + ti.static((i >> 1 & 1) * PRIME_Y)
            along_z = z + ti.static((i >> 2) * PRIME_Z)
            rows[i] = ((x + ti.static(i & 1)) ^ along_y ^ along_z) & (levels[level, ROWS] - 1)
    return rows + levels[level, OFFSET]


@ti.func
def corner_features(table: ti.template(), rows):
    """Both features at the eight corners."""
    first = ti.Vector([0.0] * 8)
    second = ti.Vector([0.0] * 8)
    for i in ti.static(range(8)):
        first[i] = table[rows[i], 0]
        second[i] = table[rows[i], 1]
    return first, second


@ti.func
def encode_level(x, table: ti.template(), levels: ti.template(), level):
    """The level's two features at x."""
    cell, f = locate(x, levels[level, RESOLUTION])
    first, second = corner_features(table, corner_rows(cell, levels, level))
    value_0, _gradient_0, _mixed_0 = trilinear(first, f)
    value_1, _gradient_1, _mixed_1 = trilinear(second, f)
    return ti.Vector([value_0, value_1])


@ti.kernel
def encode(points: array2, table: array2, levels: array2, active: int, value: array2):
    """y at every point."""
    for n in range(points.shape[0]):
        x = row3(points, n)
        for level in range(levels.shape[0]):
            y = ti.Vector([0.0, 0.0])
            if level < active:
                y = encode_level(x, table, levels, level)
            for feature in ti.static(range(2)):
                value[n, 2 * level + feature] = y[feature]


@ti.kernel
def encode_jacobian(points: array2, table: array2, levels: array2, active: int, value: array2, jacobian: array3):
    """y and J at every point."""
    for n in range(points.shape[0]):
        x = row3(points, n)
        for level in range(levels.shape[0]):
            value_0, gradient_0 = 0.0, ti.Vector([0.0, 0.0, 0.0])
            value_1, gradient_1 = 0.0, ti.Vector([0.0, 0.0, 0.0])
            if level < active:
                cell, f = locate(x, levels[level, RESOLUTION])
                first, second = corner_features(table, corner_rows(cell, levels, level))
                value_0, gradient_0, _mixed_0 = trilinear(first, f)
                value_1, gradient_1, _mixed_1 = trilinear(second, f)
            scale = 0.5 * levels[level, RESOLUTION]  # cells per normalised unit
            value[n, 2 * level] = value_0
            value[n, 2 * level + 1] = value_1
            for a in ti.static(range(3)):
                jacobian[n, 2 * level, a] = gradient_0[a] * scale
                jacobian[n, 2 * level + 1, a] = gradient_1[a] * scale


@ti.func
def feature_cotangents(
    f,
    scale,
    value_bar: ti.template(),
    jacobian_bar: ti.template(),
    n,
    column,
    with_jacobian: ti.template(),
):
    """dL/dT of one feature at the eight corners: w_k c_y + C_J (grad w_k).

    With the weights X, Y, Z of a corner along the axes, and X' = -1 or 1 and so on, its slopes, that is
    (X c_y + X' C_x) Y Z + X (C_y Y' Z + C_z Y Z').
    """
    X, Y, Z = ti.Vector([1.0 - f[0], f[0]]), ti.Vector([1.0 - f[1], f[1]]), ti.Vector([1.0 - f[2], f[2]])
    along_x, YZ, across = X * value_bar[n, column], Y.outer_product(Z), ti.Matrix([[0.0, 0.0], [0.0, 0.0]])
    if ti.static(with_jacobian):
        c = scale * ti.Vector([jacobian_bar[n, column, 0], jacobian_bar[n, column, 1], jacobian_bar[n, column, 2]])
        along_x += ti.Vector([-c[0], c[0]])
        across = ti.Vector([-c[1], c[1]]).outer_product(Z) + Y.outer_product(ti.Vector([-c[2], c[2]]))
    bar = ti.Vector([0.0] * 8)
    for i in ti.static(range(8)):
        j, k = ti.static(i >> 1 & 1, i >> 2)
        bar[i] = along_x[ti.static(i & 1)] * YZ[j, k] + X[ti.static(i & 1)] * across[j, k]
    return bar


@ti.kernel
def table_adjoint_ordered(
    points: array2,
    levels: array2,
    active: int,
    value_bar: array2,
    jacobian_bar: array3,
    with_jacobian: ti.template(),
    table_bar: array2,
):
    """Add dL/dtable; one task owns one level, so sums are free of atomics and always in the same order (CPU).

    `+=` on an array is an atomic sum in Taichi, on the CPU a loop of its own: twice the time of all this.
    value_bar (N, 2 L) is c_y, jacobian_bar (N, 2 L, 3) is C_J (unread unless with_jacobian); table_bar (rows, 2).
    """
    for task in range(levels.shape[0] * TASK_STRIDE):
        level = task // TASK_STRIDE
        if task % TASK_STRIDE == 0 and level < active:
            resolution = levels[level, RESOLUTION]
            for n in range(points.shape[0]):
                cell, f = locate(row3(points, n), resolution)
                rows = corner_rows(cell, levels, level)
                scale = 0.5 * resolution
                first = feature_cotangents(f, scale, value_bar, jacobian_bar, n, 2 * level, with_jacobian)
                second = feature_cotangents(f, scale, value_bar, jacobian_bar, n, 2 * level + 1, with_jacobian)
                for i in ti.static(range(8)):
                    table_bar[rows[i], 0] = table_bar[rows[i], 0] + first[i]
                    table_bar[rows[i], 1] = table_bar[rows[i], 1] + second[i]


@ti.kernel
def table_adjoint_atomic(
    points: array2,
    levels: array2,
    active: int,
    value_bar: array2,
    jacobian_bar: array3,
    with_jacobian: ti.template(),
    table_bar: array2,
):
    """As `table_adjoint_ordered`, one thread per point and level with atomic sums (GPU)."""
    count = points.shape[0]
    for task in range(active * count):
        level = task // count
        n = task - level * count
        resolution = levels[level, RESOLUTION]
        cell, f = locate(row3(points, n), resolution)
        rows = corner_rows(cell, levels, level)
        scale = 0.5 * resolution
        first = feature_cotangents(f, scale, value_bar, jacobian_bar, n, 2 * level, with_jacobian)
        second = feature_cotangents(f, scale, value_bar, jacobian_bar, n, 2 * level + 1, with_jacobian)
        for i in ti.static(range(8)):
            ti.atomic_add(table_bar[rows[i], 0], first[i])
            ti.atomic_add(table_bar[rows[i], 1], second[i])


@ti.func
def hessian_product(mixed, jacobian_bar: ti.template(), n, column):
    """(hess y) C_J of one feature, in cells."""
    u = ti.Vector([jacobian_bar[n, column, 0], jacobian_bar[n, column, 1], jacobian_bar[n, column, 2]])
    xy, xz, yz = mixed[0], mixed[1], mixed[2]
    return ti.Vector([xy * u[1] + xz * u[2], xy * u[0] + yz * u[2], xz * u[0] + yz * u[1]])


@ti.kernel
def point_adjoint(
    points: array2,
    table: array2,
    levels: array2,
    active: int,
    value_bar: array2,
    jacobian_bar: array3,
    with_jacobian: ti.template(),
    point_bar: array2,
):
    """dL/dx (N, 3) = sum over levels and features of c_y (grad y) + (hess y) C_J."""
    for n in range(points.shape[0]):
        x = row3(points, n)
        bar = ti.Vector([0.0, 0.0, 0.0])
        for level in range(active):
            cell, f = locate(x, levels[level, RESOLUTION])
            rows = corner_rows(cell, levels, level)
            first, second = corner_features(table, rows)
            _value_0, gradient_0, mixed_0 = trilinear(first, f)
            _value_1, gradient_1, mixed_1 = trilinear(second, f)
            scale = 0.5 * levels[level, RESOLUTION]
            bar += scale * (gradient_0 * value_bar[n, 2 * level] + gradient_1 * value_bar[n, 2 * level + 1])
            if ti.static(with_jacobian):
                bar += scale * scale * hessian_product(mixed_0, jacobian_bar, n, 2 * level)
                bar += scale * scale * hessian_product(mixed_1, jacobian_bar, n, 2 * level + 1)
        for a in ti.static(range(3)):
            point_bar[n, a] = bar[a]

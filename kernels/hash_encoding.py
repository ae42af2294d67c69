"""Multiresolution hash encoding of points: value, Jacobian, and the adjoint of both.

Müller, Evans, Schied, Keller, "Instant Neural Graphics Primitives", 2022, section 3. Each of L levels is a grid over
[-1, 1]^3 whose corners index F = 2 features in a table, directly while (resolution + 1)^3 rows fit, hashed beyond.
With corner features T_k and trilinear weights w_k(x), y = sum_k w_k T_k and J = dy/dx = sum_k (grad w_k) T_k.

Both are linear in the table, so their adjoint to it needs no table:   dL/dT_k = w_k c_y + C_J (grad w_k),
and to the point                       dL/dx = sum_k (grad w_k)(c_y . T_k) + (hess w_k)(C_J^T T_k),
where c_y = dL/dy and C_J = dL/dJ. The Hessian of a trilinear weight has mixed terms only.

Argument   | shape        | meaning
points     | (N, 3)       | normalised frame; clamped to [-1, 1]
table      | (rows, 2)    | features, all levels one after the other
levels     | (L, 4) int32 | columns RESOLUTION, OFFSET, ROWS, HASHED
active     | scalar int   | levels 0 ... active - 1 are evaluated, the others give zeros
value      | (N, 2 L)     | y
jacobian   | (N, 2 L, 3)  | J, per unit of the normalised frame
"""

from ._ti import array2, array3, ti

RESOLUTION, OFFSET, ROWS, HASHED = 0, 1, 2, 3
TASK_STRIDE = 512  # a CPU loop runs in chunks of at least 512 iterations: one task per chunk


@ti.func
def locate(points: ti.template(), n, resolution):
    """Cell (integer corner) and fraction in [0, 1] of point n on a grid of `resolution` cells."""
    cell = ti.Vector([0, 0, 0])
    fraction = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        scaled = ti.min(ti.max((points[n, a] + 1.0) * 0.5, 0.0), 1.0) * resolution
        cell[a] = ti.min(ti.cast(ti.floor(scaled), ti.i32), resolution - 1)
        fraction[a] = scaled - cell[a]
    return cell, fraction


@ti.func
def row_of(corner, levels: ti.template(), level):
    """Table row of an integer grid corner: direct where the level's grid fits its rows, else the spatial hash."""
    row = 0
    if levels[level, HASHED] == 0:
        side = levels[level, RESOLUTION] + 1
        row = (corner[2] * side + corner[1]) * side + corner[0]
    else:
        h = ti.cast(corner[0], ti.u32)
        h ^= ti.cast(corner[1], ti.u32) * ti.u32(2654435761)
        h ^= ti.cast(corner[2], ti.u32) * ti.u32(805459861)
        row = ti.cast(h & ti.cast(levels[level, ROWS] - 1, ti.u32), ti.i32)
    return levels[level, OFFSET] + row


@ti.func
def axis_weights(fraction, corner: ti.template()):
    """Per axis: weight of the corner, w_a = f or 1 - f."""
    w = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        w[a] = fraction[a] if ti.static(corner[a] == 1) else 1.0 - fraction[a]
    return w


@ti.func
def axis_slopes(scale, corner: ti.template()):
    """Per axis: dw_a/dx_a, constant in a cell."""
    s = ti.Vector([0.0, 0.0, 0.0])
    for a in ti.static(range(3)):
        s[a] = scale if ti.static(corner[a] == 1) else -scale
    return s


@ti.func
def weight_gradient(w, s):
    """grad (w_0 w_1 w_2)."""
    return ti.Vector([s[0] * w[1] * w[2], w[0] * s[1] * w[2], w[0] * w[1] * s[2]])


@ti.func
def hessian_product(w, s, u):
    """(hess (w_0 w_1 w_2)) u: the diagonal is zero."""
    xy = s[0] * s[1] * w[2]
    xz = s[0] * w[1] * s[2]
    yz = w[0] * s[1] * s[2]
    return ti.Vector([xy * u[1] + xz * u[2], xy * u[0] + yz * u[2], xz * u[0] + yz * u[1]])


@ti.kernel
def encode(points: array2, table: array2, levels: array2, active: int, value: array2):
    """y at every point. Level by level, so that a level's rows stay in the cache."""
    count = points.shape[0]
    for task in range(levels.shape[0] * count):
        level = task // count
        n = task - level * count
        y = ti.Vector([0.0, 0.0])
        if level < active:
            cell, fraction = locate(points, n, levels[level, RESOLUTION])
            for corner in ti.static(ti.grouped(ti.ndrange(2, 2, 2))):
                row = row_of(cell + corner, levels, level)
                w = axis_weights(fraction, corner)
                y += w[0] * w[1] * w[2] * ti.Vector([table[row, 0], table[row, 1]])
        value[n, 2 * level] = y[0]
        value[n, 2 * level + 1] = y[1]


@ti.kernel
def encode_jacobian(points: array2, table: array2, levels: array2, active: int, value: array2, jacobian: array3):
    """y and J at every point."""
    count = points.shape[0]
    for task in range(levels.shape[0] * count):
        level = task // count
        n = task - level * count
        y = ti.Vector([0.0, 0.0])
        slope_0 = ti.Vector([0.0, 0.0, 0.0])
        slope_1 = ti.Vector([0.0, 0.0, 0.0])
        if level < active:
            resolution = levels[level, RESOLUTION]
            cell, fraction = locate(points, n, resolution)
            for corner in ti.static(ti.grouped(ti.ndrange(2, 2, 2))):
                row = row_of(cell + corner, levels, level)
                w = axis_weights(fraction, corner)
                gradient = weight_gradient(w, axis_slopes(0.5 * resolution, corner))
                y += w[0] * w[1] * w[2] * ti.Vector([table[row, 0], table[row, 1]])
                slope_0 += gradient * table[row, 0]
                slope_1 += gradient * table[row, 1]
        value[n, 2 * level] = y[0]
        value[n, 2 * level + 1] = y[1]
        for a in ti.static(range(3)):
            jacobian[n, 2 * level, a] = slope_0[a]
            jacobian[n, 2 * level + 1, a] = slope_1[a]


@ti.func
def feature_cotangents(
    value_bar: ti.template(), jacobian_bar: ti.template(), n, level, w, gradient, with_jacobian: ti.template()
):
    """dL/dT of one corner: w_k c_y + C_J (grad w_k)."""
    weight = w[0] * w[1] * w[2]
    bar = ti.Vector([weight * value_bar[n, 2 * level], weight * value_bar[n, 2 * level + 1]])
    if ti.static(with_jacobian):
        for a in ti.static(range(3)):
            bar[0] += gradient[a] * jacobian_bar[n, 2 * level, a]
            bar[1] += gradient[a] * jacobian_bar[n, 2 * level + 1, a]
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

    value_bar (N, 2 L) is c_y, jacobian_bar (N, 2 L, 3) is C_J (unread unless with_jacobian); table_bar (rows, 2).
    """
    for task in range(levels.shape[0] * TASK_STRIDE):
        level = task // TASK_STRIDE
        if task % TASK_STRIDE == 0 and level < active:
            resolution = levels[level, RESOLUTION]
            for n in range(points.shape[0]):
                cell, fraction = locate(points, n, resolution)
                for corner in ti.static(ti.grouped(ti.ndrange(2, 2, 2))):
                    row = row_of(cell + corner, levels, level)
                    w = axis_weights(fraction, corner)
                    gradient = weight_gradient(w, axis_slopes(0.5 * resolution, corner))
                    bar = feature_cotangents(value_bar, jacobian_bar, n, level, w, gradient, with_jacobian)
                    table_bar[row, 0] += bar[0]
                    table_bar[row, 1] += bar[1]


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
        cell, fraction = locate(points, n, resolution)
        for corner in ti.static(ti.grouped(ti.ndrange(2, 2, 2))):
            row = row_of(cell + corner, levels, level)
            w = axis_weights(fraction, corner)
            gradient = weight_gradient(w, axis_slopes(0.5 * resolution, corner))
            bar = feature_cotangents(value_bar, jacobian_bar, n, level, w, gradient, with_jacobian)
            ti.atomic_add(table_bar[row, 0], bar[0])
            ti.atomic_add(table_bar[row, 1], bar[1])


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
    """dL/dx (N, 3) = sum over levels and corners of (grad w)(c_y . T) + (hess w)(C_J^T T)."""
    for n in range(points.shape[0]):
        bar = ti.Vector([0.0, 0.0, 0.0])
        for level in range(active):
            resolution = levels[level, RESOLUTION]
            cell, fraction = locate(points, n, resolution)
            for corner in ti.static(ti.grouped(ti.ndrange(2, 2, 2))):
                row = row_of(cell + corner, levels, level)
                w = axis_weights(fraction, corner)
                s = axis_slopes(0.5 * resolution, corner)
                pull = value_bar[n, 2 * level] * table[row, 0] + value_bar[n, 2 * level + 1] * table[row, 1]
                bar += weight_gradient(w, s) * pull
                if ti.static(with_jacobian):
                    u = ti.Vector([0.0, 0.0, 0.0])
                    for a in ti.static(range(3)):
                        u[a] = (
                            jacobian_bar[n, 2 * level, a] * table[row, 0]
                            + jacobian_bar[n, 2 * level + 1, a] * table[row, 1]
                        )
                    bar += hessian_product(w, s, u)
        for a in ti.static(range(3)):
            point_bar[n, a] = bar[a]

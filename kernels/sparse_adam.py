"""Adam on the rows that a step touched (Kingma and Ba, "Adam", 2015, algorithm 1, with moments that rest elsewhere)."""

from ._ti import array1, array2, ti

COLUMNS = 2  # features of a row


@ti.kernel
def sparse_adam(
    rate: float,
    beta_1: float,
    beta_2: float,
    correction_1: float,
    correction_2: float,
    epsilon: float,
    share: array1,
    gradient: array2,
    first: array2,
    second: array2,
    parameter: array2,
):
    """Update rows whose gradient is not zero, then clear that gradient.

    Argument      | shape  | meaning
    rate          | scalar | learning rate
    beta_1, 2     | scalar | decay of the first and second moment
    correction_i  | scalar | 1 - beta_i^t, t counts all steps
    epsilon       | scalar | added to the root of the second moment
    share         | (R,)   | of the learning rate, for each row
    gradient      | (R, 2) | read, then zero
    first, second | (R, 2) | moments, rows without gradient keep theirs
    parameter     | (R, 2) | what is learned
    """
    for row in range(parameter.shape[0]):
        g = ti.Vector([0.0] * COLUMNS)
        for c in ti.static(range(COLUMNS)):
            g[c] = gradient[row, c]
        if g.any():
            m = ti.Vector([0.0] * COLUMNS)
            s = ti.Vector([0.0] * COLUMNS)
            p = ti.Vector([0.0] * COLUMNS)
            for c in ti.static(range(COLUMNS)):
                m[c] = beta_1 * first[row, c] + (1.0 - beta_1) * g[c]
                s[c] = beta_2 * second[row, c] + (1.0 - beta_2) * g[c] * g[c]
                p[c] = parameter[row, c]
            p -= rate * share[row] * (m / correction_1) / (ti.sqrt(s / correction_2) + epsilon)
            for c in ti.static(range(COLUMNS)):
                first[row, c] = m[c]
                second[row, c] = s[c]
                parameter[row, c] = p[c]
                gradient[row, c] = 0.0

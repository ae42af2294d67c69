"""Adam on the rows that a step touched (Kingma and Ba, "Adam", 2015, algorithm 1, with moments that rest elsewhere)."""

from ._ti import array1, array2, ti


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
    gradient      | (R, C) | read, then zero
    first, second | (R, C) | moments, rows without gradient keep theirs
    parameter     | (R, C) | what is learned
    """
    for row in range(parameter.shape[0]):
        touched = False
        for c in range(parameter.shape[1]):
            touched = touched or gradient[row, c] != 0.0
        if touched:
            step = rate * share[row]
            for c in range(parameter.shape[1]):
                g = gradient[row, c]
                m = beta_1 * first[row, c] + (1.0 - beta_1) * g
                s = beta_2 * second[row, c] + (1.0 - beta_2) * g * g
                first[row, c] = m
                second[row, c] = s
                parameter[row, c] -= step * (m / correction_1) / (ti.sqrt(s / correction_2) + epsilon)
                gradient[row, c] = 0.0

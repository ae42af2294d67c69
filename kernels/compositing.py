"""Weights of samples along a ray, and their adjoint: the sum of volume rendering, for occupancies and for densities.

A sample of alpha a_i stops the share a_i of the light that gets to it, T_0 = 1, T_{i+1} = T_i (1 - a_i):

    w_i = T_i a_i

From g_i = dL/dw_i: a_i scales its own weight by T_i, and all later ones, w_j = T_i (1 - a_i) (w_j / T_{i+1}), by
1 - a_i. So dL/da_i = T_i g_i - T_i S_i with S_i = sum over j > i of (w_j / T_{i+1}) g_j, which obeys, from the end of
the ray on and without a quotient,

    S_last = 0        S_{i-1} = a_i g_i + (1 - a_i) S_i        dL/da_i = T_i (g_i - S_i)

Opaque samples, a_i = 1, are no exception.

Argument                      | shape  | meaning
alpha                         | (R, S) | a, in [0, 1], from the camera on
weight, weight_bar, alpha_bar | (R, S) | w, g, dL/da
"""

from ._ti import array2, on_cpu, ti


@ti.kernel
def composite(alpha: array2, weight: array2):
    """One ray per thread."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(alpha.shape[0]):
        light = 1.0
        for i in range(alpha.shape[1]):
            a = alpha[r, i]
            weight[r, i] = light * a
            light *= 1.0 - a


@ti.kernel
def composite_adjoint(alpha: array2, weight_bar: array2, alpha_bar: array2):
    """One ray per thread; alpha_bar holds T on the way out."""
    ti.loop_config(serialize=ti.static(on_cpu()))
    for r in range(alpha.shape[0]):
        light = 1.0
        for i in range(alpha.shape[1]):
            alpha_bar[r, i] = light
            light *= 1.0 - alpha[r, i]
        behind = 0.0
        for k in range(alpha.shape[1]):
            i = alpha.shape[1] - 1 - k
            a, g = alpha[r, i], weight_bar[r, i]
            alpha_bar[r, i] *= g - behind
            behind = a * g + (1.0 - a) * behind

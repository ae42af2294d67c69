"""Shapes with closed forms: values and gradients."""

from __future__ import annotations

import pytest
import torch
from scenes import MAJOR, MINOR, SHAPES
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.kernels import analytic_sdf as kernels

PARAMETERS = {
    "sphere": (kernels.SPHERE, [0.6]),
    "torus": (kernels.TORUS, [MAJOR, MINOR]),
    "rounded_box": (kernels.ROUNDED_BOX, [0.4, 0.3, 0.2, 0.05]),
    "capsule": (kernels.CAPSULE, [0.4, 0.2]),
    "two_spheres": (kernels.TWO_SPHERES, [0.4, 0.3]),
}
DOUBLE = 1e-12


def evaluate(name: str, points: Tensor) -> tuple[Tensor, Tensor]:
    shape, parameters = PARAMETERS[name]
    value, gradient = torch.empty_like(points[:, 0]), torch.empty_like(points)
    taichi_runtime.launch(kernels.analytic_sdf, shape, points.new_tensor(parameters), points, value, gradient)
    return value, gradient


@pytest.fixture
def points(generator, runtime):
    cube = torch.rand(400, 3, generator=generator, dtype=torch.float64) * 2 - 1
    return cube.to(runtime.device, runtime.dtype)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("name", PARAMETERS)
def test_value_and_gradient_equal_twin(name, points):
    """The closed-form gradient against torch's derivative of the twin."""
    value, gradient = evaluate(name, points)
    points.requires_grad_()
    twin = SHAPES[name](points)
    (slope,) = torch.autograd.grad(twin.sum(), points)
    torch.testing.assert_close(value, twin.detach(), atol=DOUBLE, rtol=0)
    torch.testing.assert_close(gradient, slope, atol=DOUBLE, rtol=0)


@pytest.mark.parametrize("name", PARAMETERS)
def test_it_is_a_distance(name, points):
    """Truth: the gradient has length 1, and outside a step of f along it ends on the surface."""
    value, gradient = evaluate(name, points)
    torch.testing.assert_close(gradient.norm(dim=1), torch.ones_like(value), atol=1e-5, rtol=0)
    outside = value > 0
    foot = (points - value[:, None] * gradient)[outside]
    assert outside.any()
    assert evaluate(name, foot)[0].abs().max() < 1e-5


def test_centres_and_axes_give_finite_gradients(runtime):
    origin = torch.zeros(1, 3, device=runtime.device, dtype=runtime.dtype)
    for name in PARAMETERS:
        value, gradient = evaluate(name, origin)
        assert value.isfinite().all()
        assert gradient.isfinite().all()

"""The fields: encodings, the gradient in closed form, what the renderer is given."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.config import HashGeometryConfig, RadianceConfig
from taichi_idr.fields.encodings import positional_encoding
from taichi_idr.fields.hash_geometry import HashGeometry
from taichi_idr.fields.radiance import Radiance

SMALL = HashGeometryConfig(
    levels=3, coarsest=4, finest=16, log2_rows=10, table_scale=0.1, width=8, features=2, softplus_beta=20.0
)
POINTS = 6
DOUBLE = 1e-12  # measured 2e-15 for values near 1
SLOPE = 1e-8  # torch's softplus is linear where beta x > 20, and the sigmoid 2e-9 short of 1; measured 7e-11
STEP, DIFFERENCE = 1e-6, 1e-6  # central differences in double precision, relative; measured 3e-8


@pytest.fixture
def geometry(generator: torch.Generator) -> HashGeometry:
    """A small field in the runtime's precision."""
    runtime = taichi_runtime.current()
    field = HashGeometry(SMALL, runtime.device, generator).to(runtime.dtype)
    field.table_gradient = field.table_gradient.to(runtime.dtype)
    return field


def some_points(generator: torch.Generator) -> Tensor:
    """Inside cells of every level, away from their borders, where the encoding has no second derivative."""
    runtime = taichi_runtime.current()
    cells = torch.randint(0, 16, (POINTS, 3), generator=generator)
    fractions = 0.2 + 0.6 * torch.rand(POINTS, 3, generator=generator, dtype=torch.float64)
    return ((cells + fractions) / 8 - 1).to(runtime.device, runtime.dtype)


def test_positional_encoding_has_the_input_first_and_no_pi():
    """NET-1: x, then sin and cos of 2^k x, each over all coordinates."""
    x = torch.tensor([[0.3, -0.7, 1.1]])
    expected = torch.cat([x, torch.sin(x), torch.cos(x), torch.sin(2 * x), torch.cos(2 * x)], dim=1)
    torch.testing.assert_close(positional_encoding(x, 2), expected)
    assert positional_encoding(x, 4).shape == (1, 27)
    assert positional_encoding(x, 6).shape == (1, 39)


def test_hidden_layers_start_with_their_deviation(generator):
    """NET-4: N(0, sqrt(2 / outputs)), no bias."""
    field = HashGeometry(HashGeometryConfig(log2_rows=10, width=128), torch.device("cpu"), generator)
    for layer in field.layers[:-1]:
        assert isinstance(layer, torch.nn.Linear)
        assert layer.weight.detach().std().item() == pytest.approx(math.sqrt(2 / 128), rel=0.05)
        assert not layer.bias.any()


@pytest.mark.precision("float64")
def test_gradient_is_that_of_the_value(geometry, generator):
    """NET-10: the closed form against autograd through the encoding; both ways to ask agree on f."""
    points = some_points(generator).requires_grad_()
    sample = geometry.sample(points)
    (gradient,) = torch.autograd.grad(sample.sdf.sum(), points, retain_graph=True)
    torch.testing.assert_close(sample.gradient, gradient, atol=SLOPE, rtol=SLOPE)
    torch.testing.assert_close(geometry.sdf(points), sample.sdf, atol=DOUBLE, rtol=DOUBLE)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("moved", ["points", "table", "weight"])
def test_derivatives_of_value_gradient_and_feature(geometry, generator, moved):
    """NET-10: f, grad f and z together against central differences, in points, table and a layer."""
    points = some_points(generator).requires_grad_()
    weight = geometry.layers[0].weight
    target = {"points": points, "table": geometry.table, "weight": weight}[moved]
    shapes = ((POINTS,), (POINTS, 3), (POINTS, SMALL.features))
    bars = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    direction = torch.randn(target.shape, generator=generator, dtype=torch.float64).to(target)

    def paired() -> Tensor:
        sample = geometry.sample(points)
        parts = zip((sample.sdf, sample.gradient, sample.feature), bars, strict=True)
        return sum(((part * bar.to(part)).sum() for part, bar in parts), torch.zeros((), dtype=torch.float64))

    paired().backward()
    derivative = geometry.table_gradient if moved == "table" else target.grad
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            target += sign * STEP * direction
            values.append(paired())
            target -= sign * STEP * direction
    expected = float(values[0] - values[1]) / (2 * STEP)
    assert float((derivative * direction).sum()) == pytest.approx(expected, rel=DIFFERENCE)


def test_renderer_is_given_raw_gradient_and_direction_to_the_camera(geometry, generator):
    """NET-6, NET-8, NET-9: point, encoded -v, grad f of any length, z, hash encoding; colours in [-1, 1]."""
    config, runtime = RadianceConfig(width=8, view_frequencies=2), taichi_runtime.current()
    radiance = Radiance(config, SMALL.features + geometry.encoding_width, runtime.device, generator)
    given: list[Tensor] = []
    radiance.layers[0].register_forward_hook(lambda module, inputs, output: given.append(inputs[0]))
    points = some_points(generator)
    sample = geometry.sample(points)
    directions = torch.nn.functional.normalize(points, dim=1)
    colour = radiance(points, directions, sample)
    expected = [points, positional_encoding(-directions, 2), sample.gradient, sample.feature, sample.encoding]
    torch.testing.assert_close(given[0], torch.cat(expected, dim=1))
    assert (sample.gradient.norm(dim=1) - 1).abs().min() > 0.01
    assert colour.shape == (POINTS, 3)
    with torch.no_grad():
        radiance.layers[-1].bias.fill_(50)  # pyright: ignore[reportCallIssue]
        assert radiance(points, directions, sample).min() == 1

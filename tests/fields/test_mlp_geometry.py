"""The networks of preset `idr`: sizes, initialisation, gradient in closed form, graph-free copies, official names."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from taichi_idr import runtime as taichi_runtime
from taichi_idr.config import MlpGeometryConfig, RadianceConfig
from taichi_idr.errors import UsageError
from taichi_idr.fields.encodings import PointEncoding, positional_encoding
from taichi_idr.fields.layers import WeightNormLinear
from taichi_idr.fields.mlp_geometry import MlpGeometry, layer_shapes
from taichi_idr.fields.radiance import Radiance, reflected, renderer_layer_shapes
from taichi_idr.fields.sample import GeometrySample
from taichi_idr.methods.idr.released import from_official, to_official
from taichi_idr.methods.idr.settings import IdrConfig

SMALL = MlpGeometryConfig(position_frequencies=2, width=24, hidden_layers=3, skip_layer=2, features=2, softplus_beta=20)
POINTS = 5
DOUBLE = 1e-12  # measured 2e-15 for values near 1
SECOND = 1e-12  # measured 5e-15, values to 10
FEATURES = 1e-3  # z against f; measured 2e-4
BALL = 0.04  # the mean over six seeds; measured 0.001 and 0.004, of one seed 0.1


def make_geometry(config: MlpGeometryConfig, generator: torch.Generator) -> MlpGeometry:
    runtime = taichi_runtime.current()
    return MlpGeometry(config, runtime.device, generator, runtime.dtype)


def some_points(generator: torch.Generator, count: int = POINTS) -> Tensor:
    runtime = taichi_runtime.current()
    return (torch.rand(count, 3, generator=generator, dtype=torch.float64) * 2 - 1).to(runtime.device, runtime.dtype)


def unsettled(field: MlpGeometry, generator: torch.Generator) -> MlpGeometry:
    """Moved away from the initialisation, whose zero columns hide mistakes."""
    with torch.no_grad():
        for parameter in field.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter)
    return field


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_networks_have_the_published_sizes(generator):
    """NET-3, NET-6: 1,975,220 and 940,038 parameters; layer 3 leaves room for the encoding."""
    config = IdrConfig()
    geometry = make_geometry(config.geometry, generator)
    radiance = Radiance(config.radiance, 256, torch.device("cpu"), generator, weight_norm=True)
    assert parameter_count(geometry) == 1_975_220
    assert parameter_count(radiance) == 940_038
    shapes = layer_shapes(config.geometry)
    assert shapes[0] == (39, 512)
    assert shapes[3:5] == [(512, 473), (512, 512)]
    assert shapes[8] == (512, 257)


@pytest.mark.parametrize(
    ("mode", "features", "inputs"),
    [
        ("idr", 256, 289),
        ("no_view_dir", 256, 262),
        ("no_normal", 256, 286),
        ("idr", 0, 33),
        ("reflected", 256, 316),
        ("auto", 256, 289),
    ],
)
def test_renderer_modes_leave_out_an_input(generator, mode, features, inputs):
    """NET-7: widths, and the colour that does not move with what is left out."""
    config = RadianceConfig(mode=mode, width=8, hidden_layers=1)
    assert renderer_layer_shapes(config, features) == [(inputs, 8), (8, 3)]
    radiance = Radiance(config, features, torch.device("cpu"), generator, weight_norm=True)
    x, v, n = (torch.randn(1, 3, generator=generator).requires_grad_() for _ in range(3))
    sample = GeometrySample(torch.zeros(1), n, torch.randn(1, features, generator=generator), torch.empty(1, 0))
    radiance(x, v, sample).sum().backward()
    assert (v.grad is None) == (mode == "no_view_dir")
    assert (n.grad is None) == (mode == "no_normal")
    assert x.grad is not None


def test_a_mirror_s_view_is_reflected():
    """Straight on it looks back, at a slant to the other side, along the surface on; whatever the normal's length."""
    half = math.sqrt(0.5)
    directions = torch.tensor([[0.0, 0, 1], [half, 0, half], [1, 0, 0]])
    expected = torch.tensor([[0.0, 0, -1], [half, 0, -half], [1, 0, 0]])
    for length in (0.3, 1.0, 2.0):
        normals = torch.tensor([[0.0, 0, -length]]).expand(3, 3)
        torch.testing.assert_close(reflected(directions, normals), expected)


def test_a_reflecting_renderer_knows_where_a_mirror_looks(generator):
    """Without its other inputs, two directions and normals with the same mirrored view have one colour."""
    radiance = Radiance(RadianceConfig(mode="reflected", width=8, hidden_layers=1), 0, torch.device("cpu"), generator)
    width = 3 * (1 + 2 * radiance.config.view_frequencies)
    with torch.no_grad():
        radiance.layers[0].weight[:, 3 + width :] = 0  # view and normal as they are
    straight, tilted = torch.tensor([[0.0, 0, 1]]), torch.tensor([[0.0, math.sin(0.4), -math.cos(0.4)]])
    aside = torch.tensor([[0.0, math.sin(0.8), math.cos(0.8)]])
    alike = normalize(reflected(straight, tilted) - aside, dim=1)
    sample = partial(GeometrySample, torch.zeros(1), feature=torch.empty(1, 0), encoding=torch.empty(1, 0))
    shown = [radiance(torch.zeros(1, 3), *seen) for seen in ((straight, sample(tilted)), (aside, sample(alike)))]
    torch.testing.assert_close(*shown)
    assert not torch.allclose(radiance(torch.zeros(1, 3), aside, sample(tilted)), shown[0], atol=1e-3)


def test_a_renderer_that_may_reflect_is_the_papers_until_it_does(generator):
    def made(mode: Literal["idr", "auto"]) -> Radiance:
        generator.manual_seed(3)
        config = RadianceConfig(mode=mode, width=8, hidden_layers=1)
        return Radiance(config, 0, torch.device("cpu"), generator)

    plain, auto = made("idr"), made("auto")
    points, normal = torch.zeros(1, 3), torch.tensor([[0.0, 0.6, -0.8]])
    sample = GeometrySample(torch.zeros(1), normal, torch.empty(1, 0), torch.empty(1, 0))
    direction = torch.tensor([[0.0, 0, 1]])
    assert auto.mirrors is not None
    assert torch.equal(auto(points, direction, sample), plain(points, direction, sample))
    auto.mirrors.fill_(True)
    torch.testing.assert_close(auto(points, direction, sample), plain(points, -reflected(direction, normal), sample))
    other = made("auto")
    other.load_state_dict(auto.state_dict())
    assert torch.equal(other(points, direction, sample), auto(points, direction, sample))


def test_encodings_as_released_and_as_printed():
    """NET-1, NET-2: sin, cos of 2^k x; real and imaginary part of exp(2 pi i omega x), omega = 1 ... k."""
    x = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64)
    released = PointEncoding(6, "code", x.device, x.dtype)
    torch.testing.assert_close(released(x), positional_encoding(x, 6), atol=DOUBLE, rtol=DOUBLE)
    assert released.width == 39
    waves = [torch.exp(2j * math.pi * omega * x) for omega in (1, 2)]
    expected = torch.cat([x, waves[0].real, waves[0].imag, waves[1].real, waves[1].imag], dim=1)
    torch.testing.assert_close(PointEncoding(2, "paper", x.device, x.dtype)(x), expected, atol=DOUBLE, rtol=DOUBLE)


def test_geometric_initialisation(generator):
    """NET-4, NET-5: deviations, zero columns of the waves, last layer and bias; g is the length of each row."""
    layers = list(make_geometry(IdrConfig().geometry, generator).layers)
    assert all(isinstance(layer, WeightNormLinear) for layer in layers)
    for i, layer in enumerate(layers[:-1]):
        seen = layer.weight[:, :-36] if i in (0, 4) else layer.weight
        assert seen.std().item() == pytest.approx(math.sqrt(2 / len(seen)), rel=0.05)
        assert not layer.bias.any()
    assert not layers[0].weight[:, -36:].any()
    assert not layers[4].weight[:, -36:].any()
    last = layers[-1]
    assert last.weight.mean().item() == pytest.approx(math.sqrt(math.pi / 512), rel=1e-4)
    assert last.weight.std().item() == pytest.approx(1e-4, rel=0.05)
    torch.testing.assert_close(last.bias, torch.full((257,), -0.6))
    torch.testing.assert_close(layers[2].weight_g[:, 0], layers[2].weight_v.norm(dim=1))


def test_initial_field_is_a_ball():
    """NET-4 as measured on the released code: radius 0.49 on average, f(0) about -0.18, all features equal f."""
    radii, centres = [], []
    directions = torch.nn.functional.normalize(torch.randn(64, 3, generator=torch.Generator().manual_seed(9)), dim=1)
    depths = torch.linspace(0.2, 0.8, 25)
    points = (depths[:, None, None] * directions).reshape(-1, 3)
    for seed in range(6):
        field = make_geometry(IdrConfig().geometry, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            values = field.sdf(points).reshape(len(depths), -1)
            centres.append(field.sdf(torch.zeros(1, 3)).item())
        radii.append(depths[(values > 0).int().argmax(dim=0)].mean().item())
        sample = field.sample(points[:8])
        torch.testing.assert_close(sample.feature, sample.sdf[:, None].expand(-1, 256), atol=FEATURES, rtol=0)
    assert sum(radii) / len(radii) == pytest.approx(0.49, abs=BALL)
    assert sum(centres) / len(centres) == pytest.approx(-0.18, abs=BALL)


@pytest.mark.precision("float64")
@pytest.mark.parametrize(
    "change",
    [{}, {"encoding": "paper"}, {"position_frequencies": 0}, {"skip_layer": 0}, {"skip_layer": 3}, {"features": 0}],
    ids=str,
)
def test_gradient_is_that_of_the_value(generator, change):
    """NET-10: the closed form against autograd; all ways to ask agree on f."""
    field = unsettled(make_geometry(SMALL.model_copy(update=change), generator), generator)
    points = some_points(generator).requires_grad_()
    sample = field.sample(points)
    value = field.sdf(points)
    (gradient,) = torch.autograd.grad(value.sum(), points)
    torch.testing.assert_close(sample.gradient, gradient, atol=DOUBLE, rtol=DOUBLE)
    torch.testing.assert_close(sample.sdf, value, atol=DOUBLE, rtol=DOUBLE)
    torch.testing.assert_close(field.frozen()(points), value.detach(), atol=DOUBLE, rtol=DOUBLE)
    assert sample.feature.shape == (POINTS, field.config.features)
    assert sample.encoding.shape == (POINTS, field.encoding_width)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("encoding", ["code", "paper"])
def test_derivatives_of_value_gradient_and_feature(generator, encoding):
    """NET-10: f, grad f and z, to points and to every parameter, against central differences."""
    field = unsettled(make_geometry(SMALL.model_copy(update={"encoding": encoding}), generator), generator)
    names = list(dict(field.named_parameters()))
    bars = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((2,), (2, 3), (2, 2))]

    def paired(points: Tensor, *parameters: Tensor) -> Tensor:
        wrapped = torch.func.functional_call(_Sampled(field), dict(zip(names, parameters, strict=True)), (points,))
        return sum((part * bar).sum() for part, bar in zip(wrapped, bars, strict=True))  # pyright: ignore

    points = some_points(generator, 2).requires_grad_()
    parameters = [parameter.detach().clone().requires_grad_() for parameter in field.parameters()]
    assert torch.autograd.gradcheck(paired, (points, *parameters), eps=1e-6, atol=1e-5, fast_mode=True)


@pytest.mark.precision("float64")
def test_second_derivatives_are_those_of_autograd(generator):
    """NET-10: with beta 100 and saturated units, torch's own double backward is met to rounding."""
    field = unsettled(make_geometry(SMALL.model_copy(update={"softplus_beta": 100.0}), generator), generator)
    points = some_points(generator, 50).requires_grad_()
    (gradient,) = torch.autograd.grad(field.sdf(points).sum(), points, create_graph=True)
    ours = (field.sample(points).gradient.norm(dim=1) - 1).square().sum()
    theirs = (gradient.norm(dim=1) - 1).square().sum()
    inputs = [points, *field.parameters()]
    more = {"materialize_grads": True, "allow_unused": True}  # the last bias has no part in grad f
    expected = torch.autograd.grad(theirs, inputs, **more)
    for a, b in zip(torch.autograd.grad(ours, inputs, **more), expected, strict=True):
        torch.testing.assert_close(a, b, atol=SECOND, rtol=SECOND)


@pytest.mark.parametrize("change", [{"skip_layer": 4}, {"width": 15}], ids=str)
def test_a_skip_that_does_not_fit_is_refused(generator, change):
    with pytest.raises(UsageError, match="skip"):
        make_geometry(SMALL.model_copy(update=change), generator)


def test_narrow_and_random_fields_work(generator):
    """Ablations: 4 x 128, torch's default initialisation, no encoding."""
    for change in ({}, {"initialisation": "random"}, {"position_frequencies": 0}):
        config = MlpGeometryConfig(width=128, hidden_layers=4, features=8).model_copy(update=change)
        sample = make_geometry(config, generator).sample(some_points(generator))
        assert torch.isfinite(sample.gradient).all()


def test_official_names_and_back(generator):
    """NET-11: lin0 to lin8 and lin0 to lin4, g, v and bias each."""
    config = IdrConfig()
    radiance = Radiance(config.radiance, 256, torch.device("cpu"), generator, weight_norm=True)
    both = nn.ModuleDict({"geometry": make_geometry(config.geometry, generator), "radiance": radiance})
    official = to_official(both.state_dict())
    parts = ("weight_g", "weight_v", "bias")
    expected = {f"implicit_network.lin{i}.{part}" for i in range(9) for part in parts}
    expected |= {f"rendering_network.lin{i}.{part}" for i in range(5) for part in parts}
    assert set(official) == expected
    assert official["implicit_network.lin3.weight_g"].shape == (473, 1)
    both.load_state_dict(from_official(official))


class _Sampled(nn.Module):
    """f, grad f and z of a field as a module's output, so that its parameters can be given from outside."""

    def __init__(self, field: MlpGeometry) -> None:
        super().__init__()
        self.encode, self.layers, self.field = field.encode, field.layers, [field]

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sample = self.field[0].sample(points)
        return sample.sdf, sample.gradient, sample.feature

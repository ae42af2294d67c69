"""Adam on the rows a step touched, the schedule of the rates, and saved state."""

from __future__ import annotations

import pytest
import torch

from taichi_idr import runtime as taichi_runtime
from taichi_idr.fields.table_adam import BETAS, EPSILON
from taichi_idr.kernels.sparse_adam import sparse_adam
from taichi_idr.methods.fast.model import FastModel
from taichi_idr.methods.fast.settings import FastConfig, ScheduleConfig
from taichi_idr.methods.hash_optimiser import Optimiser, rate_factor
from taichi_idr.reference import sparse_adam as reference

ROWS = 700
SINGLE = 1e-6


def small_model() -> FastModel:
    settings = {"levels": 4, "log2_rows": 8, "finest": 32, "width": 8, "features": 2}
    config = FastConfig.model_validate({"geometry": settings, "proxy": {"resolution": 16}, "radiance": {"width": 8}})
    return FastModel(config, taichi_runtime.current().device)


def sparse_gradient(generator: torch.Generator) -> torch.Tensor:
    gradient = torch.randn(ROWS, 2, generator=generator)
    gradient[torch.rand(ROWS, generator=generator) < 0.6] = 0
    return gradient.to(taichi_runtime.current().device)


def test_kernel_equals_twin(generator):
    """Over several steps, in which other rows are touched."""
    device = taichi_runtime.current().device
    ours = [torch.randn(ROWS, 2, generator=generator).abs().to(device) for _ in range(3)]
    share = torch.rand(ROWS, generator=generator).to(device)
    twin = [x.clone() for x in ours]
    for step in range(1, 5):
        numbers = (1e-2, *BETAS, 1 - BETAS[0] ** step, 1 - BETAS[1] ** step, EPSILON)
        gradient = sparse_gradient(generator)
        other = gradient.clone()
        taichi_runtime.launch(sparse_adam, *numbers, share, gradient, *ours)
        reference.sparse_adam(*numbers, share, other, *twin)
        assert not gradient.any()
    for a, b in zip(ours, twin, strict=True):
        torch.testing.assert_close(a, b, rtol=SINGLE, atol=SINGLE)


def test_dense_gradients_give_torch_adam(generator):
    """Where every row is touched in every step, it is Adam."""
    parameter = torch.randn(ROWS, 2, generator=generator).to(taichi_runtime.current().device)
    twin = parameter.clone().requires_grad_()
    adam = torch.optim.Adam([twin], lr=1e-2, betas=BETAS, eps=EPSILON)
    moments, share = [torch.zeros_like(parameter), torch.zeros_like(parameter)], torch.ones_like(parameter[:, 0])
    for step in range(1, 6):
        gradient = torch.randn(ROWS, 2, generator=generator).to(parameter)
        twin.grad = gradient.clone()
        adam.step()
        corrections = (1 - BETAS[0] ** step, 1 - BETAS[1] ** step)
        numbers = (1e-2, *BETAS, *corrections, EPSILON)
        taichi_runtime.launch(sparse_adam, *numbers, share, gradient, *moments, parameter)
    torch.testing.assert_close(parameter, twin.detach(), rtol=1e-5, atol=1e-5)


def test_networks_move_as_by_torch_adam(generator):
    """One without a gradient stays."""
    model = small_model()
    optimiser = Optimiser(
        model.geometry, model.parameters(), ScheduleConfig(network_rate=1e-2, warmup=0, decay_start=1)
    )
    moved, still = optimiser.networks[:-1], optimiser.networks[-1].detach().clone()
    twins = [parameter.detach().clone().requires_grad_() for parameter in moved]
    adam = torch.optim.Adam(twins, lr=1e-2, betas=BETAS, eps=EPSILON)
    for _ in range(5):
        for parameter, twin in zip(moved, twins, strict=True):
            twin.grad = torch.randn(twin.shape, generator=generator).to(twin)
            parameter.grad = twin.grad.clone()
        adam.step()
        assert optimiser.step(0.5)
    for parameter, twin in zip(moved, twins, strict=True):
        torch.testing.assert_close(parameter, twin, rtol=1e-5, atol=1e-6)
    assert torch.equal(optimiser.networks[-1], still)


def test_rates_rise_hold_and_fall():
    schedule = ScheduleConfig(warmup=0.1, decay_start=0.5, decay_floor=0.02)
    assert rate_factor(schedule, 0.05) == pytest.approx(0.5)
    assert rate_factor(schedule, 0.3) == 1
    assert rate_factor(schedule, 0.75) == pytest.approx(0.51)
    assert rate_factor(schedule, 1.0) == pytest.approx(0.02)


def test_a_first_step_in_a_finer_level_is_shorter():
    """Adam's first step is as long as the rate, whatever the gradient: at power 1/2 by the root of the cell's size."""
    model = small_model()
    optimiser = Optimiser(model.geometry, model.parameters(), ScheduleConfig(table_rate=1e-2, fine_rate=0.5, warmup=0))
    before = optimiser.table_adam.table.detach().clone()
    model.geometry.sdf(torch.rand(50, 3, device=before.device)).sum().backward()
    assert optimiser.step(0.1)
    moved = (optimiser.table_adam.table.detach() - before).abs()
    for resolution, offset, rows, _ in model.geometry.layout.levels.tolist():
        step = moved[offset : offset + rows]
        torch.testing.assert_close(step.max().item(), 1e-2 * (16 / resolution) ** 0.5, rtol=1e-3, atol=0)


def test_a_gradient_that_is_not_finite_moves_nothing():
    model = small_model()
    optimiser = Optimiser(model.geometry, model.parameters(), ScheduleConfig())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.geometry.sdf(torch.zeros(4, 3, device=optimiser.table_adam.table.device)).sum().mul(torch.nan).backward()
    assert not optimiser.step(0.5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not optimiser.table_adam.gradient.any()


def test_saved_state_goes_on_as_if_nothing_had_happened():
    def step(model: FastModel, optimiser: Optimiser) -> None:
        points = torch.linspace(-0.5, 0.5, 30, device=optimiser.table_adam.table.device).reshape(10, 3)
        optimiser.zero_gradients()
        model.geometry.sdf(points).square().sum().backward()
        assert optimiser.step(0.5)

    model, resumed = small_model(), small_model()
    optimiser, again = (
        Optimiser(model.geometry, model.parameters(), ScheduleConfig()),
        Optimiser(resumed.geometry, resumed.parameters(), ScheduleConfig()),
    )
    step(model, optimiser)
    saved = {name: value.clone() for name, value in optimiser.state().items()}
    resumed.load_state_dict(model.state_dict())
    again.load_state(saved)
    step(model, optimiser)
    step(resumed, again)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])

"""Residual blocks (DVR-1), which two systems share."""

from __future__ import annotations

import torch

from taichi_idr.fields.residual import ResidualBlocks


def test_blocks_start_as_constants_until_one_is_opened(generator):
    network = ResidualBlocks(3, 2, 16, 2, torch.device("cpu"), generator, torch.float64)
    points = torch.randn(7, 3, generator=generator).double()
    biases = [closing.get_parameter("bias") for closing in network.closing]
    first, second = network.first(points) + biases[0], biases[1]
    torch.testing.assert_close(network(points), network.last(torch.relu(first + second)), rtol=1e-12, atol=1e-12)
    torch.nn.init.ones_(network.closing[1].get_parameter("weight"))
    opened = torch.relu(network.opening[1](torch.relu(first))).sum(dim=1, keepdim=True)
    expected = network.last(torch.relu(first + opened + second))
    torch.testing.assert_close(network(points), expected, rtol=1e-12, atol=1e-12)

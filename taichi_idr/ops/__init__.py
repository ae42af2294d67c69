"""torch.autograd bridges: one module per differentiable kernel family."""

"""Slow plain-torch twins of the kernels: one reads the twin to understand. Only tests and `bench` import them."""

"""Kernels and bridges beside their slow twins, and beside what the machine can do (benchmarks/README.md)."""

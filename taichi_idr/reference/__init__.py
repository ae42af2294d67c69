"""Slow twins of kernels and of a whole step of preset `idr`, in plain torch: read one to understand, test against it.

They stand on torch alone, nearly. Only tests and benchmarks import them.
"""

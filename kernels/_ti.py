"""The only `import taichi` of the kernels: changing to a fork is a change of this line (and of `runtime`)."""

import taichi as ti

array1 = ti.types.ndarray(ndim=1)
array2 = ti.types.ndarray(ndim=2)
array3 = ti.types.ndarray(ndim=3)

__all__ = ["array1", "array2", "array3", "ti"]

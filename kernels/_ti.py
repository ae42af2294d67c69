"""The only `import taichi` of the kernels: changing to a fork changes this line, `runtime` and `launcher`."""

import taichi as ti

array1 = ti.types.ndarray(ndim=1)
array2 = ti.types.ndarray(ndim=2)
array3 = ti.types.ndarray(ndim=3)


def on_cpu() -> bool:
    """Whether the kernel that is being compiled is for the CPU.

    There a parallel loop begins with waking threads and ends with waiting for them, however short it is: 12
    microseconds on a quiet machine, hundreds on a busy one. A ray's bookkeeping takes some nanoseconds, so its loops
    are serial: `ti.loop_config(serialize=ti.static(on_cpu()))`.
    """
    return ti.lang.impl.current_cfg().arch in (ti.x64, ti.arm64)


__all__ = ["array1", "array2", "array3", "on_cpu", "ti"]

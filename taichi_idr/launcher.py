"""Launches of compiled kernels at a fraction of the ordinary cost.

Taichi's own call looks the specialisation up anew and inspects every argument: 143 microseconds with ten tensors. What
it arrives at (taichi 1.7.4) is a compiled kernel and a launch context with numbers, pointers and shapes; `Launcher`
keeps the first and fills the second. It checks nothing: `runtime.launch` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

Passing = Literal["tensor", "float", "int", "template"]

WRITTEN_FOR = (1, 7, 4)  # these interfaces are private: any other version is called the ordinary way


class Launcher:
    """Every kernel that has been launched since Taichi started; make a new one after `ti.init`."""

    def __init__(self) -> None:
        import taichi as ti

        self._known_version = ti.__version__ == WRITTEN_FOR
        self._signatures: dict[Callable[..., Any], tuple[Passing, ...] | None] = {}
        self._specialised: dict[tuple[Any, ...], _Specialisation] = {}

    def __call__(self, kernel: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Launch with detached, contiguous tensors on the backend's device, and numbers."""
        if kernel not in self._signatures:
            self._signatures[kernel] = _signature(kernel) if self._known_version else None
        signature = self._signatures[kernel]
        if signature is None or len(signature) != len(arguments):
            return kernel(*arguments)
        key = (kernel, *_features(signature, arguments))
        specialised = self._specialised.get(key)
        if specialised is None:
            specialised = self._specialised[key] = _Specialisation(kernel, arguments)
        return specialised.launch(signature, arguments)


class _Specialisation:
    """One compiled kernel, for tensors of certain types and for certain template values."""

    def __init__(self, kernel: Any, arguments: Sequence[Any]) -> None:
        from taichi.lang import impl

        primal, self._program = kernel._primal, impl.get_runtime().prog
        self._kernel = primal.compiled_kernels[primal.ensure_compiled(*arguments)]
        settings, capabilities = self._program.config(), self._program.get_device_caps()
        self._compiled = self._program.compile_kernel(settings, capabilities, self._kernel)

    def launch(self, signature: Sequence[Passing], arguments: Sequence[Any]) -> None:
        context = self._kernel.make_launch_context()
        slot = 0  # template values have none: they are part of the compiled kernel
        for argument, passing in zip(arguments, signature, strict=True):
            if passing == "tensor":
                size = argument.element_size() * argument.numel()
                context.set_arg_external_array_with_shape((slot,), argument.data_ptr(), size, argument.shape, 0)
            elif passing == "float":
                context.set_arg_float((slot,), float(argument))
            elif passing == "int":
                context.set_arg_int((slot,), int(argument))
            slot += passing != "template"
        self._program.launch_kernel(self._compiled, context)


def _signature(kernel: Any) -> tuple[Passing, ...] | None:
    """How each argument is passed; None where one needs Taichi's own call, or a result is returned."""
    passings = [_passing(parameter.annotation) for parameter in kernel._primal.arguments]
    known = tuple(passing for passing in passings if passing is not None)
    return known if len(known) == len(passings) and kernel._primal.return_type is None else None


def _passing(annotation: Any) -> Passing | None:
    import taichi as ti

    if annotation is ti.template or isinstance(annotation, ti.template):
        return "template"
    if isinstance(annotation, type(ti.types.ndarray())):
        return "tensor"
    numbers: dict[int, Passing] = {id(float): "float", id(int): "int"}
    return numbers.get(id(annotation))


def _features(signature: Sequence[Passing], arguments: Sequence[Any]) -> list[Any]:
    """What the compiled code depends on."""
    pairs = zip(signature, arguments, strict=True)
    return [
        (argument.dtype, argument.dim()) if passing == "tensor" else argument
        for passing, argument in pairs
        if passing in ("tensor", "template")
    ]

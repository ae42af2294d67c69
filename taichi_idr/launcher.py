"""Kernels read and launched at a fraction of the ordinary cost.

Taichi's own call looks the specialisation up anew and inspects every argument: 143 microseconds with ten tensors. What
it arrives at (taichi 1.7.4) is a compiled kernel and a launch context with numbers, pointers and shapes; `Launcher`
keeps the first and fills the second. It checks nothing: `runtime.launch` does.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Passing = Literal["tensor", "float", "int", "template"]

WRITTEN_FOR = (1, 7, 4)  # these interfaces are private: any other version is called the ordinary way


class Launcher:
    """Every kernel that has been launched since Taichi started; make a new one after `ti.init`."""

    def __init__(self) -> None:
        import taichi as ti

        self._known_version = ti.__version__ == WRITTEN_FOR
        self._signatures: dict[Callable[..., Any], _Signature | None] = {}
        self._specialised: dict[tuple[Any, ...], _Specialisation] = {}

    def __call__(self, kernel: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Launch with contiguous tensors on the backend's device, and numbers; gradients are left alone."""
        try:
            signature = self._signatures[kernel]
        except KeyError:
            signature = self._signatures[kernel] = _signature(kernel) if self._known_version else None
        if signature is None or signature.count != len(arguments):
            return kernel(*_detached(arguments))
        key = [kernel]
        for place in signature.tensors:
            key += (arguments[place].dtype, arguments[place].ndim)
        for place in signature.templates:
            key.append(arguments[place])
        specialised = self._specialised.get(tuple(key))
        if specialised is None:
            specialised = self._specialised[tuple(key)] = _Specialisation(kernel, signature, _detached(arguments))
        return specialised.launch(arguments)


@dataclass(frozen=True)
class _Signature:
    """Which arguments are passed how, and the slot of each in a launch context: template values have none."""

    count: int
    tensors: dict[int, tuple[int]]
    floats: dict[int, tuple[int]]
    integers: dict[int, tuple[int]]
    templates: tuple[int, ...]


class _Specialisation:
    """One compiled kernel, for tensors of certain types and for certain template values."""

    def __init__(self, kernel: Any, signature: _Signature, arguments: Sequence[Any]) -> None:
        from taichi.lang import impl

        primal: Any = kernel._primal
        program: Any = impl.get_runtime().prog
        compiled = primal.compiled_kernels[primal.ensure_compiled(*arguments)]
        settings, capabilities = program.config(), program.get_device_caps()
        self._make_context, self._launch_kernel = compiled.make_launch_context, program.launch_kernel
        self._compiled = program.compile_kernel(settings, capabilities, compiled)
        self._tensors = tuple(signature.tensors.items())
        self._floats = tuple(signature.floats.items())
        self._integers = tuple(signature.integers.items())

    def launch(self, arguments: Sequence[Any]) -> None:
        context = self._make_context()
        set_tensor = context.set_arg_external_array_with_shape
        for place, slot in self._tensors:
            tensor = arguments[place]
            set_tensor(slot, tensor.data_ptr(), tensor.nbytes, tensor.shape, 0)
        for place, slot in self._floats:
            context.set_arg_float(slot, float(arguments[place]))
        for place, slot in self._integers:
            context.set_arg_int(slot, int(arguments[place]))
        self._launch_kernel(self._compiled, context)


def say_places_briefly() -> None:
    """Halve the time in which Taichi reads a kernel's text, as it does in every process however well it knows it.

    For each of a text's thousands of nodes, in case that it is wrong, Taichi (1.7.4) draws its lines with marks below;
    the name of the file and the line are enough.
    """
    import taichi as ti

    if ti.__version__ == WRITTEN_FOR:
        from taichi.lang.ast.ast_transformer_utils import ASTTransformerContext

        ASTTransformerContext.get_pos_info = _place


def _place(self: Any, node: ast.stmt | ast.expr) -> str:
    """Where a node of a kernel's text stands, in two lines; a method of ASTTransformerContext."""
    line = f'File "{self.file}", line {node.lineno + self.lineno_offset}, in {self.func.func.__name__}:\n'
    return f"{line}{self.src[node.lineno - 1].rstrip()}\n"


def _detached(arguments: Sequence[Any]) -> list[Any]:
    """Taichi makes a `.grad` for every tensor that wants gradients."""
    return [x.detach() if isinstance(x, Tensor) else x for x in arguments]


def _signature(kernel: Any) -> _Signature | None:
    """None where an argument needs Taichi's own call, or a result is returned."""
    passings = [_passing(parameter.annotation) for parameter in kernel._primal.arguments]
    if None in passings or kernel._primal.return_type is not None:
        return None
    slotted = [place for place, passing in enumerate(passings) if passing != "template"]
    slots = {place: (slot,) for slot, place in enumerate(slotted)}
    tensors, floats, integers = (
        {place: slot for place, slot in slots.items() if passings[place] == passing}
        for passing in ("tensor", "float", "int")
    )
    templates = tuple(place for place, passing in enumerate(passings) if passing == "template")
    return _Signature(len(passings), tensors, floats, integers, templates)


def _passing(annotation: Any) -> Passing | None:
    import taichi as ti

    if annotation is ti.template or isinstance(annotation, ti.template):
        return "template"
    if isinstance(annotation, type(ti.types.ndarray())):
        return "tensor"
    numbers: dict[int, Passing] = {id(float): "float", id(int): "int"}
    return numbers.get(id(annotation))

"""Networks of preset `fast`: their activation, and the whole field in one kernel."""

from __future__ import annotations

from ..config import HashGeometryConfig
from ..ops import activations
from ..reference import activations as activation_twin
from .case import Case, Gate, Work, adjoints
from .scene import Scene

CONFIG = HashGeometryConfig()
VALUE, SLOPE = Gate(1e-6), Gate(1e-6)  # measured 3e-7
SUM = Gate(3e-6)  # of the field's network; measured 4e-7


def softplus(scene: Scene, size: int) -> Case:
    """Softplus of a hidden layer with its slope."""
    before = 0.05 * scene.normal(size, CONFIG.width)
    arguments = (before, CONFIG.softplus_beta)
    work = Work(bytes=12 * CONFIG.width, operations=40 * CONFIG.width)
    ours, twin = lambda: activations.softplus(*arguments), lambda: activation_twin.softplus(*arguments)
    return Case(ours, twin, (VALUE, SLOPE), work=work)


def softplus_adjoint(scene: Scene, size: int) -> Case:
    """Adjoint of Softplus and its slope."""
    before = (0.05 * scene.normal(size, CONFIG.width)).requires_grad_()
    arguments = (before, CONFIG.softplus_beta)
    pulled = adjoints(activations.softplus, activation_twin.softplus, arguments, [before], scene.generator)
    return Case(*pulled, (Gate(1e-5),), work=Work(bytes=16 * CONFIG.width, operations=6 * CONFIG.width))


def field_values(scene: Scene, size: int) -> Case:
    """Values of a fitted field, bounded by the hull, encoding and network in one kernel."""
    points, field, twin = scene.points(size), scene.fast_model.frozen(), scene.field_twin
    levels, layers = len(field.levels), field.network.shape[0] * field.network.shape[1]
    work = Work(bytes=16, gathers=8 * (levels + 1), operations=36 * levels + 2 * layers)
    return Case(lambda: (field(points),), lambda: (twin(points),), (SUM,), work=work)

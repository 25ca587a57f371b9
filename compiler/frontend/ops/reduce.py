"""Reductions, positions of extremes and running sums of whole tensors."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.reduce import Position, Reduce, Reduction, Running
from ..conversion import Conversion, Rejection, normal_axes, normal_axis
from ..registry import Form, Result, converts

_REDUCTIONS = {
    "ReduceSum": Reduction.SUM,
    "ReduceMean": Reduction.MEAN,
    "ReduceMax": Reduction.MAX,
    "ReduceMin": Reduction.MIN,
    "ReduceProd": Reduction.PROD,
    "ReduceL1": Reduction.L1,
    "ReduceL2": Reduction.L2,
    "ReduceLogSum": Reduction.LOG_SUM,
    "ReduceLogSumExp": Reduction.LOG_SUM_EXP,
    "ReduceSumSquare": Reduction.SUM_SQUARE,
}


@converts(*_REDUCTIONS, form=Form.WHOLE, constants=(1,))
def reduce(conversion: Conversion) -> Result:
    """Over some axes, by default over all."""
    x = conversion.value(0)
    axes = conversion.ints("axes")
    if conversion.has(1):
        axes = conversion.integers(1, "axes")
    keep = bool(conversion.integer("keepdims", 1))
    identity = bool(conversion.integer("noop_with_empty_axes", 0))
    reduction = _REDUCTIONS[conversion.node.op_type]
    if not axes:
        axes = () if identity else tuple(range(x.type.rank))
    return conversion.emit(Reduce(reduction, normal_axes(conversion, axes, x.type.rank), keep), x)


@converts("ArgMax", "ArgMin", form=Form.WHOLE)
def position(conversion: Conversion) -> Value:
    """Where the largest or the smallest element is."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", 0), x.type.rank)
    last = bool(conversion.integer("select_last_index", 0))
    keep = bool(conversion.integer("keepdims", 1))
    return conversion.emit(Position(axis, conversion.node.op_type == "ArgMax", last, keep), x)


@converts("CumSum", "CumProd", form=Form.WHOLE, constants=(1,))
def running(conversion: Conversion) -> Value:
    """Along one axis."""
    x, axes = conversion.value(0), conversion.integers(1, "axis")
    if len(axes) != 1:
        raise Rejection("IMC0210", f"{conversion.node.op_type} has {len(axes)} axes")
    axis = normal_axis(conversion, axes[0], x.type.rank)
    product = conversion.node.op_type == "CumProd"
    exclusive = bool(conversion.integer("exclusive", 0))
    reverse = bool(conversion.integer("reverse", 0))
    return conversion.emit(Running(axis, product, exclusive, reverse), x)

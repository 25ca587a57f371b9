"""Reductions over the rows themselves, which take in run after run as it is made.

A sum over rows becomes the sums of the runs, where these are made, which are added up as they
come, and an output stage behind the last. A maximum becomes the maxima of the runs, each of which
is compared with that of all before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ir.graph import Node
from ..ir.op import Op
from ..ir.ops.partial_sums import PartialSum, RequantizeSums
from ..ir.ops.pooling import MaxPool
from ..ir.ops.quantized_pooling import QAveragePool, QGlobalAveragePool
from ..ir.ops.quantized_reduce import QReduceMax, QReduceSum
from ..ir.types import DType, TensorType


@dataclass(frozen=True)
class Running:
    """A reduction over rows: what is done with each run, and with what came of all of them.

    Results of runs are added where `adds`; else `part` takes the largest of them as well.
    """

    part: Op
    adds: bool
    last: Op

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that are reduced."""
        assert isinstance(self.part, PartialSum | QReduceMax)
        return self.part.axes


def running(node: Node, axes: Sequence[int | None]) -> Running | None:
    """How the runs of operand 0 are taken in; None if their rows are not what is reduced.

    `axes` says along which axis the rows of each operand are made.
    """
    if not axes or axes[0] is None:
        return None
    found, x = None, node.operands[0].type
    match node.op:
        case QGlobalAveragePool() as op:
            scale, bias = float(op.scale([x])), -_zero_point(x) * op.count([x])
            reduced = tuple(range(2, x.rank))
            found = _sum(RequantizeSums(reduced, True, bias, scale, False, op.requant))
        case QAveragePool() as op if _is_whole(op, x):
            found = _window_mean(op, x)
        case QReduceSum() as op:
            scale, bias = float(op.scale([x])), op.bias([x])
            found = _sum(RequantizeSums(op.axes, op.keep, bias, scale, False, op.requant))
        case QReduceMax() as op:
            found = _largest(op)
        case MaxPool() as op if _is_whole(op, x) and x.dtype in (DType.U8, DType.I8):
            found = _largest(QReduceMax(tuple(range(2, x.rank))))
    reduces = found is not None and axes[0] in found.axes
    return found if reduces else None


def _sum(last: RequantizeSums) -> Running:
    return Running(PartialSum(last.axes), True, last)


def _largest(last: QReduceMax) -> Running:
    return Running(QReduceMax(last.axes), False, last)


def _window_mean(op: QAveragePool, x: TensorType) -> Running:
    """A mean over one window that is the whole input."""
    axes, scale = tuple(range(2, x.rank)), float(np.ravel(op.scale([x]))[0])
    bias = -_zero_point(x) * int(np.prod(op.kernel))
    return _sum(RequantizeSums(axes, True, bias, scale, True, op.requant))


def _is_whole(op: MaxPool | QAveragePool, x: TensorType) -> bool:
    """Whether there is one window, which takes each element once and nothing else."""
    return op.kernel == x.shape[2:] and not any(op.pads) and _places(op, x) == 1


def _places(op: MaxPool | QAveragePool, x: TensorType) -> int:
    return int(np.prod(op.windows.output(x.shape[2:])))


def _zero_point(x: TensorType) -> int:
    assert x.quant is not None
    return x.quant.zero_point[0]

"""Sums of products over named axes (Einstein's convention).

An equation such as ``bij,bjk->bik`` names the axes of each operand; axes that the result does
not name are summed over. ``...`` stands for any number of axes, which broadcast. Without an
arrow the result has ``...`` and then all names that occur once, in alphabetical order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count

_ELLIPSIS = "..."


@dataclass(frozen=True)
class Equation:
    """The axis names of each operand and of the result; ``...`` where axes are not named."""

    operands: tuple[tuple[str, ...], ...]
    result: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Equation:
        """Read an equation; raises `OpError`."""
        left, arrow, right = text.replace(" ", "").partition("->")
        operands = tuple(_names(term, text) for term in left.split(","))
        if arrow:
            return cls(operands, _names(right, text))
        counts = Counter(name for term in operands for name in term)
        open_axes = (_ELLIPSIS,) if counts.pop(_ELLIPSIS, 0) else ()
        return cls(operands, (*open_axes, *sorted(n for n, count in counts.items() if count == 1)))

    def expanded(self, index: int, rank: int) -> tuple[str, ...]:
        """A name for each axis of an operand; unnamed axes are numbered from the last one."""
        term = self.operands[index]
        unnamed = rank - len([name for name in term if name != _ELLIPSIS])
        if unnamed < 0 or (unnamed and _ELLIPSIS not in term):
            raise OpError(f"operand {index} has {rank} axes, the equation names {len(term)}")
        return _spread(term, unnamed)

    def result_names(self, unnamed: int) -> tuple[str, ...]:
        """A name for each axis of the result, of which so many are not named."""
        return _spread(self.result, unnamed)


@op("einsum", Stage.FLOAT)
class Einsum(Op):
    """A sum of products over named axes; all operands have one element type."""

    equation: str

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The axes that the equation keeps."""
        equation = Equation.parse(self.equation)
        expect_count(operands, len(equation.operands))
        if len({type_.dtype for type_ in operands}) > 1 or operands[0].dtype is DType.BOOL:
            raise OpError("the operands must be numbers of one type")
        extents: dict[str, int] = {}
        unnamed = 0
        for index, type_ in enumerate(operands):
            names = equation.expanded(index, type_.rank)
            unnamed = max(unnamed, sum(name.isdigit() for name in names))
            for name, extent in zip(names, type_.shape, strict=True):
                if extents.setdefault(name, extent) not in (1, extent) and extent != 1:
                    raise OpError(f"axis '{name}' has extents {extents[name]} and {extent}")
                extents[name] = max(extents[name], extent)
        result = equation.result_names(unnamed)
        missing = sorted(set(result) - extents.keys())
        if missing:
            raise OpError(f"the result names axes {missing} that no operand has")
        return (TensorType(operands[0].dtype, tuple(extents[name] for name in result)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 of every operand is the first axis of the result, and of extent 1 there."""
        equation = Equation.parse(self.equation)
        unnamed = max(
            sum(name.isdigit() for name in equation.expanded(index, type_.rank))
            for index, type_ in enumerate(operands)
        )
        result = equation.result_names(unnamed)
        for index, type_ in enumerate(operands):
            names = equation.expanded(index, type_.rank)
            if type_.shape[:1] == (1,) and names[:1] != result[:1]:
                return f"axis 0 of operand {index} is the batch, it must be the first of the result"
        return ""

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Pairwise products in the cheapest order, through BLAS where possible."""
        text = self.equation.replace(" ", "")
        y = np.einsum(text, *inputs, optimize=len(inputs) > 1)
        return (np.array(y, inputs[0].dtype),)


def _names(term: str, text: str) -> tuple[str, ...]:
    head, dots, tail = term.partition(_ELLIPSIS)
    letters = head + tail
    if letters and not (letters.isascii() and letters.isalpha()):
        raise OpError(f"equation '{text}' must consist of letters, '...', ',' and '->'")
    return (*head, *((_ELLIPSIS,) if dots else ()), *tail)


def _spread(term: tuple[str, ...], unnamed: int) -> tuple[str, ...]:
    numbers = tuple(str(index) for index in reversed(range(unnamed)))
    return tuple(part for name in term for part in (numbers if name == _ELLIPSIS else (name,)))

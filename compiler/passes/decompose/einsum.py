"""Sums of products over named axes as matrix products.

Axes that both operands and the result have are the batch of the product, those that only the
operands have are its inner axis, and what one operand shares with the result alone are its rows
or columns. Axes of one operand alone are summed up first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from ...ir import Node, Value
from ...ir.ops.binary import Mul
from ...ir.ops.einsum import Einsum, Equation
from ...ir.ops.linear import MatrixProduct
from ...ir.ops.reduce import Reduction
from .registry import decomposes
from .steps import Steps, is_f32


@dataclass(frozen=True)
class _Named:
    """A value with a name for each axis."""

    value: Value
    names: tuple[str, ...]

    def extent(self, name: str) -> int:
        return self.value.type.shape[self.names.index(name)]


@decomposes(Einsum)
def einsum(steps: Steps, node: Node) -> Value | None:
    """Operands are taken in from left to right; not where a name repeats within one."""
    assert isinstance(node.op, Einsum)
    if not is_f32(*steps.operands):
        return None
    equation = Equation.parse(node.op.equation)
    terms = [
        _Named(value, equation.expanded(index, value.type.rank))
        for index, value in enumerate(steps.operands)
    ]
    unnamed = max(sum(name.isdigit() for name in term.names) for term in terms)
    result = equation.result_names(unnamed)
    if any(len(set(term.names)) < len(term.names) for term in terms) or not _uniform(terms):
        return None
    first, *rest = terms
    for index, term in enumerate(rest):
        later = {name for other in rest[index + 1 :] for name in other.names}
        names = [*first.names, *term.names]
        wanted = result if index == len(rest) - 1 else _ordered(names, later | set(result), result)
        first = _product(steps, first, term, wanted)
    return _arranged(steps, _summed(steps, first, set(result)), result).value


def _uniform(terms: Iterable[_Named]) -> bool:
    """Whether every name has one extent, so that nothing is broadcast."""
    extents: dict[str, set[int]] = {}
    for term in terms:
        for name, extent in zip(term.names, term.value.type.shape, strict=True):
            extents.setdefault(name, set()).add(extent)
    return all(len(found) == 1 for found in extents.values())


def _ordered(names: Sequence[str], kept: set[str], result: tuple[str, ...]) -> tuple[str, ...]:
    """The names that are still needed, in the order of the result, others behind."""
    present = [name for name in dict.fromkeys(names) if name in kept]
    return (*(n for n in result if n in present), *(n for n in present if n not in result))


def _product(steps: Steps, a: _Named, b: _Named, wanted: tuple[str, ...]) -> _Named:
    """Two operands become one, with the axes `wanted` in this order."""
    a = _summed(steps, a, {*b.names, *wanted})
    b = _summed(steps, b, {*a.names, *wanted})
    if steps.array(a.value) is not None:
        a, b = b, a  # a constant is a matrix on the right
    shared = [name for name in wanted if name in a.names and name in b.names]
    inner = tuple(n for n in a.names if n in b.names and n not in wanted)
    rows = tuple(n for n in wanted if n in a.names and n not in b.names)
    columns = tuple(n for n in wanted if n in b.names and n not in a.names)
    left = _arranged(steps, a, (*shared, *rows, *inner))
    right = _arranged(steps, b, (*shared, *inner, *columns))
    outer = tuple(a.extent(name) for name in shared)
    heights, widths = _extents(a, rows), _extents(b, columns)
    depth = prod(_extents(a, inner))
    if not inner:
        x = steps.reshape(left.value, (*outer, *heights, *(1,) * len(columns)))
        y = steps.reshape(right.value, (*outer, *(1,) * len(rows), *widths))
        product = steps.add(Mul(), x, y)
    else:
        # without shared axes the rows stay apart, so that a batch among them stays axis 0
        lines = (prod(heights),) if shared else heights or (1,)
        x = steps.reshape(left.value, (*outer, *lines, depth))
        y = steps.reshape(right.value, (*outer, depth, prod(widths)))
        product = steps.add(MatrixProduct(), x, y)
    whole = steps.reshape(product, (*outer, *heights, *widths))
    return _arranged(steps, _Named(whole, (*shared, *rows, *columns)), wanted)


def _extents(term: _Named, names: Sequence[str]) -> tuple[int, ...]:
    return tuple(term.extent(name) for name in names)


def _summed(steps: Steps, term: _Named, kept: set[str]) -> _Named:
    """Axes that nobody else has are summed over."""
    axes = [axis for axis, name in enumerate(term.names) if name not in kept]
    if not axes:
        return term
    total = steps.reduce(Reduction.SUM, term.value, axes, keep=False)
    return _Named(total, tuple(name for name in term.names if name in kept))


def _arranged(steps: Steps, term: _Named, names: tuple[str, ...]) -> _Named:
    """The axes in this order."""
    perm = [term.names.index(name) for name in names]
    return _Named(steps.transpose(term.value, perm), names)

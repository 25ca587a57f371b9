"""Instructions that take the last `inner` axes of an operand together: counts and ranges."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ..fields import ElementType
from ..instructions import Dot, Gather, Max, Norm, Sum
from ..program import Program
from ..stream import StreamState
from ..walk import Operation
from .ranges import RANGES

_INT32_LIMIT = 1 << 31
# By bytes of an element. Of 16 bits: the largest K with K^3 * 65535^2, which no sum of squares
# exceeds, below 2^63.
_LONGEST_ROW = {1: 1 << 15, 2: 1290}


def inner_split(stream: StreamState, inner: int) -> tuple[int, int]:
    """Return the elements in the axes before the last `inner` ones, and in those."""
    split = len(stream.counts) - inner
    return prod(stream.counts[:split]), prod(stream.counts[split:])


def check_reduction(program: Program, operation: Operation) -> Iterator[str]:
    """Check that `dst` has one element for each place before the inner axes of `src`."""
    assert isinstance(operation.instruction, (Max, Sum))
    yield from _outer(operation, "src", operation.instruction.inner)


def check_sum(program: Program, operation: Operation) -> Iterator[str]:
    """Check that no sum can leave int32."""
    assert isinstance(operation.instruction, Sum)
    yield from check_reduction(program, operation)
    src = operation.streams["src"]
    _, inner = inner_split(src, operation.instruction.inner)
    largest = max(map(abs, RANGES[src.element]))
    if _is_code(src) and inner * largest >= _INT32_LIMIT:
        yield f"the sum of {inner} elements of {src.element.name.lower()} can overflow i32"


def check_dot(program: Program, operation: Operation) -> Iterator[str]:
    """Check that `a` and `b` walk the same axes and no sum of products can leave int32."""
    assert isinstance(operation.instruction, Dot)
    a, b = operation.streams["a"], operation.streams["b"]
    if a.counts != b.counts:
        yield f"a has the counts {a.counts}, b {b.counts}; they must be the same"
    yield from _outer(operation, "a", operation.instruction.inner)
    _, inner = inner_split(a, operation.instruction.inner)
    if _is_code(a) and _is_code(b) and inner * _span(a) * _span(b) >= _INT32_LIMIT:
        yield (
            f"the sum of {inner} products of {a.element.name.lower()} and "
            f"{b.element.name.lower()} can overflow i32"
        )


def check_norm(program: Program, operation: Operation) -> Iterator[str]:
    """Check that rows are short enough for their sums of squares to stay below 2^63."""
    assert isinstance(operation.instruction, Norm)
    src, dst = operation.streams["src"], operation.streams["dst"]
    if dst.count != src.count:
        yield f"src has {src.count} elements, dst {dst.count}"
    _, inner = inner_split(src, operation.instruction.inner)
    longest = _LONGEST_ROW.get(src.element.size, 0)
    if longest and inner > longest:
        yield f"a row has {inner} elements of {src.element.name.lower()}; at most {longest} fit"


def check_gather(program: Program, operation: Operation) -> Iterator[str]:
    """Check that `dst` has one row of the table for each index."""
    assert isinstance(operation.instruction, Gather)
    dst, src = operation.streams["dst"], operation.streams["src"]
    _, row = inner_split(operation.streams["table"], operation.instruction.inner)
    if dst.count != src.count * row:
        yield f"dst has {dst.count} elements; {src.count} rows of {row} make {src.count * row}"


def _outer(operation: Operation, name: str, inner: int) -> Iterator[str]:
    outer, _ = inner_split(operation.streams[name], inner)
    count = operation.streams["dst"].count
    if count != outer:
        yield f"dst has {count} elements; {name} has {outer} before its inner"


def _is_code(stream: StreamState) -> bool:
    return stream.element.size < ElementType.I32.size


def _span(stream: StreamState) -> int:
    """The largest difference of two elements: no zero point is farther from any."""
    low, high = RANGES[stream.element]
    return high - low

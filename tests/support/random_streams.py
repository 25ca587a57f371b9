"""Random streams: operands anywhere in a small local memory, in any order, with gaps or repeats."""

from __future__ import annotations

from math import prod

import numpy as np

from imcc.isa import ElementType, Instruction, Space
from imcc.isa.instructions import Dim, Stream

MEMORY = 4096
CODES = (ElementType.U8, ElementType.U8, ElementType.I8)


class RandomStreams:
    """Emits instructions, and the streams that they take, for one of several cores."""

    def __init__(self, rng: np.random.Generator, cores: int) -> None:
        self._rng = rng
        self._code: list[list[Instruction]] = [[] for _ in range(cores)]
        self._core = 0

    def _emit(self, instruction: Instruction) -> None:
        self._code[self._core].append(instruction)

    def _pick(self, elements: tuple[ElementType, ...]) -> ElementType:
        return elements[int(self._rng.integers(len(elements)))]

    def _element(self) -> ElementType:
        return self._pick((*CODES, *ElementType))

    def _counts(self) -> tuple[int, ...]:
        return tuple(int(c) for c in self._rng.integers(1, 5, int(self._rng.integers(1, 4))))

    def _rotated(self, counts: tuple[int, ...]) -> tuple[int, ...]:
        """The same number of elements in other axes."""
        return (prod(counts),) if self._rng.random() < 0.5 else counts

    def _write(self, register: int, element: ElementType, counts: tuple[int, ...]) -> None:
        """A destination: axes in any order, with gaps, no element twice."""
        strides = [0] * len(counts)
        span = element.size
        for axis in self._rng.permutation(len(counts)):
            strides[axis] = span + element.size * int(self._rng.choice([0, 0, 1]))
            span = strides[axis] * counts[axis]
        self._put(register, element, counts, tuple(strides), span)

    def _read(self, register: int, element: ElementType, counts: tuple[int, ...]) -> None:
        """A source: as a destination, or with repeated and overlapping elements."""
        if self._rng.random() < 0.6:
            self._write(register, element, counts)
            return
        steps = self._rng.integers(0, 5, len(counts)) * element.size
        strides = tuple(int(s) for s in steps)
        span = sum((c - 1) * s for c, s in zip(counts, strides, strict=True)) + element.size
        self._put(register, element, counts, strides, span)

    def _columns(
        self, register: int, element: ElementType, base: int, counts: tuple[int, ...]
    ) -> None:
        """Constant parameters: one a column, one for all, or one an element."""
        kind = int(self._rng.integers(3))
        strides = [0] * len(counts)
        if kind:
            strides[-1] = 4
        if kind == 2 and prod(counts) <= 64:
            strides = [4 * prod(counts[axis + 1 :]) for axis in range(len(counts))]
        self._set(register, element, base, counts, tuple(strides), Space.GLOBAL)

    def _put(
        self,
        register: int,
        element: ElementType,
        counts: tuple[int, ...],
        strides: tuple[int, ...],
        span: int,
    ) -> None:
        base = int(self._rng.integers(0, (MEMORY - span) // element.size + 1)) * element.size
        self._set(register, element, base, counts, strides)

    def _set(
        self,
        register: int,
        element: ElementType,
        base: int,
        counts: tuple[int, ...],
        strides: tuple[int, ...],
        space: Space = Space.LOCAL,
    ) -> None:
        self._emit(Stream(register, space, element, base))
        first = 6 - len(counts)
        for axis, (count, stride) in enumerate(zip(counts, strides, strict=True), first):
            self._emit(Dim(register, axis, count, stride))

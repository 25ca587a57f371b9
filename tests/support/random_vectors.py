"""Random operations on vectors: products and quotients, normalised rows, rows of a table."""

from __future__ import annotations

from math import prod

import numpy as np

from imcc.isa import ElementType, Space
from imcc.isa.instructions import Divide, Dot, Gather, Norm

from .random_streams import CODES, MEMORY, RandomStreams

VECTOR = 1792
"""Where the constants begin that these operations take."""
_POINTS, _TRIPLES, _INDICES = 16, 8, 8
_ROWS = 5


def vector_constants(rng: np.random.Generator) -> bytes:
    """Return zero points; triples of a zero point and the halves of an epsilon; indices."""
    points = rng.integers(0, 120, _POINTS)
    triples = rng.integers(0, 120, (_TRIPLES, 3))
    triples[:, 1] = rng.integers(0, 1 << 32, _TRIPLES) >> rng.integers(0, 32, _TRIPLES)
    triples[:, 2] = np.where(rng.random(_TRIPLES) < 0.5, 0, triples[:, 2])
    triples[0, 1:] = 0
    triples[1, 1:] = (1 << 32) - 1
    indices = rng.integers(-_ROWS, _ROWS, _INDICES)
    return np.concatenate([points, triples.ravel(), indices]).astype("<i8").astype("<i4").tobytes()


class VectorOperations(RandomStreams):
    """Emits `dot`, `norm`, `gather` and `divide`."""

    def _dot(self) -> None:
        """Axes along which both operands move, or only one, or none, in any order."""
        outer = self._counts()
        inner = tuple(int(c) for c in self._rng.integers(1, 7, int(self._rng.integers(1, 3))))
        counts = (*outer, *inner)
        split = tuple(
            c for count in outer for c in ((2, count // 2) if count % 2 == 0 else (count,))
        )
        targets = (outer, (prod(outer),), split)
        self._write(0, ElementType.I32, targets[int(self._rng.integers(len(targets)))])
        element = self._pick((*CODES, ElementType.I16, ElementType.I32))
        for register, kind in ((1, element), (2, self._pick(CODES))):
            fits = 8 * prod(counts) * kind.size <= MEMORY  # with gaps along every axis
            if self._rng.random() < 0.2 and fits:
                self._read(register, kind, counts)
            else:
                repeats = self._rng.random(len(counts)) < 0.4
                self._repeated(
                    register, kind, counts, repeats & (np.arange(len(counts)) < len(outer))
                )
        self._words(3, 4 * int(self._rng.integers(_POINTS - 1)), 2)
        self._emit(Dot(0, 1, 2, 3, len(inner)))

    def _norm(self) -> None:
        outer, inner = self._counts()[:1], self._counts()[:2]
        if self._rng.random() < 0.5:
            inner = (int(self._rng.integers(1, 40)),)
        self._write(0, ElementType.I32, self._rotated((*outer, *inner)))
        self._read(1, self._pick((*CODES, ElementType.U16, ElementType.I32)), (*outer, *inner))
        self._words(2, 4 * _POINTS + 12 * int(self._rng.integers(_TRIPLES)), 3)
        self._emit(Norm(0, 1, 2, len(inner), int(self._rng.integers(2))))

    def _divide(self) -> None:
        counts = self._counts()
        self._write(0, ElementType.I32, self._rotated(counts))
        for register in (1, 2):
            self._read(register, self._pick((*CODES, ElementType.U16, ElementType.I32)), counts)
        self._words(3, 4 * int(self._rng.integers(_POINTS - 1)), 2)
        self._emit(Divide(0, 1, 2, 3))

    def _gather(self) -> None:
        """Rows by constant indices, or by bytes from a table that has a row for each."""
        element, row = self._element(), self._counts()[:2]
        if self._rng.random() < 0.5:
            count = int(self._rng.integers(1, _INDICES + 1))
            start = VECTOR + 4 * (_POINTS + 3 * _TRIPLES + int(self._rng.integers(9 - count)))
            self._set(1, ElementType.I32, start, (count,), (4,), Space.GLOBAL)
            rows: tuple[int, ...] = (_ROWS,)
        else:
            count = int(self._rng.integers(1, 20))
            self._read(1, ElementType.U8, (count,))
            rows = (256,) if self._rng.random() < 0.5 else (8, 32)
        steps = tuple(int(s) * element.size for s in self._rng.integers(0, 3, len(rows) + len(row)))
        span = sum((c - 1) * s for c, s in zip((*rows, *row), steps, strict=True)) + element.size
        if span <= VECTOR and self._rng.random() < 0.5:
            self._set(2, element, 0, (*rows, *row), steps, Space.GLOBAL)
        else:
            self._put(2, element, (*rows, *row), steps, span)
        self._write(0, element, (count, *row))
        self._emit(Gather(0, 1, 2, len(row)))

    def _repeated(
        self, register: int, element: ElementType, counts: tuple[int, ...], repeats: np.ndarray
    ) -> None:
        """A source that does not move along the axes that `repeats` marks, if memory allows."""
        strides = [0] * len(counts)
        span = element.size
        for axis in self._rng.permutation(len(counts)):
            if not repeats[axis] and span * counts[axis] <= MEMORY:
                strides[axis], span = span, span * counts[axis]
        self._put(register, element, counts, tuple(strides), span)

    def _words(self, register: int, offset: int, count: int) -> None:
        """Parameters: constants, seldom whatever the memory holds."""
        if self._rng.random() < 0.85:
            self._set(register, ElementType.I32, VECTOR + offset, (count,), (4,), Space.GLOBAL)
        else:
            base = 4 * int(self._rng.integers(0, MEMORY // 4 - count))
            self._set(register, ElementType.U32, base, (count,), (4,))

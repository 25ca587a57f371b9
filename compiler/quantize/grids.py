"""Weights that lie on a grid already, because a model had them quantized before.

Real weights that are whole multiples of one step become codes without an error if the step of the
codes is that step, or a whole part of it. Which step it is can be read off the weights: the
largest is k steps for one k that the codes reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ir import Array

# How far from a whole number of steps a weight may be: float32 products of codes and scales.
_TOLERANCE = 1e-4
_PROBE = 16
_FIRST = 4


def grid_steps(rows: Array, largest: int) -> NDArray[np.float64]:
    """For each row the step for codes up to `largest` that all weights are multiples of.

    NaN where there is none. The step is a whole part of that of the grid, so that codes are used.
    """
    sizes = np.abs(rows)
    magnitude = sizes.max(axis=1, initial=0).astype(np.float64)
    steps = np.full(len(rows), np.nan)
    open_ = np.flatnonzero(magnitude > 0)
    probes = rows[:, np.argsort(-sizes.sum(axis=0))[:_PROBE]]
    for k in _possible(probes[open_], magnitude[open_], largest):
        step = magnitude / k
        near = open_[_on_grid(probes[open_], step[open_])]
        found = near[_on_grid(rows[near], step[near])]
        steps[found] = step[found] / (largest // k)
        open_ = np.setdiff1d(open_, found, assume_unique=True)
        if not len(open_):
            break
    return steps


def _possible(rows: Array, magnitude: NDArray[np.float64], largest: int) -> NDArray[np.int64]:
    """For which k up to `largest` the first weights of any row may be multiples of its k-th part.

    Weights that are on no grid are seen by these to be on none.
    """
    counts = np.arange(1, largest + 1)
    if not len(rows):
        return counts[:0]
    steps = magnitude[:, np.newaxis] / counts
    row, part = np.nonzero(_far(rows[:, :1] / steps) < _TOLERANCE)
    for column in range(1, min(_FIRST, rows.shape[1])):  # few are left behind the first
        near = _far(rows[row, column] / steps[row, part]) < _TOLERANCE
        row, part = row[near], part[near]
    return counts[np.unique(part)]


def _on_grid(rows: Array, steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    far = _far(rows / steps[:, np.newaxis])
    return np.asarray(far.max(axis=1, initial=0) < _TOLERANCE)


def _far(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each is from a whole number."""
    return np.abs(counts - np.rint(counts))

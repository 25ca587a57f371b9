"""Arrays and latency of dense and block-diagonal tiling, as published mapping studies count them.

CIM-AQ (DATE 2026, arXiv 2601.21737) counts a write for each array that a matrix of K rows and N
outputs touches, ``ceil(rows / R) * ceil(cols / C)``, and an execute for each write, input window
and input step; its latency is their sum, one after the other. Offset encoding takes one more
column, which holds the offset; differential encodings double columns or rows. This compiler packs
tighter: arrays are shared, and offsets are corrected digitally.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imcc.isa.target import Encoding


@dataclass(frozen=True)
class MatrixWork:
    """A matrix of `rows` x `outputs` weights that meets `windows` input vectors.

    `copies` matrices of this shape have weights of their own, as the heads of attention have.
    """

    rows: int
    outputs: int
    windows: int
    copies: int = 1


@dataclass(frozen=True)
class Precision:
    """Bits of the weights of a layer and of its input."""

    weights: int
    activations: int


@dataclass(frozen=True)
class CrossbarModel:
    """Arrays of `rows` x `cols` cells, and the times of writing and of reading one of them."""

    rows: int
    cols: int
    cell_bits: int
    step_bits: int
    write_us: float
    read_us: float
    encoding: Encoding


@dataclass(frozen=True)
class CrossbarCost:
    """Arrays written, arrays read (once a window and input step), and the time of both."""

    writes: int
    executes: int
    latency_us: float


def crossbar_writes(
    rows: int,
    outputs: int,
    weight_bits: int,
    encoding: Encoding,
    *,
    cell_bits: int,
    array_rows: int,
    array_cols: int,
) -> int:
    """Arrays written for a matrix of `rows` x `outputs` weights, each array for it alone."""
    cols = outputs * -(-weight_bits // cell_bits)
    if encoding is Encoding.OFFSET:
        cols += 1
    elif encoding is Encoding.DIFFERENTIAL_COLUMNS:
        cols *= 2
    elif encoding is Encoding.DIFFERENTIAL_ROWS:
        rows *= 2
    return dense_arrays(rows, cols, array_rows, array_cols)


def network_cost(
    layers: Sequence[MatrixWork], policy: Sequence[Precision], model: CrossbarModel
) -> CrossbarCost:
    """Count a network, layer after layer on one array, with the bits that `policy` gives each.

    A layer takes ``writes = arrays * copies``, ``executes = writes * windows * ceil(a / step)``
    and ``writes * t_write + executes * t_read`` (CIM-AQ, arXiv 2601.21737).
    """
    counts = [_counts(layer, bits, model) for layer, bits in zip(layers, policy, strict=True)]
    writes = sum(count for count, _ in counts)
    executes = sum(count for _, count in counts)
    return CrossbarCost(writes, executes, writes * model.write_us + executes * model.read_us)


def _counts(layer: MatrixWork, bits: Precision, model: CrossbarModel) -> tuple[int, int]:
    writes = layer.copies * crossbar_writes(
        layer.rows,
        layer.outputs,
        bits.weights,
        model.encoding,
        cell_bits=model.cell_bits,
        array_rows=model.rows,
        array_cols=model.cols,
    )
    return writes, writes * layer.windows * -(-bits.activations // model.step_bits)


def dense_arrays(rows: int, cols: int, array_rows: int, array_cols: int) -> int:
    """Arrays of a dense matrix, each for it alone: ``ceil(rows / R) * ceil(cols / C)``."""
    return -(-rows // array_rows) * -(-cols // array_cols)


def grouped_arrays(rows: int, cols: int, groups: int, array_rows: int, array_cols: int) -> int:
    """Arrays of a grouped convolution: `groups` blocks of `rows` x `cols` on the diagonal.

    ``min(R // rows, C // cols)`` blocks share an array where a block fits in one; a larger block
    has arrays of its own. One dense matrix with zeros between the blocks, as PIMCOMP (DAC 2023,
    arXiv 2307.01475) maps them, is taken where it needs fewer.
    """
    dense = dense_arrays(groups * rows, groups * cols, array_rows, array_cols)
    together = min(array_rows // rows, array_cols // cols)
    if together:
        return min(dense, -(-groups // together))
    return min(dense, groups * dense_arrays(rows, cols, array_rows, array_cols))

"""Embedding: rows of a constant table, chosen by computed indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import InputError
from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_integer, expect_same
from .codes import activation


def embedding_shape(table: TensorType, indices: TensorType) -> tuple[int, ...]:
    """The shape of the indices, then that of a row; raises `OpError` where there is no row."""
    expect_integer(indices, "indices")
    if not table.rank or indices.quant is not None:
        raise OpError(f"the table is {table.shape}, the indices {indices.dtype} codes")
    return (*indices.shape, *table.shape[1:])


def embedding_batch_problem(indices: TensorType) -> str:
    """Why samples would not stay apart; empty where the indices have a batch axis."""
    return "" if indices.shape[:1] == (1,) else f"indices {indices.shape} have no batch axis"


def rows_of(table: Array, indices: Array) -> Array:
    """Rows by index, negative ones counted from the end; raises `InputError` where none is."""
    count = len(table)
    if indices.size and (indices.min() < -count or indices.max() >= count):
        found = f"{indices.min()} to {indices.max()}"
        raise InputError(f"indices are {found}; the embedding table has {count} rows")
    return np.asarray(table[indices])


@op("embedding", Stage.FLOAT)
class Embedding(Op):
    """Rows of a constant table ``[V, ...]`` by computed indices of any shape, -V to V - 1."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape of the indices, then that of a row."""
        expect_count(operands, 2)
        table, indices = operands
        expect_same([table])
        return (table.with_shape(embedding_shape(table, indices)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples differ by their indices."""
        return embedding_batch_problem(operands[1])

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """As NumPy indexes."""
        return (rows_of(inputs[0], inputs[1]),)


@op("qembedding", Stage.QUANTIZED | Stage.TILED)
class QEmbedding(Op):
    """Rows of a constant table of codes, by computed indices: nothing is rounded.

    Operands: table ``[V, ...]`` codes, indices int32 of any shape. The table lies in global
    memory, not on crossbars.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes of the table, in the shape of the indices, then that of a row."""
        table, indices = operands
        activation(table, "the table")
        if indices.dtype is not DType.I32:
            raise OpError(f"indices are {indices.dtype}; they must be i32")
        return (table.with_shape(embedding_shape(table, indices)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples differ by their indices."""
        return embedding_batch_problem(operands[1])

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """As NumPy indexes."""
        return (rows_of(inputs[0], inputs[1]),)

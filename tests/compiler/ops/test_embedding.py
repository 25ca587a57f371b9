"""Rows of tables by index."""

from __future__ import annotations

import numpy as np
import pytest

from imcc.compiler.errors import InputError
from imcc.compiler.ir import DType, OpError, QuantParams, TensorType
from imcc.compiler.ir.ops.embedding import Embedding, QEmbedding

PARAMS = QuantParams((0.5,), (3,))
INDICES = TensorType(DType.I32, (1, 3))


def test_rows_are_those_of_numpy() -> None:
    table = np.arange(20, dtype=np.float32).reshape(5, 2, 2)
    types = [TensorType(DType.F32, table.shape), TensorType(DType.I64, (1, 3))]
    indices = np.array([[0, 4, -1], [-5, 2, 2]])
    assert Embedding().infer(types)[0].shape == (1, 3, 2, 2)
    (found,) = Embedding().evaluate([table, indices], types)
    np.testing.assert_array_equal(found, np.take(table, indices, axis=0))


@pytest.mark.parametrize("index", [-6, 5])
def test_indices_outside_are_refused(index: int) -> None:
    table = np.zeros((5, 2), np.uint8)
    types = [TensorType(DType.U8, (5, 2), PARAMS), INDICES]
    with pytest.raises(InputError, match="5 rows"):
        QEmbedding().evaluate([table, np.full((1, 3), index, np.int32)], types)


def test_codes_keep_their_parameters() -> None:
    table = TensorType(DType.U8, (5, 2), PARAMS)
    assert QEmbedding().infer([table, INDICES]) == (TensorType(DType.U8, (1, 3, 2), PARAMS),)
    with pytest.raises(OpError, match="must be i32"):
        QEmbedding().infer([table, TensorType(DType.I64, (1, 3))])
    assert QEmbedding().batch_problem([table, TensorType(DType.I32, (3,))])

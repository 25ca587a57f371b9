"""Sums of products over named axes."""

from __future__ import annotations

import numpy as np
import pytest
from support.onnx_models import node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.ir import OpError, TensorType
from imcc.compiler.ir.ops.einsum import Einsum, Equation
from imcc.compiler.ir.types import DType

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "ij->ji": [(3, 4)],
    "ij->": [(3, 4)],
    "ii->i": [(3, 3)],
    "...ii->...i": [(2, 3, 4, 4)],
    "bij, bjk -> bik": [(2, 3, 4), (2, 4, 5)],
    "bhqd,bhkd->bhqk": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "...ij,...jk": [(2, 3, 4), (1, 4, 5)],
    "i,j,k->kij": [(2,), (3,), (4,)],
    "ab,cb,ad": [(2, 3), (4, 3), (2, 5)],
    "ba": [(2, 3)],
}


@pytest.mark.parametrize("equation", SHAPES)
def test_equations(equation: str) -> None:
    inputs = {f"x{i}": weights(*shape, seed=i) for i, shape in enumerate(SHAPES[equation])}
    product = node("Einsum", " ".join(inputs), "y", equation=equation)
    graph = assert_whole_matches(whole_model([product], inputs, opset=12), inputs)
    expected = np.einsum(equation, *inputs.values())
    assert graph.outputs[0].type.shape == expected.shape


def test_implicit_result() -> None:
    assert Equation.parse("ab,cb,ad") == Equation((("a", "b"), ("c", "b"), ("a", "d")), ("c", "d"))
    assert Equation.parse("...ij,...jk").result == ("...", "i", "k")


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "takes 2 operands"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "axis 'j' has extents 3 and 4"),
        ("ij->ik", [(2, 3)], r"axes \['k'\] that no operand has"),
        ("ij->i", [(2, 3, 4)], "operand 0 has 3 axes"),
        ("i1->i", [(2, 3)], "must consist of letters"),
    ],
)
def test_problems(equation: str, shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(OpError, match=message):
        Einsum(equation).infer([TensorType(DType.F32, shape) for shape in shapes])


def test_batch_axis() -> None:
    types = [TensorType(DType.F32, (1, 2, 3)), TensorType(DType.F32, (1, 3, 4))]
    assert not Einsum("bij,bjk->bik").batch_problem(types)
    assert "operand 0" in Einsum("bij,bjk->ibk").batch_problem(types)

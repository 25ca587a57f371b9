"""Moves, reductions, choices and logic: evaluator, machine and onnxruntime agree.

Whatever computes nothing, or only compares, is equal to onnxruntime in every code.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.four_definitions import Body, float_graph, run_everywhere

from imcc.compiler.ir import GraphBuilder, Op, Value
from imcc.compiler.ir.ops.binary import Maximum, Minimum, Mul
from imcc.compiler.ir.ops.cast import Cast
from imcc.compiler.ir.ops.compare import Compare, IsNaN, Relation
from imcc.compiler.ir.ops.dilate import Dilate
from imcc.compiler.ir.ops.indexing import Gather
from imcc.compiler.ir.ops.logic import Connective, Invert, Join, Where
from imcc.compiler.ir.ops.pooling import MaxPool
from imcc.compiler.ir.ops.reduce import Reduce, Reduction
from imcc.compiler.ir.ops.shape import (
    Concat,
    Expand,
    Pad,
    PadCopies,
    PadKind,
    Reshape,
    Slice,
    Tile,
    Transpose,
)
from imcc.compiler.ir.ops.unary import Affine, Relu
from imcc.compiler.ir.types import DType
from imcc.isa.target import RequantMode


def one(op: Op) -> Body:
    """The operator on the inputs."""
    return lambda builder, inputs: builder.add(op, inputs, "y", ["node"])


def gather(axis: int, indices: object) -> Body:
    """Elements by constant index."""

    def body(builder: GraphBuilder, inputs: list[Value]) -> Value:
        chosen = builder.constant(np.asarray(indices, np.int64), "indices")
        return builder.add(Gather(axis), [inputs[0], chosen], "y", ["node"])

    return body  # type: ignore[return-value]


IMAGE = (1, 3, 5, 4)
DEEP = (1, 2, 3, 2, 2, 3, 2)
MOVES: dict[str, tuple[tuple[int, ...], Body]] = {
    "expand": ((1, 3, 1, 4), one(Expand((1, 3, 5, 4)))),
    "expand channels": ((1, 1, 3), one(Expand((1, 7, 3)))),
    "expand numbers": ((1, 1), one(Expand((1, 6)))),
    "tile": ((1, 2, 3, 2), one(Tile((1, 3, 1, 2)))),
    "gather nearest": (IMAGE, gather(2, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])),
    "gather backwards": (IMAGE, gather(1, [-1, 0, 1])),
    "gather one": (IMAGE, gather(3, 2)),
    "gather table": (IMAGE, gather(2, [[0, 3, 1], [4, 4, -2]])),
    "gather deep": (DEEP, gather(4, [1, 1, 0])),
    "dilate": (IMAGE, one(Dilate((2, 3)))),
    "dilate signal": ((1, 4, 5), one(Dilate((3,)))),
    "reflect": (IMAGE, one(PadCopies(PadKind.REFLECT, (0, 0, 2, 1), (0, 0, 3, 2)))),
    "edge": (IMAGE, one(PadCopies(PadKind.EDGE, (0, 1, 2, 0), (0, 0, 1, 2)))),
    "wrap": (IMAGE, one(PadCopies(PadKind.WRAP, (0, 0, 2, 1), (0, 0, 0, 2)))),
    "negative pads": (IMAGE, one(Pad((0, 0, -1, 2), (0, 1, -2, -1), 0.5))),
    "slice backwards": (IMAGE, one(Slice((0, 2, 4, 3), (1, -1, 0, 0), (1, -1, -3, -1)))),
    "transpose": (DEEP, one(Transpose((0, 6, 2, 4, 1, 5, 3)))),
    "transpose of nine axes": (
        (1, 2, 2, 2, 2, 2, 2, 2, 3),
        one(Transpose((0, 8, 2, 4, 6, 1, 3, 5, 7))),
    ),
    "reshape": (DEEP, one(Reshape((1, 9, 2, 8)))),
    "max pool": (IMAGE, one(MaxPool((2, 2), (2, 1), (1, 0, 1, 1), (2, 1), True))),
    "largest": (IMAGE, one(Reduce(Reduction.MAX, (1, 3), keep=False))),
    "largest of all": (IMAGE, one(Reduce(Reduction.MAX, (1, 2, 3), keep=True))),
    "smallest": (IMAGE, one(Reduce(Reduction.MIN, (2,), keep=True))),
    "largest of nine axes": (
        (1, 2, 2, 2, 2, 2, 2, 2, 3),
        one(Reduce(Reduction.MAX, (2, 4, 6), keep=False)),
    ),
    "scalar": ((1,), one(Expand((1,)))),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_exact(name: str) -> None:
    shape, body = MOVES[name]
    results = run_everywhere(float_graph([shape], body))
    assert results.differences == 0
    assert results.unfused == ()
    assert results.sqnr > 30


PAIRS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "equal": (IMAGE, IMAGE),
    "broadcast": ((1, 3, 1, 4), (1, 1, 5, 4)),
    "numbers": ((1,), (1,)),
    "nine axes": ((1, 2, 1, 2, 1, 2, 1, 2, 2), (1, 2, 2, 2, 2, 2, 2, 2, 2)),
}


@pytest.mark.parametrize("op", [Maximum(), Minimum()], ids=lambda op: op.name)
@pytest.mark.parametrize("shapes", PAIRS)
def test_extremes_are_exact(shapes: str, op: Op) -> None:
    results = run_everywhere(float_graph(PAIRS[shapes], one(op)))
    assert results.differences == 0
    assert results.unfused == ()
    assert results.sqnr > 30


def test_extremes_beside_constants() -> None:
    limits = np.asarray([[-0.5], [0.25], [1.0]], np.float32)

    def body(builder: GraphBuilder, inputs: list[Value]) -> Value:
        least = builder.constant(limits, "limits")
        larger = builder.add(Maximum(), [inputs[0], least], "larger", ["larger"])
        return builder.add(Minimum(), [builder.constant(limits + 1, "most"), larger], "y", ["y"])

    results = run_everywhere(float_graph([(1, 4, 3, 5)], body))  # type: ignore[arg-type]
    assert results.differences == 0
    assert results.sqnr > 30


def above(builder: GraphBuilder, x: Value, number: float, name: str) -> Value:
    """Whether elements are larger than a number."""
    limit = builder.constant(np.asarray(number, np.float32), f"{name}.limit")
    return builder.add(Compare(Relation.GREATER), [x, limit], name, [name])


def chosen(kinds: str) -> Body:
    """Where with computed (x), constant (c) and scalar (s) operands: mask, a and b."""
    rng = np.random.default_rng(5)
    arrays = {"c": rng.standard_normal((1, 4, 1, 5)).astype(np.float32), "s": np.float32(-0.75)}
    mask = rng.random((5, 1)) < 0.5

    def body(builder: GraphBuilder, inputs: list[Value]) -> Value:
        x, y = inputs
        first = above(builder, x, 0.1, "above") if kinds[0] == "x" else builder.constant(mask, "m")
        rest = [
            value if kind == "x" else builder.constant(np.asarray(arrays[kind]), f"{kind}{index}")
            for index, (kind, value) in enumerate(zip(kinds[1:], (x, y), strict=True))
        ]
        return builder.add(Where(), [first, *rest], "y", ["where"])

    return body  # type: ignore[return-value]


@pytest.mark.parametrize("kinds", ["xxx", "cxx", "xxs", "csx", "ccx", "cxc"])
@pytest.mark.parametrize("mode", RequantMode)
def test_choices_are_exact(kinds: str, mode: RequantMode) -> None:
    graph = float_graph([(1, 4, 5, 5), (1, 1, 5, 1)], chosen(kinds))
    results = run_everywhere(graph, mode)
    assert results.differences == 0
    assert results.unfused == ()
    assert results.sqnr > 30


@pytest.mark.parametrize("connective", Connective)
def test_logic_is_exact(connective: Connective) -> None:
    """Of comparisons with numbers; what leaves is truth values, as in the model."""

    def body(builder: GraphBuilder, inputs: list[Value]) -> Value:
        a, b = (above(builder, x, 0.2, f"above{i}") for i, x in enumerate(inputs))
        joined = builder.add(Join(connective), [a, b], "joined", ["join"])
        return builder.add(Invert(), [joined], "y", ["not"])

    results = run_everywhere(float_graph([IMAGE, (1, 3, 1, 1)], body))  # type: ignore[arg-type]
    assert results.codes["y"].dtype == np.bool_
    assert results.differences == 0
    # Elements whose code is on the other side of the limit are rare.
    assert np.mean(results.codes["y"] != results.floats["y"]) < 0.03


@pytest.mark.parametrize("relation", Relation)
def test_comparisons_of_tensors(relation: Relation) -> None:
    """The result is that of the codes, brought to common parameters."""

    def body(builder: GraphBuilder, inputs: list[Value]) -> Value:
        holds = builder.add(Compare(relation), inputs, "holds", ["compare"])
        return builder.add(Cast(DType.F32), [holds], "y", ["cast"])

    results = run_everywhere(float_graph([IMAGE, (1, 1, 5, 1)], body))  # type: ignore[arg-type]
    assert results.differences == 0
    assert set(np.unique(results.codes["y"])) <= {0.0, 1.0}
    assert np.mean(results.codes["y"] != results.floats["y"]) < 0.03


def test_nothing_on_codes_is_nan() -> None:
    results = run_everywhere(float_graph([IMAGE], one(IsNaN())))
    assert not results.codes["y"].any()
    assert results.differences == 0


def test_whole_numbers_are_exact() -> None:
    """Reals are cut towards zero, and integers are added and made reals again without error."""

    def body(builder: GraphBuilder, inputs: list[Value]) -> Value:
        scaled = builder.add(Affine(30.0, 0.0), inputs, "scaled", ["scale"])
        whole = builder.add(Cast(DType.I64), [scaled], "whole", ["cast"])
        joined = builder.add(Concat(1), [whole, whole], "joined", ["concat"])
        return builder.add(Cast(DType.F32), [joined], "y", ["back"])

    results = run_everywhere(float_graph([IMAGE], body))  # type: ignore[arg-type]
    np.testing.assert_array_equal(results.codes["y"], np.rint(results.codes["y"]))
    assert results.differences == 0
    assert np.abs(results.codes["y"] - results.floats["y"]).max() <= 1


def test_masks_and_numbers_may_be_inputs() -> None:
    """A mask of truth values and one of integers, as tokenizers give it."""

    def body(builder: GraphBuilder, inputs: list[Value]) -> Value:
        x, mask, kept = inputs
        real = builder.add(Cast(DType.F32), [kept], "real", ["cast"])
        weighed = builder.add(Mul(), [x, real], "weighed", ["mul"])
        lowest = builder.constant(np.asarray(-1, np.float32), "lowest")
        return builder.add(Where(), [mask, weighed, lowest], "y", ["where"])

    dtypes = (DType.F32, DType.BOOL, DType.I64)
    graph = float_graph([IMAGE, (1, 1, 5, 1), (1, 1, 1, 4)], body, dtypes)  # type: ignore[arg-type]
    results = run_everywhere(graph)
    assert results.differences == 0
    assert results.sqnr > 30


def test_an_input_may_be_read_by_nothing() -> None:
    graph = float_graph(
        [IMAGE, (1, 7)], lambda builder, inputs: builder.add(Relu(), inputs[:1], "y")
    )
    assert run_everywhere(graph).differences == 0

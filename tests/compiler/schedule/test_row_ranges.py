"""Operations that move rows: their parts, one behind the other, are the whole."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from onnx import ModelProto
from support.onnx_models import f32, i64, model, node, samples, weights

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import compile_model
from imcc.compiler.ir import Array, GraphBuilder, QuantParams, TensorType, evaluate
from imcc.compiler.ir.graph import Node
from imcc.compiler.ir.op import Op
from imcc.compiler.ir.ops.shape import Expand, Reshape, Slice
from imcc.compiler.ir.types import DType
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.schedule.cuts import runs_of
from imcc.compiler.schedule.row_ranges import part_of, row_axis
from imcc.runtime import Machine

CODES = QuantParams((0.5,), (3,))


def node_of(op: Op, shape: Sequence[int]) -> Node:
    builder = GraphBuilder("one")
    x = builder.input("x", TensorType(DType.U8, tuple(shape), CODES))
    graph = builder.finish([builder.add(op, [x], "y")], ["y"])
    return graph.nodes[0]


def assert_parts_are_the_whole(node: Node, made_along: int, most: int) -> None:
    axis = row_axis(node, [made_along])
    assert axis is not None
    x = np.arange(node.operands[0].type.size).astype(np.uint8).reshape(node.operands[0].type.shape)
    parts: list[Array] = []
    for span in runs_of(node, axis, most):
        part = part_of(node, {axis: span})
        (need,) = part.needs
        ((taken, (start, stop)),) = need.items()
        rows = x.take(range(start, stop), axis=taken)
        type_ = node.operands[0].type.with_shape(rows.shape)
        assert part.op.infer([type_])[0].shape[axis] == span[1] - span[0]
        parts += part.op.evaluate([rows], [type_])
    (whole,) = node.op.evaluate([x], [node.operands[0].type])
    np.testing.assert_array_equal(np.concatenate(parts, axis=axis), whole)


RESHAPES = [
    # what a row becomes: as many rows, several indices a row, one for several rows
    ((1, 6, 5, 4), (1, 6, 5, 2, 2), 2, 2),
    ((1, 6, 5, 4), (1, 2, 3, 5, 4), 2, 3),
    ((1, 2, 3, 5, 4), (1, 6, 5, 4), 3, 2),
    ((1, 6, 5, 2, 4, 1), (1, 6, 10, 4), 2, 2),
    ((1, 6, 5, 4), (1, 6, 20), 2, 2),
    ((1, 6, 20), (1, 6, 5, 4), 2, 2),
    ((1, 20, 3), (1, 2, 10, 3), 1, 1),
]


@pytest.mark.parametrize(("old", "new", "along", "axis"), RESHAPES)
@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_reshape(
    old: tuple[int, ...], new: tuple[int, ...], along: int, axis: int, most: int
) -> None:
    reshape = node_of(Reshape(new), old)
    assert row_axis(reshape, [along]) == axis
    assert_parts_are_the_whole(reshape, along, most)


@pytest.mark.parametrize(
    ("old", "new", "along"),
    [
        ((1, 6, 4, 5), (1, 24, 5), 2),  # rows of all channels lie apart
        ((1, 6, 5, 4), (1, 120), 2),
        ((1, 6, 4, 9), (1, 6, 6, 6), 2),  # a row is one and a half
    ],
)
def test_reshapes_that_mix_rows_are_made_as_a_whole(
    old: tuple[int, ...], new: tuple[int, ...], along: int
) -> None:
    assert row_axis(node_of(Reshape(new), old), [along]) is None


@pytest.mark.parametrize("most", [1, 2, 100])
def test_expand(most: int) -> None:
    assert_parts_are_the_whole(node_of(Expand((1, 6, 5, 3, 4)), (1, 6, 5, 1, 4)), 2, most)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_slice(data: st.DataObject) -> None:
    extent = data.draw(st.integers(6, 12))
    start, step = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 2))
    end = data.draw(st.integers(start + step + 1, extent))
    op = Slice((0, 1, start, 0), (1, 3, end, 5), (1, 1, step, 2))
    most = data.draw(st.integers(1, 12))
    assert_parts_are_the_whole(node_of(op, (1, 4, extent, 5)), 2, most)


def upsampling() -> ModelProto:
    """Convolutions, rows repeated and woven, then pixels as tokens."""
    same = {"pads": [1, 1, 1, 1]}
    repeats = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    nodes = [
        node("Conv", "x w1", "a", **same),
        node("Resize", "a _ scales", "b", mode="nearest", **repeats),
        node("Conv", "b w2", "c", **same),
        node("ConvTranspose", "c w3", "d", strides=[2, 2], **same),
        node("Conv", "d w4", "e", **same),
        node("Reshape", "e tokens", "f"),
        node("Transpose", "f", "g", perm=[0, 2, 1]),
        node("MatMul", "g w5", "y"),
    ]
    kernels = {f"w{i}": weights(8, 3 if i == 1 else 8, 3, 3) for i in (1, 2, 4)}
    others = {"w3": weights(8, 8, 4, 4), "w5": weights(8, 4)}
    numbers = {"scales": f32([1, 1, 2, 2]), "tokens": i64([1, 8, -1])}
    return model(nodes, {"x": (1, 3, 12, 12)}, kernels | others | numbers)


def test_resize_and_transposed_convolutions_hold_rows_only() -> None:
    options = CompileOptions(schedule=ScheduleMode.LATENCY)
    small = load_chip("isaac", ("core.local_memory_kib=9",))
    made = compile_model(upsampling(), small, options, "random")
    largest = max(value.type.size for n in made.quantized.nodes for value in n.results)
    assert largest == 8 * 50 * 50  # phases woven, before they are cut to 48 rows
    assert max(made.schedule.peak.values()) < largest / 2
    inputs = samples(made.quantized)
    found = Machine(made.program).run(inputs)["y"]
    np.testing.assert_array_equal(found, evaluate(made.quantized, inputs)["y"])

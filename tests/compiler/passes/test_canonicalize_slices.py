"""Slices come before transposes and reshapes: only what is left is moved."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from onnx import NodeProto
from support.onnx_models import f32, i64, model, node, run_onnxruntime, samples

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, Graph, evaluate, verify
from imcc.compiler.passes import PassContext, Pipeline

TOKENS, HEADS, WIDTH = 5, 2, 6


def canonical(
    nodes: list[NodeProto], shape: list[int], constants: dict[str, Array], outputs: str = "y"
) -> Graph:
    """The canonical graph, which computes what onnxruntime makes of the model."""
    proto = model(nodes, {"x": shape}, constants, outputs=outputs)
    graph = Pipeline.parse("canonicalize").run(import_onnx(proto), PassContext())
    verify(graph)
    given_ = samples(graph, 1)
    for name, array in zip(graph.output_names, run_onnxruntime(proto, given_), strict=True):
        np.testing.assert_array_equal(evaluate(graph, given_)[name], array)
    return graph


def test_queries_keys_and_values_are_columns_of_one_product() -> None:
    nodes = [
        node("Reshape", "x packed", "a"),  # as torch exports in_proj
        node("Transpose", "a", "b", perm=[0, 4, 2, 3, 1, 5]),
        node("Reshape", "b squeezed", "c"),
    ]
    constants = {
        "packed": i64([1, 1, TOKENS, 1, 3, WIDTH]), "squeezed": i64([1, 3, TOKENS, 1, WIDTH]),
        "heads": i64([1, TOKENS, HEADS, WIDTH // HEADS]), "axis": i64([1]),
    }  # fmt: skip
    for index in range(3):
        constants |= {f"from{index}": i64([index]), f"to{index}": i64([index + 1])}
        nodes += [
            node("Slice", f"c from{index} to{index} axis", f"d{index}"),
            node("Reshape", f"d{index} heads", f"y{index}"),
        ]
    graph = canonical(nodes, [1, TOKENS, 1, 3 * WIDTH], constants, "y0 y1 y2")
    assert [n.op.name for n in graph.nodes] == ["slice", "reshape"] * 3
    for part in graph.nodes[::2]:
        assert part.operands == tuple(graph.inputs)
        assert part.result.type.shape == (1, TOKENS, 1, WIDTH)


def test_steps_stay_behind_a_reshape() -> None:
    nodes = [node("Reshape", "x new", "a"), node("Slice", "a from to axis step", "y")]
    constants = {
        "new": i64([1, 3, 4]), "from": i64([0]), "to": i64([4]), "axis": i64([2]),
        "step": i64([2]),
    }  # fmt: skip
    graph = canonical(nodes, [1, 12], constants)
    assert [n.op.name for n in graph.nodes] == ["reshape", "slice"]


def test_what_is_no_run_of_an_axis_stays_behind_a_reshape() -> None:
    nodes = [node("Reshape", "x new", "a"), node("Slice", "a from to axis", "y")]
    constants = {"new": i64([1, 3, 4]), "from": i64([1]), "to": i64([3]), "axis": i64([2])}
    graph = canonical(nodes, [1, 12], constants)
    assert [n.op.name for n in graph.nodes] == ["reshape", "slice"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_slices_of_anything_moved(data: st.DataObject) -> None:
    shapes = [(1, 4, 6, 2), (1, 24, 2), (1, 2, 2, 6, 2), (1, 4, 3, 4), (1, 48), (1, 1, 4, 12)]
    old, new = data.draw(st.sampled_from(shapes)), data.draw(st.sampled_from(shapes))
    perm = [0, *data.draw(st.permutations(range(1, len(new))))]
    bounds = []
    for axis in perm:
        start = data.draw(st.integers(0, new[axis] - 1))
        bounds.append((start, data.draw(st.integers(start + 1, new[axis]))))
    bounds[0] = (0, 1)
    if data.draw(st.booleans()):  # one axis alone
        kept = data.draw(st.integers(1, len(new) - 1))
        bounds = [
            b if i == kept else (0, new[a])
            for i, (b, a) in enumerate(zip(bounds, perm, strict=True))
        ]
    nodes = [
        node("Reshape", "x new", "a"),
        node("Transpose", "a", "b", perm=perm),
        node("Slice", "b from to", "c"),
        node("Add", "c one", "y"),
    ]
    starts, ends = zip(*bounds, strict=True)
    canonical(
        nodes, list(old), {"new": i64(new), "from": i64(starts), "to": i64(ends), "one": f32(1)}
    )

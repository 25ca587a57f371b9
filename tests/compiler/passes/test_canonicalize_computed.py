"""Constants around normalizations and computed products: they move in, and no result changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from imcc.compiler.ir import DType, Graph, GraphBuilder, Op, TensorType, evaluate, verify
from imcc.compiler.ir.ops.binary import Add, Mul
from imcc.compiler.ir.ops.linear import MatrixProduct
from imcc.compiler.ir.ops.normalize import Normalize
from imcc.compiler.ir.ops.unary import Affine
from imcc.compiler.passes import PassContext, Pipeline

RANDOM = np.random.default_rng(4)


def canonical(graph: Graph) -> Graph:
    """The canonical graph, which computes the same."""
    after = Pipeline.parse("canonicalize").run(graph, PassContext())
    verify(after)
    inputs = {
        v.name: RANDOM.standard_normal((3, *v.type.shape[1:])).astype(np.float32)
        for v in graph.inputs
    }
    before, found = (evaluate(g, inputs)["y"] for g in (graph, after))
    np.testing.assert_allclose(found, before, rtol=1e-5, atol=1e-6)
    return after


def behind(
    op: Op, shapes: Sequence[tuple[int, ...]], *tails: tuple[Op, np.ndarray | None]
) -> Graph:
    """An operator on inputs, then others, each with a constant or none."""
    builder = GraphBuilder("test")
    inputs = [builder.input(f"x{i}", TensorType(DType.F32, s)) for i, s in enumerate(shapes)]
    value = builder.add(op, inputs, "first")
    for index, (tail, array) in enumerate(tails):
        extra = [] if array is None else [builder.constant(array.astype(np.float32), f"c{index}")]
        value = builder.add(tail, [value, *extra], f"v{index}")
    return builder.finish([value], ["y"])


def test_scale_and_bias_become_those_of_the_normalization() -> None:
    gamma, beta = RANDOM.standard_normal((2, 6))
    graph = behind(
        Normalize((2,)), [(1, 4, 6)], (Mul(), gamma), (Add(), beta), (Affine(2.0, 0.5), None)
    )
    (node,) = canonical(graph).nodes
    assert isinstance(node.op, Normalize)
    assert [operand.type.shape for operand in node.operands[1:]] == [(6,), (6,)]


def test_constants_of_every_broadcast_shape_move_in() -> None:
    column, row = RANDOM.standard_normal((4, 1)), RANDOM.standard_normal((1, 1, 6))
    graph = behind(Normalize((1, 2), center=False), [(1, 4, 6)], (Add(), column), (Mul(), row))
    (node,) = canonical(graph).nodes
    assert [operand.type.shape for operand in node.operands[1:]] == [(1, 1, 6), (1, 4, 6)]


def test_what_changes_the_shape_stays_behind() -> None:
    graph = behind(Normalize((2,)), [(1, 1, 6)], (Mul(), RANDOM.standard_normal((1, 5, 6))))
    assert [node.op.name for node in canonical(graph).nodes] == ["normalize", "mul"]


@pytest.mark.parametrize("tail", [(Affine(0.25, 0.0), None), (Mul(), np.asarray(0.25))])
def test_a_number_behind_a_product_becomes_its_factor(tail: tuple[Op, np.ndarray | None]) -> None:
    (node,) = canonical(behind(MatrixProduct(2.0), [(1, 3, 4), (1, 4, 2)], tail)).nodes
    assert node.op == MatrixProduct(0.5)


def test_a_number_before_a_product_becomes_its_factor() -> None:
    builder = GraphBuilder("test")
    a, b = (
        builder.input(n, TensorType(DType.F32, s)) for n, s in (("a", (1, 3, 4)), ("b", (1, 4, 2)))
    )
    scaled = [builder.add(Affine(0.5, 0.0), [value], f"{value.name}s") for value in (a, b)]
    graph = builder.finish([builder.add(MatrixProduct(), scaled, "p")], ["y"])
    (node,) = canonical(graph).nodes
    assert node.op == MatrixProduct(0.25)


@pytest.mark.parametrize("op", [Affine(-1.0, 0.0), Affine(1.0, 1.0), Affine(0.0, 0.0)])
def test_other_maps_stay_behind_a_product(op: Op) -> None:
    graph = canonical(behind(MatrixProduct(), [(1, 3, 4), (1, 4, 2)], (op, None)))
    assert [node.op.name for node in graph.nodes] == ["matrix_product", "affine"]

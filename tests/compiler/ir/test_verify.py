from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from imcc.compiler.errors import VerificationError
from imcc.compiler.ir import (
    Array,
    DType,
    Graph,
    GraphBuilder,
    Node,
    QuantParams,
    Stage,
    TensorType,
    Value,
    verify,
)
from imcc.compiler.ir.ops.binary import Add
from imcc.compiler.ir.ops.linear import MatMul
from imcc.compiler.ir.ops.unary import Relu

VECTOR = TensorType(DType.F32, (1, 4))


def network() -> Graph:
    builder = GraphBuilder("net")
    x = builder.input("x", VECTOR)
    w = builder.constant(np.ones((4, 4), np.float32), "w")
    product = builder.add(MatMul(), [x, w], "product", ["MatMul_0"])
    return builder.finish([builder.add(Relu(), [product], "y", ["Relu_1"])], ["out"])


def problems(graph: Graph, stage: Stage | None = None) -> list[str]:
    with pytest.raises(VerificationError) as caught:
        verify(graph, stage)
    title, *lines = str(caught.value).split("\n")
    assert re.fullmatch(r"graph 'net' breaks the rules of the IR, \d+ problems?:", title)
    return [line.strip() for line in lines]


def with_node(graph: Graph, index: int, node: Node) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = node
    return replace(graph, nodes=tuple(nodes))


def test_a_graph_that_keeps_the_rules_passes() -> None:
    verify(network())
    verify(network(), Stage.FLOAT)


def test_every_problem_is_listed_with_node_and_operator() -> None:
    graph = network()
    wrong = TensorType(DType.F32, (1, 5))
    first = replace(graph.nodes[0], results=(Value("product", wrong),))
    graph = with_node(graph, 0, first)
    assert problems(replace(graph, output_names=("a", "b"))) == [
        "MatMul_0 (imcc.matmul): results are tensor<1x5xf32>, "
        "but the operator infers tensor<1x4xf32>",
        "Relu_1 (imcc.relu): operand 'product' has type tensor<1x4xf32>, "
        "but is defined as tensor<1x5xf32>",
        "1 outputs have 2 names",
    ]


def test_operands_are_defined_before_their_use() -> None:
    graph = network()
    assert problems(replace(graph, nodes=graph.nodes[::-1])) == [
        "Relu_1 (imcc.relu): operand 'product' is used before it is defined"
    ]


def test_an_undefined_output_is_found() -> None:
    graph = replace(network(), outputs=(Value("nothing", VECTOR),))
    assert problems(graph) == ["output: operand 'nothing' is used before it is defined"]


def test_names_are_unique() -> None:
    graph = network()
    graph = with_node(graph, 1, replace(graph.nodes[1], results=(Value("x", VECTOR),)))
    found = problems(replace(graph, outputs=(Value("x", VECTOR),)))
    assert found == ["Relu_1 (imcc.relu): value 'x' is defined twice; names must be unique"]


def test_a_result_does_not_share_the_name_of_a_constant() -> None:
    graph = network()
    graph = with_node(graph, 1, replace(graph.nodes[1], results=(Value("w", VECTOR),)))
    assert "Relu_1 (imcc.relu): value 'w' is defined twice; names must be unique" in problems(graph)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.ones((4, 5), np.float32), "float32[4, 5]"),
        (np.ones((4, 4), np.float64), "float64[4, 4]"),
    ],
)
def test_constants_match_their_types(array: Array, found: str) -> None:
    graph = replace(network(), constants={"w": array})
    assert problems(graph) == [
        f"MatMul_0 (imcc.matmul): constant 'w': the array is {found}, its type says float32[4, 4]"
    ]


def test_what_an_operator_refuses_is_a_problem() -> None:
    graph = network()
    node = replace(graph.nodes[0], operands=graph.nodes[0].operands[:1])
    (problem,) = problems(with_node(graph, 0, node))
    assert problem.startswith("MatMul_0 (imcc.matmul): ")


def test_inputs_have_batch_one() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (2, 4)))
    assert problems(builder.finish([x], ["y"])) == [
        "input 'x': batch axis 0 must be 1, found shape (2, 4)"
    ]


def test_output_names_are_unique() -> None:
    graph = network()
    graph = replace(graph, outputs=graph.outputs * 2, output_names=("a", "a"))
    assert problems(graph) == ["output name 'a' is given twice"]


def test_operators_are_legal_in_their_stages_only() -> None:
    assert problems(network(), Stage.QUANTIZED) == [
        "MatMul_0 (imcc.matmul): not legal in stage QUANTIZED, only in FLOAT",
        "Relu_1 (imcc.relu): not legal in stage QUANTIZED, only in FLOAT",
    ]


def coded(quant: QuantParams, array: list[int]) -> Graph:
    builder = GraphBuilder("net")
    return builder.finish([builder.constant(np.array(array, np.uint8), "c", quant)], ["c"])


def test_codes_lie_in_the_range_of_their_bits() -> None:
    quant = QuantParams((0.5,), (3,), bits=4)
    verify(coded(quant, [0, 15]))
    assert problems(coded(quant, [1, 16])) == [
        "output: constant 'c': codes are in [1, 16], 4 bits allow [0, 15]"
    ]


@pytest.mark.parametrize(
    ("quant", "found"),
    [
        (QuantParams((0.1,), (0,)), "scales must be positive, finite and exact in float32"),
        (QuantParams((0.0,), (0,)), "scales must be positive, finite and exact in float32"),
        (QuantParams((float("inf"),), (0,)), "scales must be positive, finite and exact"),
        (QuantParams((0.5,), (256,)), "zero points must be in [0, 255]"),
        (QuantParams((0.5,), (0,), axis=1), "quantization axis 1 is outside of rank 1"),
        (QuantParams((0.5, 0.5), (0,), axis=0), "2 scales and 1 zero points, but quantization"),
        (QuantParams((0.5,), (0,), axis=0), "1 scales and 1 zero points, but quantization"),
    ],
)
def test_quantization_fits_the_tensor(quant: QuantParams, found: str) -> None:
    assert any(f"constant 'c': {found}" in problem for problem in problems(coded(quant, [1, 2])))


def test_floats_are_not_quantized() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, 2), QuantParams((0.5,), (0,))))
    (problem,) = problems(builder.finish([x], ["y"]))
    assert problem == "value 'x': quantized elements must be integers, found f32"


def test_the_networkx_view_has_an_edge_for_every_value() -> None:
    x = Value("x", TensorType(DType.F32, (1, 4)))
    a, b, c = (Value(name, x.type) for name in "abc")
    nodes = (
        Node(Relu(), (x,), (a,)),
        Node(Relu(), (a,), (b,)),
        Node(Add(), (a, b), (c,)),
    )
    view = Graph("net", (x,), (c,), ("y",), nodes).as_networkx()
    assert list(view.nodes) == [0, 1, 2]
    assert sorted(view.edges) == [(0, 1), (0, 2), (1, 2)]

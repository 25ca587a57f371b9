from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum
from itertools import pairwise
from typing import Any, cast, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from imcc.compiler.ir import (
    OPS,
    Array,
    DType,
    Graph,
    Node,
    Op,
    QuantParams,
    Stage,
    TensorType,
    Value,
    op,
    parse_graph,
    print_graph,
)


class Colour(StrEnum):
    RED = "red"
    ODD = 'o"dd\\'


@op("test_inner", Stage.ANY)
class Inner(Op):
    number: int
    other: Inner | None = None


@op("test_outer", Stage.ANY)
class Outer(Op):
    flag: bool
    number: int
    real: float
    text: str
    colour: Colour
    numbers: tuple[int, ...]
    reals: tuple[float, ...]
    flags: tuple[bool, ...]
    texts: tuple[str, ...]
    nested: tuple[tuple[int, ...], ...]
    pair: tuple[int, str]
    quant: QuantParams
    type: TensorType
    inner: Inner | QuantParams
    maybe: float | None
    count: int | None = 3


OWN = {cls.name: OPS.pop(cls.name) for cls in (Inner, Outer)}


@pytest.fixture(scope="module", autouse=True)
def _own_operators() -> Iterator[None]:
    """Operators with every kind of field, for these tests only."""
    OPS.update(OWN)
    yield
    for name in OWN:
        del OPS[name]


def xdsl_reads(text: str) -> None:
    context = Context(allow_unregistered=True)
    context.load_dialect(Builtin)
    context.load_dialect(Func)
    Parser(context, text).parse_module().verify()


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
INT64 = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=False)
SCALE = st.floats(
    width=32, min_value=0, exclude_min=True, allow_infinity=False, allow_subnormal=False
)


@st.composite
def quants(draw: st.DrawFn, extents: tuple[int, ...] = ()) -> QuantParams:
    bits, signed = draw(st.integers(1, 8)), draw(st.booleans())
    axis = draw(st.sampled_from([None, *range(len(extents))]))
    count = 1 if axis is None else extents[axis]
    empty = QuantParams((), (), None, bits, signed)
    scales = draw(st.tuples(*[SCALE] * count))
    zeros = draw(st.tuples(*[st.integers(empty.low, empty.high)] * count))
    return QuantParams(scales, zeros, axis, bits, signed)


@st.composite
def types(draw: st.DrawFn) -> TensorType:
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=3)))
    dtype = draw(st.sampled_from(DType))
    if dtype in (DType.U8, DType.I8, DType.I32) and draw(st.booleans()):
        return TensorType(dtype, shape, draw(quants(shape)))
    return TensorType(dtype, shape)


def inners() -> st.SearchStrategy[Inner]:
    return st.builds(Inner, INT64, st.none() | st.builds(Inner, INT64))


def outers() -> st.SearchStrategy[Outer]:
    return st.builds(
        Outer,
        st.booleans(),
        INT64,
        REAL,
        TEXT,
        st.sampled_from(Colour),
        *(st.lists(item, max_size=3).map(tuple) for item in (INT64, REAL, st.booleans(), TEXT)),
        st.lists(st.lists(INT64, max_size=2).map(tuple), max_size=2).map(tuple),
        st.tuples(INT64, TEXT),
        quants(),
        types(),
        inners() | quants(),
        st.none() | REAL,
        st.none() | INT64,
    )


def array(draw: st.DrawFn, type_: TensorType) -> Array:
    size = type_.size * type_.dtype.numpy.itemsize
    data = draw(st.binary(min_size=size, max_size=size))
    found: Array = np.frombuffer(data, np.uint8)
    found = found % 2 == 1 if type_.dtype is DType.BOOL else found.view(type_.dtype.numpy)
    found = np.nan_to_num(found.reshape(type_.shape), posinf=np.inf, neginf=-np.inf)
    return found


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs of a right form whose operators fit no types: the text does not care."""
    names = iter(draw(st.lists(TEXT, min_size=12, max_size=12, unique=True)))
    inputs = tuple(Value(next(names), draw(types())) for _ in range(draw(st.integers(0, 2))))
    constants = [Value(next(names), draw(types())) for _ in range(draw(st.integers(1, 3)))]
    values, nodes = [*inputs, *constants], []
    for _ in range(draw(st.integers(0, 3))):
        operands = tuple(draw(st.lists(st.sampled_from(values), max_size=3)))
        results = tuple(Value(next(names), draw(types())) for _ in range(draw(st.integers(1, 2))))
        origin = tuple(draw(st.lists(TEXT, max_size=2, unique=True)))
        nodes.append(Node(draw(outers() | inners()), operands, results, origin))
        values += results
    outputs = tuple(draw(st.lists(st.sampled_from(values), min_size=1, max_size=3)))
    output_names = tuple(draw(TEXT) for _ in outputs)
    used = {v.name for n in nodes for v in n.operands} | {v.name for v in outputs}
    arrays = {v.name: array(draw, v.type) for v in constants if v.name in used}
    return Graph(draw(TEXT), inputs, outputs, output_names, tuple(nodes), arrays)


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_what_is_printed_reads_back_as_the_same_graph_and_mlir_reads_it_too(graph: Graph) -> None:
    text = print_graph(graph)
    again = parse_graph(text)
    assert again.same_as(graph)
    assert {k: a.dtype for k, a in again.constants.items()} == {
        k: a.dtype for k, a in graph.constants.items()
    }
    assert print_graph(again) == text
    xdsl_reads(text)


def one_node(operator: Op) -> Graph:
    type_ = TensorType(DType.F32, (1, 2))
    x, y = Value("x", type_), Value("y", type_)
    return Graph("net", (x,), (y,), ("y",), (Node(operator, (x,), (y,)),))


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, 1e300, 1e16, 0.1, math.inf, -math.inf])
def test_floats_keep_their_bits(value: float) -> None:
    from imcc.compiler.ir.ops.unary import LeakyRelu

    found = parse_graph(print_graph(one_node(LeakyRelu(value)))).nodes[0].op
    assert isinstance(found, LeakyRelu)
    assert np.float64(found.alpha).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize("value", [np.float32(1e-45), np.float32(np.inf), np.float32(-0.0)])
def test_small_constants_keep_their_bits(value: np.float32) -> None:
    data = np.array([value], np.float32)
    v = Value("c", TensorType(DType.F32, (1,)))
    graph = Graph("net", (), (v,), ("c",), (), {"c": data})
    assert parse_graph(print_graph(graph)).constants["c"].tobytes() == data.tobytes()


def test_a_scale_of_the_fewest_digits_is_the_nearest_float32() -> None:
    quant = QuantParams((float(np.float32(0.1)),), (3,), bits=4)
    value = Value("x", TensorType(DType.U8, (1, 2), quant))
    text = print_graph(Graph("net", (value,), (value,), ("y",), ()))
    assert "%x: tensor<1x2x!quant.uniform<u8<0:15>:f32, 0.1:3>>" in text
    assert parse_graph(text).inputs == (value,)


def test_elided_constants_come_from_the_caller() -> None:
    data = np.arange(20, dtype=np.float32)
    value = Value("a b", TensorType(DType.F32, (20,)))
    graph = Graph("net", (), (value,), ("c",), (), {"a b": data})
    text = print_graph(graph, resources=False)
    assert "dialect_resources" not in text
    assert parse_graph(text, {"a b": data}).same_as(graph)
    xdsl_reads(text)


def test_a_network_of_600_nodes_round_trips() -> None:
    quant = QuantParams(tuple(np.linspace(0.1, 1, 64, dtype=np.float32).tolist()), (0,) * 64, 1)
    type_ = TensorType(DType.U8, (1, 64), quant)
    values = [Value(f"v{index}", type_) for index in range(601)]
    nodes = [
        Node(Inner(index, Inner(index)), (a,), (b,), (f"/layer{index}/Conv",))
        for index, (a, b) in enumerate(pairwise(values))
    ]
    graph = Graph("net", (values[0],), (values[-1],), ("y",), tuple(nodes))
    assert parse_graph(print_graph(graph)).same_as(graph)


@pytest.mark.parametrize("name", OPS)
def test_the_text_form_knows_how_to_read_the_fields_of_every_operator(name: str) -> None:
    hints = get_type_hints(OPS[name])
    assert {field.name for field in fields(cast(Any, OPS[name]))} <= hints.keys()

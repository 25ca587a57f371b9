"""Functions that a model defines: written out, against onnxruntime, and counted before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
)
from support.onnx_models import assert_matches, model, node

from imcc.compiler.errors import InputError, LimitError, UnsupportedError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import evaluate
from imcc.compiler.ir.ops.unary import LeakyRelu

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]


def call(name: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    return node(name, inputs, outputs, domain="local", **attributes)


def function(
    name: str, inputs: str, outputs: str, nodes: list[NodeProto], opset: int = 17, **extra: Any
) -> FunctionProto:
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    made = helper.make_function(
        "local", name, inputs.split(), outputs.split(), nodes, opsets, **extra
    )
    return made


def with_functions(nodes: list[NodeProto], *functions: FunctionProto, **extra: Any) -> ModelProto:
    proto = model(nodes, {"x": ["N", 4]}, **extra)
    proto.functions.extend(functions)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    return proto


def referring(op_type: str, attribute: str, to: str) -> NodeProto:
    made = node(op_type, "a", "b")
    reference = AttributeProto(name=attribute, ref_attr_name=to, type=AttributeProto.FLOAT)
    made.attribute.append(reference)
    return made


def test_nested_calls_keep_names_apart() -> None:
    inner = function("inner", "a", "b", [node("Relu", "a", "t"), node("Neg", "t", "b")])
    outer = function("outer", "a b", "c", [call("inner", "a", "t"), node("Add", "t b", "c")])
    nodes = [call("outer", "x x", "t"), call("outer", "t x", "u"), call("inner", "u", "y")]
    graph = assert_matches(with_functions(nodes, inner, outer))
    assert {n.origin[0] for n in graph.nodes} >= {"outer_0/inner_0/Relu_0", "outer_1/Add_1"}


def test_attributes_of_the_call_or_defaults() -> None:
    leak = function(
        "leak",
        "a",
        "b",
        [referring("LeakyRelu", "alpha", "slope")],
        attribute_protos=[helper.make_attribute("slope", 0.5)],
    )
    plain = function(
        "plain", "a", "b", [referring("LeakyRelu", "alpha", "slope")], attributes=["slope"]
    )
    nodes = [
        call("leak", "x", "s"),
        call("leak", "s", "t", slope=0.25),
        call("plain", "t", "u", slope=0.125),
        call("plain", "u", "y"),
    ]
    graph = import_onnx(with_functions(nodes, leak, plain))
    slopes = [n.op.alpha for n in graph.nodes if isinstance(n.op, LeakyRelu)]
    np.testing.assert_allclose(slopes, [0.5, 0.25, 0.125, 0.01])


def test_operands_left_out() -> None:
    body = [node("Clip", "a low high", "b"), node("Neg", "b", "c")]
    nodes = [call("clip", "x _ h", "t v"), call("clip", "t", "u y")]
    functions = [function("clip", "a low high", "b c", body)]
    weights = {"h": np.asarray(0.3, np.float32)}
    assert_matches(with_functions(nodes, *functions, weights=weights))


def test_an_output_that_is_an_operand() -> None:
    """onnxruntime takes no such function, so that the sum alone is compared."""
    same = function("same", "a b", "b a", [])
    proto = with_functions([call("same", "x x", "t u"), node("Add", "t u", "y")], same)
    x = np.array([[1, -2, 3, -4]], np.float32)
    np.testing.assert_array_equal(evaluate(import_onnx(proto), {"x": x})["y"], 2 * x)


def test_graphs_inside_bodies() -> None:
    """The branches read names of the body; both calls have their own names inside."""

    def branch(op_type: str) -> GraphProto:
        out = helper.make_tensor_value_info("r", TensorProto.FLOAT, None)
        return helper.make_graph(
            [node(op_type, "t", "s"), call("twice", "s", "r")], op_type, [], [out]
        )

    choose = node("If", "flag", "b", then_branch=branch("Relu"), else_branch=branch("Neg"))
    body = [node("Abs", "a", "t"), choose]
    functions = [function("twice", "a", "b", [node("Add", "a a", "b")])]
    functions.append(function("pick", "a flag", "b", body))
    nodes = [call("pick", "x yes", "t"), call("pick", "t no", "y")]
    flags = {"yes": np.asarray(True), "no": np.asarray(False)}
    assert_matches(with_functions(nodes, *functions, weights=flags))


@pytest.mark.parametrize("names", ["a", "a b", "a b c"])
def test_functions_that_call_themselves(names: str) -> None:
    ring = names.split()
    functions = [
        function(name, "p", "q", [call(ring[(i + 1) % len(ring)], "p", "q")])
        for i, name in enumerate(ring)
    ]
    with pytest.raises(InputError, match="calls itself"):
        import_onnx(with_functions([call("a", "x", "y")], *functions))


def test_laughs_are_counted_before_they_are_written() -> None:
    """Ten functions of ten calls each would be ten billion nodes."""
    bodies = [function("f0", "a", "b", [node("Relu", "a", "b")])]
    for level in range(1, 11):
        names = ["a", *(f"t{i}" for i in range(9)), "b"]
        calls = [call(f"f{level - 1}", names[i], names[i + 1]) for i in range(10)]
        bodies.append(function(f"f{level}", "a", "b", calls))
    with pytest.raises(LimitError, match=r"the model has 200,001 nodes, functions written out"):
        import_onnx(with_functions([call("f10", "x", "y")], *bodies))


def test_depth_of_calls_is_limited() -> None:
    deep = [function("f0", "a", "b", [node("Relu", "a", "b")])]
    deep += [function(f"f{i}", "a", "b", [call(f"f{i - 1}", "a", "b")]) for i in range(1, 3000)]
    with pytest.raises(LimitError, match="functions call each other 3000 deep"):
        import_onnx(with_functions([call("f2999", "x", "y")], *deep))


def test_calls_that_do_not_fit() -> None:
    one = function("one", "a", "b", [node("Relu", "a", "b")])
    with pytest.raises(InputError, match="too many operands"):
        import_onnx(with_functions([call("one", "x x", "y")], one))
    twice = with_functions([call("one", "x", "y")], one, one)
    with pytest.raises(InputError, match="two functions have the name 'one'"):
        import_onnx(twice)


def test_operator_sets_that_mean_something_else() -> None:
    """Softmax of operator set 11 works on a matrix; that of 17 along an axis."""
    old = function("old", "a", "b", [node("Softmax", "a", "b")], opset=11)
    with pytest.raises(UnsupportedError, match="has Softmax of operator set 11"):
        import_onnx(with_functions([call("old", "x", "y")], old))
    same = function("same", "a", "b", [node("Relu", "a", "b")], opset=15)
    import_onnx(with_functions([call("same", "x", "y")], same))

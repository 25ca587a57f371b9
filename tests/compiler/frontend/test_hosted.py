"""ONNX nodes that stay what they are: which can, and what is asked of them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, helper
from support.host_networks import model, node

from imcc.compiler.errors import UnsupportedError
from imcc.compiler.frontend import Imported, import_for_compilation
from imcc.compiler.ir import evaluate, parse_graph, print_graph
from imcc.compiler.ir.op import OpError
from imcc.compiler.ir.types import DType, TensorType

FLOAT = 1


def one(op_type: str, rows: int | str = "N", **attributes: object) -> ModelProto:
    """A model of one node: from x [rows, 4] to y."""
    made = node(op_type, "x", "y", **attributes)
    return model([made], {"x": (FLOAT, [rows, 4])}, {"y": (FLOAT, None)}, {})


def hosted(made: ModelProto) -> Imported:
    return import_for_compilation(made, hosts={name.name: "asked for" for name in made.graph.node})


def test_a_node_on_the_host_is_computed_by_onnxruntime() -> None:
    found = hosted(one("Hardmax"))
    assert [(d.node, d.reason) for d in found.hosted] == [("Hardmax:y", "asked for")]
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        evaluate(found.graph, {"x": x})["y"], np.eye(4, dtype=np.float32)[x.argmax(axis=1)]
    )
    assert parse_graph(print_graph(found.graph)).same_as(found.graph)


def test_operators_that_mix_samples_are_no_batch() -> None:
    """Along axis 0 every sample would be its own largest."""
    assert hosted(one("Hardmax", axis=1, rows=3)).graph.batched
    assert not hosted(one("Hardmax", axis=0, rows=3)).graph.batched


def test_unknown_operators_join_the_host_only_where_onnxruntime_has_them() -> None:
    made = one("Sampled")
    made.graph.node[0].domain = "com.acme"
    made.opset_import.append(helper.make_opsetid("com.acme", 1))
    with pytest.raises(UnsupportedError, match=r"com\.acme:Sampled.* is not a registered function"):
        import_for_compilation(made, hosts={})
    known = model(
        [node("Inverse", "x", "y", domain="com.microsoft")],
        {"x": (FLOAT, ["N", 3, 3])},
        {"y": (FLOAT, ["N", 3, 3])},
        {},
    )
    known.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(UnsupportedError, match="Inverse is not supported"):
        import_for_compilation(known)
    graph = import_for_compilation(known, hosts={}).graph
    x = np.random.default_rng(1).standard_normal((4, 3, 3)).astype(np.float32)
    found = evaluate(graph, {"x": x})["y"]
    np.testing.assert_allclose(found, np.linalg.inv(x), rtol=1e-3, atol=1e-4)


def test_results_without_a_fixed_shape_cannot_be() -> None:
    with pytest.raises(UnsupportedError, match="depend on the data"):
        import_for_compilation(one("NonZero"), hosts={})


def test_codes_of_a_quantized_model_cannot_be() -> None:
    made = model(
        [
            node("QuantizeLinear", "x scale zero", "q"),
            node("Mod", "q two", "m"),
            node("DequantizeLinear", "m scale zero", "y"),
        ],
        {"x": (FLOAT, ["N", 4])},
        {"y": (FLOAT, ["N", 4])},
        {
            "scale": np.array(0.5, np.float32),
            "zero": np.array(3, np.uint8),
            "two": np.array(2, np.uint8),
        },
    )
    with pytest.raises(UnsupportedError, match="it works on codes of a quantized model"):
        import_for_compilation(made, hosts={"Mod:m": "asked for"})


def test_host_operators_take_only_what_they_were_made_for() -> None:
    (host,) = hosted(one("Hardmax")).graph.nodes
    with pytest.raises(OpError, match="the model was made for"):
        host.op.infer([TensorType(DType.F32, (1, 5))])

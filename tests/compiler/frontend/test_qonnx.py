"""QONNX operators against the reference, PyPI `qonnx` 1.0.0.

`qonnx_cases.npz` holds operands and what the functions `quant`, `binary_quant`, `trunc_v1` and
`trunc_v2` of that package (Apache-2.0) made of them; `make_qonnx_cases.py` beside it wrote it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper
from support.onnx_models import model, node, run_onnxruntime, weights

from imcc.compiler.errors import InputError, UnsupportedError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, evaluate
from imcc.compiler.ir.ops.quant import Quantize
from imcc.compiler.ir.types import QuantParams
from imcc.compiler.verify.plain_qonnx import plain_model

CASES = np.load(Path(__file__).with_name("qonnx_cases.npz"))
TITLES = sorted({name.split("/")[0] for name in CASES})


def qonnx(op_type: str, operands: dict[str, Array], domain: str, **attributes: Any) -> ModelProto:
    names = " ".join(("x", *operands))
    nodes = [node(op_type, names, "y", domain=domain, **attributes)]
    proto = model(nodes, {"x": [1, 4, 16]}, operands, opset=13)
    proto.opset_import.append(helper.make_opsetid(domain, 1))
    return proto


def case(title: str, domain: str = "qonnx.custom_op.general") -> ModelProto:
    op_type, attributes = json.loads(str(CASES[f"{title}/what"]))
    prefix = f"{title}/operand"
    names = sorted(name for name in CASES if name.startswith(prefix))
    operands = {name.removeprefix(f"{title}/"): CASES[name] for name in names}
    return qonnx(op_type, operands, domain, **attributes)


def weight_case(title: str) -> ModelProto:
    """The same operator on a constant, which is added to an input."""
    proto = case(title)
    proto.graph.node[0].input[0], proto.graph.node[0].output[0] = "w", "q"
    proto.graph.initializer.append(model([], {}, {"w": CASES[f"{title}/x"]}).graph.initializer[0])
    proto.graph.node.append(node("Add", "x q", "y"))
    return proto


@pytest.mark.parametrize("title", [t for t in TITLES if "channel" not in t])
def test_activations(title: str) -> None:
    proto, x = case(title), CASES[f"{title}/x"]
    found = evaluate(import_onnx(proto), {"x": x})["y"]
    np.testing.assert_array_equal(found, CASES[f"{title}/y"])


@pytest.mark.parametrize("title", [t for t in TITLES if not t.startswith("trunc")])
def test_weights(title: str) -> None:
    """Scales for channels too; the real values are those of the reference."""
    graph = import_onnx(weight_case(title))
    found = evaluate(graph, {"x": np.zeros((1, 4, 16), np.float32)})["y"]
    np.testing.assert_allclose(found, CASES[f"{title}/y"], rtol=1e-6)


@pytest.mark.parametrize("title", [t for t in TITLES if "channel" not in t])
def test_standard_operators(title: str) -> None:
    """What verification gives to onnxruntime in their place."""
    proto = case(title)
    modes = [a.s for a in proto.graph.node[0].attribute if a.name == "rounding_mode"]
    if modes and modes[0] not in (b"ROUND", b"CEIL", b"FLOOR"):
        with pytest.raises(UnsupportedError, match="ONNX has no rounding"):
            plain_model(proto)
        return
    (found,) = run_onnxruntime(plain_model(proto), {"x": CASES[f"{title}/x"]})
    np.testing.assert_allclose(found, CASES[f"{title}/y"], rtol=1e-6)


@pytest.mark.parametrize("domain", ["onnx.brevitas", "finn.custom_op.general"])
def test_older_domains(domain: str) -> None:
    graph = import_onnx(case("signed4", domain))
    np.testing.assert_array_equal(
        evaluate(graph, {"x": CASES["signed4/x"]})["y"], CASES["signed4/y"]
    )


def output_params(proto: ModelProto) -> list[QuantParams]:
    graph = import_onnx(proto)
    return [n.op.output for n in graph.nodes if isinstance(n.op, Quantize)]


def test_activations_pass_through_their_codes() -> None:
    assert [p.bits for p in output_params(case("signed4"))] == [4]
    assert [p.bits for p in output_params(case("unsigned2narrow"))] == [2]
    assert output_params(case("bipolar")) == [QuantParams((0.5,), (1,), None, 2, False)]
    assert output_params(case("signed12")) == []  # more bits than codes have


def operands(**changed: Any) -> dict[str, Array]:
    found = {"s": np.float32(0.5), "z": np.float32(0), "b": np.float32(4), **changed}
    return {name: np.asarray(array, np.float32) for name, array in found.items()}


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"s": np.float32(-1)}, InputError, "a scale that is not positive"),
        ({"b": np.float32(2.5)}, UnsupportedError, "with a bit width of 2.5"),
        ({"b": np.float32(99)}, UnsupportedError, "with a bit width of 99"),
        ({"s": weights(4, 1) ** 2}, UnsupportedError, "with a scale for each channel"),
    ],
)
def test_what_is_refused(changed: dict[str, Array], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        import_onnx(qonnx("Quant", operands(**changed), "onnx.brevitas", signed=1))


def test_unknown_rounding_is_refused() -> None:
    proto = qonnx("Quant", operands(), "onnx.brevitas", signed=1, rounding_mode="DICE")
    with pytest.raises(UnsupportedError, match="rounding_mode = 'DICE'"):
        import_onnx(proto)

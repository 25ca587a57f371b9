"""Inputs that are scaled before they are quantized: the host's codes lose nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper
from support.onnx_models import f32, model, node

from imcc.compiler.errors import InputError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, evaluate
from imcc.compiler.ir.ops.quant import Quantize
from imcc.compiler.options import CompileOptions
from imcc.compiler.passes import PassContext, Pipeline
from imcc.compiler.quantize.state import float_nodes


def scaled(quantizer: Any, scale: float, offset: float, *steps: Any) -> ModelProto:
    """``quantizer(x * scale + offset)``, flattened."""
    nodes = [node("Flatten", "x", "f"), node("Mul", "f s", "m"), node("Add", "m o", "a")]
    weights = {"s": f32(scale), "o": f32(offset), "one": f32(1), "zero": f32(0), "two": f32(2)}
    proto = model([*nodes, *steps, quantizer], {"x": ["N", 2, 3]}, weights, opset=13)
    proto.opset_import.append(helper.make_opsetid("onnx.brevitas", 1))
    return proto


def quant(x: str = "a") -> Any:
    return node("Quant", f"{x} one zero two", "y", domain="onnx.brevitas", signed=1, narrow=1)


def bipolar() -> Any:
    return node("BipolarQuant", "a one", "y", domain="onnx.brevitas")


def compare(proto: ModelProto, values: Array) -> None:
    """The graph on codes, without calibration, and the model in floats."""
    imported = import_onnx(proto)
    graph = Pipeline.parse(CompileOptions().passes()).run(imported, PassContext())
    assert float_nodes(graph) == ()
    assert sum(isinstance(n.op, Quantize) for n in graph.nodes) == 1
    inputs = {"x": np.resize(values, (-(-len(values) // 6), 2, 3)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(graph, inputs)["y"], evaluate(imported, inputs)["y"])


@pytest.mark.parametrize(("scale", "offset"), [(2, -1), (1, 0), (-2, 1), (2, 1 / 3)])
def test_few_codes(scale: float, offset: float) -> None:
    """At pixels and over a range without the thresholds themselves, which are ties."""
    values = np.concatenate([np.arange(256) / 255, np.linspace(-3.003, 3.001, 997)])
    reals = values.astype(np.float32) * np.float32(scale) + np.float32(offset)
    near = np.abs(np.abs(reals) - 0.5) < 1e-4
    compare(scaled(quant(), scale, offset), values[~near])


def test_thresholds_that_no_codes_have() -> None:
    """0 is a code, so that nothing switches at 0: such an input is calibrated."""
    imported = import_onnx(scaled(quant(), 0.5, 0.5))
    pipeline = Pipeline.parse(CompileOptions().passes())
    with pytest.raises(InputError, match="needs calibration data"):
        pipeline.run(imported, PassContext())


@pytest.mark.parametrize("threshold", [0.5, -0.5, 0.3, -0.7, 0.0])
@pytest.mark.parametrize("scale", [2.0, 1.0])
def test_signs_switch_exactly_at_the_threshold(threshold: float, scale: float) -> None:
    at = np.float32(threshold)
    below, above = np.nextafter(at, np.float32(-9)), np.nextafter(at, np.float32(9))
    values = np.concatenate([np.linspace(-2, 2, 331, dtype=np.float32), [at, above]])
    # Below 0 come numbers that the host divides away, and below others the model itself rounds.
    values = np.append(values, [np.float32(-1e-20)] if not threshold else [2 * below - at])
    proto = scaled(bipolar(), scale, -scale * float(at))
    away = (values == at) | (np.abs(values - at) > 1e-6)
    compare(proto, values[away])


def test_a_relu_in_between() -> None:
    proto = scaled(quant("r"), 2, -1, node("Relu", "a", "r"))
    compare(proto, np.arange(256) / 255)

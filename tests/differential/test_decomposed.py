"""Composite operators on the machine: equal to the quantized graph, and near onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto
from support.onnx_models import f32, i64, node, run_onnxruntime, weights
from support.whole_models import whole_model

from imcc.compiler.driver import compile_model
from imcc.compiler.ir import Array, evaluate
from imcc.compiler.options import CompileOptions
from imcc.runtime import Machine

SAMPLES = 8
IMAGE = (1, 8, 6, 6)


def recurrent(kind: str, gates: int, **attributes: Any) -> tuple[list[NodeProto], dict[str, Array]]:
    nodes = [
        node(kind, "x w r b", "all h", hidden_size=6, **attributes),
        node("Squeeze", "h a", "y"),
    ]
    constants = {
        "w": weights(1, gates * 6, 4) / 2,
        "r": weights(1, gates * 6, 6, seed=2) / 2,
        "b": weights(1, 2 * gates * 6, seed=3) / 2,
        "a": i64([0]),
    }
    return nodes, constants


LSTM = recurrent("LSTM", 4)
GRU = recurrent("GRU", 3, linear_before_reset=1)
KERNEL = {"w": weights(8, 4, 4, 4) / 4, "b": weights(4)}
UP = node("ConvTranspose", "x w b", "y", strides=[2, 2], pads=[1, 1, 1, 1])
SPREAD = node("ConvTranspose", "x w b", "y", strides=[2, 2], dilations=[2, 2])
LINEAR = node("Resize", "x _ s", "y", mode="linear")
NEAREST = node("Resize", "x _ s", "y", mode="nearest")
GROUPS = node("GroupNormalization", "x g h", "y", num_groups=2)
VECTORS = {"g": weights(8), "h": weights(8, seed=2)}
CAUSAL = [
    node("MatMul", "x w", "q"),
    node("Attention", "q x x", "y", is_causal=1, q_num_heads=2, kv_num_heads=2),
]
RATIO = [node("Softplus", "x", "s"), node("Add", "s k", "d"), node("Div", "x d", "y")]
GAPS = node("AveragePool", "x", "y", kernel_shape=[3, 2], dilations=[2, 3], pads=[2, 1, 0, 1])
RUNNING = node("CumSum", "x a", "y", reverse=1, exclusive=1)
POWERS = [node("Abs", "x", "a"), node("Pow", "a k", "y")]
GELU = [node("Erf", "x", "e"), node("Add", "e k", "f"), node("Mul", "f x", "y")]


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("last", [0, 1])
def test_positions_are_exact_however_few_bits_values_have(bits: int, last: int) -> None:
    """Of 250 whole numbers up to 15 many are the largest."""
    op = node("ArgMax", "x", "y", axis=1, select_last_index=last)
    proto = whole_model([op], {"x": np.zeros((1, 250), np.float32)})
    x = np.random.default_rng(1).integers(0, 16, (SAMPLES, 250)).astype(np.float32)
    program = compile_model(proto, "isaac", CompileOptions(activation_bits=bits), {"x": x}).program
    assert program.hosts == ()
    expected = [run_onnxruntime(proto, {"x": row[None]})[0][0] for row in x]
    found = Machine(program).run({"x": x})["y"]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64


@pytest.mark.parametrize("target", ["isaac", "dcim22"])
@pytest.mark.parametrize(
    ("nodes", "shape", "constants", "decibels"),
    [
        ([UP], IMAGE, KERNEL, 33),
        ([SPREAD], IMAGE, KERNEL, 33),
        ([LINEAR], IMAGE, {"s": f32([1, 1, 1.5, 2])}, 33),
        ([NEAREST], IMAGE, {"s": f32([1, 1, 1.5, 2])}, 35),
        ([GROUPS], IMAGE, VECTORS, 35),
        (LSTM[0], (5, 1, 4), LSTM[1], 28),
        (GRU[0], (5, 1, 4), GRU[1], 28),
        (CAUSAL, (1, 5, 16), {"w": weights(16, 16) / 4}, 30),
        (GELU, IMAGE, {"k": f32(1)}, 35),
        (RATIO, IMAGE, {"k": f32(0.5)}, 33),
        ([GAPS], IMAGE, {}, 33),
        ([RUNNING], IMAGE, {"a": i64(2)}, 33),
        (POWERS, (1, 4), {"k": f32([1, 2, 0.5, 1])}, 33),
    ],
    ids=[
        *("up", "spread", "linear", "nearest", "groups", "lstm", "gru", "causal", "gelu"),
        *("ratio", "gaps", "running", "powers"),
    ],
)
def test_machine_is_the_graph_and_near_the_float_model(
    nodes: list[NodeProto],
    shape: tuple[int, ...],
    constants: Mapping[str, Array],
    decibels: float,
    target: str,
) -> None:
    proto = whole_model(nodes, {"x": np.zeros(shape, np.float32)}, constants, opset=23)
    x = weights(SAMPLES, *shape, seed=7)
    batch = x.reshape(SAMPLES, *shape[1:]) if shape[0] == 1 else x
    compilation = compile_model(proto, target, calibration_choice={"x": batch})
    found = Machine(compilation.program).run({"x": batch})
    expected = evaluate(compilation.quantized, {"x": batch})
    np.testing.assert_array_equal(found["y"], expected["y"])
    floats = np.stack([run_onnxruntime(proto, {"x": sample})[0] for sample in x])
    error = expected["y"].reshape(floats.shape) - floats
    assert 10 * np.log10(np.square(floats).sum() / np.square(error).sum()) > decibels

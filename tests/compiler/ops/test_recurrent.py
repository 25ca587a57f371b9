"""Recurrent layers against onnxruntime, in all their forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.errors import UnsupportedError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, OpError, TensorType, evaluate
from imcc.compiler.ir.ops.recurrent import RNN, Activation, Nonlinearity
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=40, deadline=None)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
RESULTS = {"RNN": "y h", "GRU": "y h", "LSTM": "y h c"}
DIRECTIONS = st.sampled_from(["forward", "reverse", "bidirectional"])
STEPS, BATCH, SIZE, HIDDEN = 4, 3, 2, 5


def operands(kind: str, directions: int, names: str) -> dict[str, Array]:
    rows = GATES[kind] * HIDDEN
    shapes = {
        "x": (STEPS, BATCH, SIZE),
        "w": (directions, rows, SIZE),
        "r": (directions, rows, HIDDEN),
        "bias": (directions, 2 * rows),
        "h0": (directions, BATCH, HIDDEN),
        "c0": (directions, BATCH, HIDDEN),
        "p": (directions, 3 * HIDDEN),
    }
    found = {
        name: weights(*shapes[name], seed=index) / 2
        for index, name in enumerate(names.split())
        if name in shapes
    }
    if "lengths" in names:
        found["lengths"] = np.array([2, STEPS, 1], np.int32)
    return found


def check(kind: str, direction: str, names: str, **attributes: Any) -> None:
    inputs = operands(kind, 2 if direction == "bidirectional" else 1, names)
    layer = node(kind, names, RESULTS[kind], hidden_size=HIDDEN, direction=direction, **attributes)
    proto = whole_model([layer], inputs, outputs=RESULTS[kind], opset=14)
    assert_whole_matches(proto, inputs, rtol=1e-4)


@FEW
@given(
    st.sampled_from(["RNN", "GRU", "LSTM"]),
    DIRECTIONS,
    st.sampled_from(
        ["x w r", "x w r bias", "x w r bias lengths", "x w r bias lengths h0", "x w r _ _ h0"]
    ),
)
def test_layers(kind: str, direction: str, names: str) -> None:
    check(kind, direction, names)


@FEW
@given(DIRECTIONS, st.booleans())
def test_lstm(direction: str, couple: bool) -> None:
    names = "x w r bias lengths h0 c0 p"
    check("LSTM", direction, names, input_forget=int(couple))


@FEW
@given(DIRECTIONS, st.booleans())
def test_gru(direction: str, linear: bool) -> None:
    check("GRU", direction, "x w r bias", linear_before_reset=int(linear))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_clip(kind: str) -> None:
    check(kind, "forward", "x w r bias", clip=0.3)


@pytest.mark.parametrize(
    ("name", "alpha", "beta"),
    [
        ("Relu", None, None),
        ("Tanh", None, None),
        ("Sigmoid", None, None),
        ("Affine", 0.5, 0.25),
        ("LeakyRelu", 0.1, None),
        ("ThresholdedRelu", 0.2, None),
        ("ScaledTanh", 0.7, 0.4),
        ("HardSigmoid", 0.3, 0.4),
        ("Elu", 0.6, None),
        ("Softsign", None, None),
        ("Softplus", None, None),
    ],
)
def test_activations(name: str, alpha: float | None, beta: float | None) -> None:
    attributes: dict[str, Any] = {"activations": [name]}
    if alpha is not None:
        attributes["activation_alpha"] = [alpha]
    if beta is not None:
        attributes["activation_beta"] = [beta]
    check("RNN", "forward", "x w r bias", **attributes)


def test_samples_first() -> None:
    """onnxruntime has no layout 1: the same numbers, in another order."""
    inputs = operands("LSTM", 1, "x w r bias h0 c0")
    names = "x w r bias _ h0 c0"
    steps_first = node("LSTM", names, "y h c", hidden_size=HIDDEN)
    samples_first = node("LSTM", names, "y h c", hidden_size=HIDDEN, layout=1)
    expected = evaluate(
        import_onnx(whole_model([steps_first], inputs, outputs="y h c"), batched=False), inputs
    )
    turned = dict(inputs)
    for name in ("x", "h0", "c0"):
        turned[name] = np.ascontiguousarray(inputs[name].swapaxes(0, 1))
    found = evaluate(
        import_onnx(whole_model([samples_first], turned, outputs="y h c"), batched=False), turned
    )
    np.testing.assert_array_equal(found["y"], expected["y"].transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(found["h"], expected["h"].swapaxes(0, 1))
    np.testing.assert_array_equal(found["c"], expected["c"].swapaxes(0, 1))


def test_unknown_activations_are_refused() -> None:
    inputs = operands("RNN", 1, "x w r")
    layer = node("RNN", "x w r", "y", hidden_size=HIDDEN, activations=["Sine"])
    with pytest.raises(UnsupportedError, match="activation 'Sine'"):
        import_onnx(whole_model([layer], inputs), batched=False)


def test_operands_are_checked() -> None:
    tanh = (Activation(Nonlinearity.TANH),)
    x, w = TensorType(DType.F32, (4, 3, 2)), TensorType(DType.F32, (1, 5, 2))
    with pytest.raises(OpError, match=r"recurrent weights have shape \[1, 5, 2\]"):
        RNN(5, tanh).infer([x, w, w])
    with pytest.raises(OpError, match="2 activations, needed are 1"):
        RNN(5, tanh * 2).infer([x, w, TensorType(DType.F32, (1, 5, 5))])
    assert RNN(5, tanh).batch_problem([x, w, w])
    assert not RNN(5, tanh, batch_first=True).batch_problem([x, w, w])

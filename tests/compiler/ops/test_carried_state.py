"""Operators that carry a state: a sequence in parts gives what it gives as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from support.onnx_models import i64, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.errors import CompileError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, OpError, TensorType, evaluate
from imcc.compiler.ir.ops.carried_state import (
    CacheUpdate,
    CausalConv,
    LinearAttention,
    StateOperand,
)
from imcc.compiler.ir.types import DType

STATE, DECAY, RATE = StateOperand


def test_linear_attention_without_decay_sums_over_the_past() -> None:
    q, k, v = (weights(2, 5, 3, seed=seed) for seed in range(3))
    y, state = LinearAttention(1, 1, scale=1.0).evaluate([q, k, v], [])
    scores = np.tril(np.einsum("nte,nse->nts", q, k))
    np.testing.assert_allclose(y, scores @ v, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state[:, 0], np.einsum("nte,ntf->nef", k, v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("given", [(), (DECAY,), (RATE,), (DECAY, RATE)])
def test_linear_attention_in_two_parts(given: tuple[StateOperand, ...]) -> None:
    q, k, v = weights(2, 6, 4 * 3), weights(2, 6, 2 * 3, seed=1), weights(2, 6, 2 * 5, seed=2)
    parameters = [weights(2, 6, 2, seed=3 + index) for index in range(len(given))]

    def run(part: slice, names: tuple[StateOperand, ...], *past: Array) -> tuple[Array, ...]:
        arrays = [array[:, part] for array in (q, k, v)]
        rest = [array[:, part] for array in parameters]
        return LinearAttention(4, 2, names).evaluate([*arrays, *past, *rest], [])

    whole, last = run(slice(0, 6), given)
    first, state = run(slice(0, 4), given)
    second, end = run(slice(4, 6), (STATE, *given), state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-5)
    np.testing.assert_allclose(end, last, rtol=1e-5)


def test_the_rule_names_the_operands() -> None:
    inputs = {name: weights(1, 2, 4) for name in "qkv"}
    attend = node(
        "LinearAttention", "q k v", "y", q_num_heads=1, kv_num_heads=1, update_rule="delta"
    )
    with pytest.raises(CompileError, match="takes rate"):
        import_onnx(whole_model([attend], inputs, opset=27), batched=False)


@pytest.mark.parametrize("silu", [False, True])
def test_causal_conv(silu: bool) -> None:
    inputs = {"x": weights(2, 3, 7), "w": weights(3, 1, 4, seed=1), "b": weights(3, seed=2)}
    layers = [node("Conv", "x w b", "c" if silu else "y", group=3, pads=[3, 0])]
    if silu:
        layers += [node("Sigmoid", "c", "s"), node("Mul", "c s", "y")]
    proto = whole_model(layers, inputs)
    assert_whole_matches(proto, inputs)
    expected = evaluate(import_onnx(proto, batched=False), inputs)["y"]
    activation = "silu" if silu else "none"
    causal = node("CausalConvWithState", "x w b", "y", activation=activation)
    graph = import_onnx(whole_model([causal], inputs, opset=27), batched=False)
    np.testing.assert_allclose(evaluate(graph, inputs)["y"], expected, rtol=1e-5, atol=1e-6)


def test_causal_conv_in_two_parts() -> None:
    x, w, bias = weights(2, 3, 7), weights(3, 1, 4, seed=1), weights(3, seed=2)
    nothing = np.zeros((2, 3, 3), np.float32)
    whole, last = CausalConv().evaluate([x, w, bias, nothing], [])
    first, state = CausalConv().evaluate([x[:, :, :2], w, bias, nothing], [])
    second, end = CausalConv().evaluate([x[:, :, 2:], w, bias, state], [])
    np.testing.assert_allclose(np.concatenate([first, second], axis=2), whole, rtol=1e-6)
    np.testing.assert_array_equal(end, last)


def test_cache_update() -> None:
    cache, new = np.zeros((2, 4, 1), np.float32), np.ones((2, 2, 1), np.float32)
    (linear,) = CacheUpdate(1).evaluate([cache, new, i64([0, 2])], [])
    assert linear[:, :, 0].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    (circular,) = CacheUpdate(1, circular=True).evaluate([cache, new, i64([3, 1])], [])
    assert circular[:, :, 0].tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]
    with pytest.raises(ArithmeticError, match="places up to 4 in a cache of 4"):
        CacheUpdate(1).evaluate([cache, new, i64([0, 3])], [])


def test_operands_are_checked() -> None:
    x, vector = TensorType(DType.F32, (1, 2, 4)), TensorType(DType.F32, (2,))
    with pytest.raises(OpError, match="must be a multiple"):
        LinearAttention(3, 2).infer([x, x, x])
    with pytest.raises(OpError, match="the decay has shape"):
        LinearAttention(1, 1, (DECAY,)).infer([x, x, x, vector])
    with pytest.raises(OpError, match="k - 1 elements"):
        CausalConv().infer([x, TensorType(DType.F32, (2, 1, 3)), vector, x])
    with pytest.raises(OpError, match="cannot be written"):
        CacheUpdate(1).infer([x, TensorType(DType.F32, (1, 3, 4)), vector])

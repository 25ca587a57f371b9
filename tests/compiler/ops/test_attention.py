"""Attention and rotary embeddings against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import i64, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.ir import Array, OpError, TensorType
from imcc.compiler.ir.ops.attention import Attention, AttentionOperand, RotaryEmbedding
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=40, deadline=None)
QUERIES, KEYS, SIZE = 4, 6, 8


def heads(count: int, length: int, size: int = SIZE, seed: int = 0) -> Array:
    return weights(2, count, length, size, seed=seed)


def check(inputs: dict[str, Array], names: str, outputs: str = "y", **attributes: Any) -> None:
    attend = node("Attention", names, outputs, **attributes)
    kept = " ".join(name for name in outputs.split() if name != "_")
    proto = whole_model([attend], inputs, outputs=kept, opset=23)
    assert_whole_matches(proto, inputs, rtol=1e-4)


@FEW
@given(
    st.sampled_from([1, 3]),
    st.booleans(),
    st.sampled_from([0.0, 2.0]),
    st.sampled_from(["", "float", "bool"]),
    st.sampled_from([None, 0.1]),
)
def test_heads(groups: int, causal: bool, cap: float, mask: str, scale: float | None) -> None:
    inputs = {
        "q": heads(3, QUERIES),
        "k": heads(3 // groups, KEYS, seed=1),
        "v": heads(3 // groups, KEYS, 5, seed=2),
    }
    if mask:
        bias = weights(QUERIES, KEYS, seed=3)
        inputs["m"] = bias > -1 if mask == "bool" else bias
        inputs["m"][:, 0] = True if mask == "bool" else 0  # no query sees nothing
    attributes: dict[str, Any] = {"is_causal": int(causal), "softcap": cap}
    if scale is not None:
        attributes["scale"] = scale
    check(inputs, " ".join(inputs), **attributes)


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_packed_heads(key_heads: int) -> None:
    inputs = {
        "q": weights(2, QUERIES, 4 * SIZE),
        "k": weights(2, KEYS, key_heads * SIZE, seed=1),
        "v": weights(2, KEYS, key_heads * 6, seed=2),
    }
    check(inputs, "q k v", q_num_heads=4, kv_num_heads=key_heads)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_scores(mode: int) -> None:
    inputs = {"q": heads(2, QUERIES), "k": heads(2, KEYS, seed=1), "v": heads(2, KEYS, seed=2)}
    attend = node("Attention", "q k v", "y", qk_matmul_output_mode=mode)
    attend.output.extend(["", "", "s"])
    proto = whole_model([attend], inputs, outputs="y s", opset=23)
    assert_whole_matches(proto, inputs, rtol=1e-4)


def test_past() -> None:
    inputs = {
        "q": heads(2, QUERIES),
        "k": heads(2, QUERIES, seed=1),
        "v": heads(2, QUERIES, seed=2),
        "pk": heads(2, 3, seed=3),
        "pv": heads(2, 3, seed=4),
    }
    check(inputs, "q k v _ pk pv", "y tk tv")


def test_a_query_that_sees_nothing_yields_zero() -> None:
    q = heads(1, 2)
    mask = np.array([[True, True], [False, False]])
    op = Attention((AttentionOperand.MASK,))
    (y,) = op.evaluate([q, q, q, mask], [])
    assert not y[:, :, 1].any()
    assert y[:, :, 0].all()


def test_window() -> None:
    q, k, v = heads(1, 5), heads(1, 5, seed=1), heads(1, 5, seed=2)
    (windowed,) = Attention(left=1, right=0).evaluate([q, k, v], [])
    place = np.arange(5)
    ahead = place - place[:, None]
    mask = (ahead <= 0) & (ahead >= -1)
    (masked,) = Attention((AttentionOperand.MASK,)).evaluate([q, k, v, mask], [])
    np.testing.assert_array_equal(windowed, masked)


def test_valid_keys_hide_the_rest() -> None:
    q, k, v = heads(1, 3), heads(1, 6, seed=1), heads(1, 6, seed=2)
    op = Attention((AttentionOperand.VALID_KEYS,))
    (found,) = op.evaluate([q, k, v, i64([4, 6])], [])
    (first,) = Attention().evaluate([q[:1], k[:1, :, :4], v[:1, :, :4]], [])
    np.testing.assert_allclose(found[:1], first, rtol=1e-6)


def test_operands_are_checked() -> None:
    q, k = TensorType(DType.F32, (1, 3, 4, 8)), TensorType(DType.F32, (1, 2, 6, 8))
    with pytest.raises(OpError, match="multiple of key heads"):
        Attention().infer([q, k, k])
    with pytest.raises(OpError, match="come together"):
        Attention((AttentionOperand.PAST_KEY,)).infer([q, q, q, q])
    mask = TensorType(DType.F32, (3, 4))
    with pytest.raises(OpError, match="does not broadcast"):
        Attention((AttentionOperand.MASK,)).infer([q, q, q, mask])


@FEW
@given(st.booleans(), st.sampled_from([0, 4]), st.booleans())
def test_rotary_embedding(interleaved: bool, rotated: int, packed: bool) -> None:
    half = (rotated or SIZE) // 2
    x = weights(2, 5, 3 * SIZE) if packed else weights(2, 3, 5, SIZE)
    angles = weights(10, half, seed=1)
    inputs = {
        "x": x,
        "cos": np.cos(angles),
        "sin": np.sin(angles),
        "p": i64([0, 1, 2, 3, 4, 9, 8, 7, 6, 5]).reshape(2, 5),
    }
    attributes: dict[str, Any] = {"interleaved": int(interleaved)}
    if rotated or packed:
        attributes["num_heads"] = 3
        attributes["rotary_embedding_dim"] = rotated
    rotate = node("RotaryEmbedding", "x cos sin p", "y", **attributes)
    assert_whole_matches(whole_model([rotate], inputs, opset=23), inputs)


def test_a_rotation_keeps_lengths() -> None:
    x, angles = weights(1, 2, 5, 8), weights(1, 5, 4, seed=1)
    op = RotaryEmbedding()
    (y,) = op.evaluate([x, np.cos(angles), np.sin(angles)], [])
    np.testing.assert_allclose((y**2).sum(axis=-1), (x**2).sum(axis=-1), rtol=1e-5)
    with pytest.raises(OpError, match="do not fit"):
        op.infer([TensorType(DType.F32, shape) for shape in ((1, 2, 5, 8), (1, 5, 3), (1, 5, 3))])

"""Operators that onnxruntime's optimizer writes, against onnxruntime itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from support.onnx_models import model, node, run_onnxruntime, weights

from imcc.compiler.errors import UnsupportedError
from imcc.compiler.frontend import import_for_compilation, import_onnx
from imcc.compiler.ir import Array, evaluate


def fused(op_type: str, inputs: str, outputs: str, **attributes: Any) -> list[Any]:
    return [node(op_type, inputs, outputs, domain="com.microsoft", **attributes)]


def with_domain(
    nodes: list[Any], shape: tuple[int, ...], constants: Mapping[str, Array], outputs: str = "y"
) -> ModelProto:
    proto = model(nodes, {"x": shape}, constants, outputs=outputs, opset=14)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return proto


def assert_equals_onnxruntime(proto: ModelProto, *, atol: float = 1e-5) -> None:
    """Both in the form for compiling and in the form that may mix samples."""
    shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    element = proto.graph.input[0].type.tensor_type.elem_type
    x = weights(*shape, seed=7)
    if element != TensorProto.FLOAT:
        x = np.arange(np.prod(shape), dtype=np.int64).reshape(shape) % 5
    expected = run_onnxruntime(proto, {"x": x})
    found = evaluate(import_onnx(proto, batched=False), {"x": x})
    for array, name in zip(expected, (o.name for o in proto.graph.output), strict=True):
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=atol)
    assert import_for_compilation(proto).graph.nodes


@pytest.mark.parametrize(
    ("activation", "parameters"),
    [("Relu", []), ("Clip", [-0.5, 0.7]), ("LeakyRelu", [0.3]), ("HardSigmoid", [0.3, 0.4])],
)
def test_fused_conv(activation: str, parameters: list[float]) -> None:
    constants = {"w": weights(4, 3, 3, 3), "b": weights(4)}
    attributes: dict[str, Any] = {"activation_params": parameters} if parameters else {}
    nodes = fused("FusedConv", "x w b", "y", activation=activation, pads=[1, 1, 1, 1], **attributes)
    assert_equals_onnxruntime(with_domain(nodes, (1, 3, 6, 6), constants))


def test_fused_conv_with_a_sum() -> None:
    constants = {"w": weights(3, 3, 1, 1), "b": weights(3)}
    nodes = fused("FusedConv", "x w b x", "y", activation="Relu")
    assert_equals_onnxruntime(with_domain(nodes, (1, 3, 5, 5), constants))


def test_fused_gemm() -> None:
    constants = {"w": weights(6, 4), "b": weights(6)}
    nodes = fused(
        "FusedGemm", "x w b", "y", transB=1, alpha=0.5, activation="LeakyRelu", activation_alpha=0.2
    )
    assert_equals_onnxruntime(with_domain(nodes, (1, 4), constants))


@pytest.mark.parametrize(("left", "right"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_fused_matmul(left: int, right: int) -> None:
    """One operand constant, then both computed."""
    matrix = weights(6, 4) if right else weights(4, 6)
    nodes = fused("FusedMatMul", "x w", "y", transA=left, transB=right, alpha=0.25)
    shape = (1, 4, 5) if left else (1, 5, 4)
    assert_equals_onnxruntime(with_domain(nodes, shape, {"w": matrix}))
    twice = fused("FusedMatMul", "x x", "y", transA=left, transB=1 - left, alpha=0.125)
    assert_equals_onnxruntime(with_domain(twice, (1, 2, 4, 5), {}))


@pytest.mark.parametrize(
    ("op_type", "operands"),
    [
        ("Gelu", "x"),
        ("BiasGelu", "x b"),
        ("FastGelu", "x"),
        ("FastGelu", "x b"),
        ("QuickGelu", "x"),
    ],
)
def test_gelus(op_type: str, operands: str) -> None:
    proto = with_domain(fused(op_type, operands, "y"), (1, 3, 8), {"b": weights(8)})
    assert_equals_onnxruntime(proto, atol=1e-4)


@pytest.mark.parametrize("operands", ["x s g b c", "x s g b", "x s g"])
def test_skip_layer_normalization(operands: str) -> None:
    names = {"s": weights(1, 3, 8, seed=2), "g": weights(8), "b": weights(8), "c": weights(8)}
    constants = {name: names[name] for name in operands.split()[1:]}
    nodes = fused("SkipLayerNormalization", operands, "y _ _ t", epsilon=1e-3)
    nodes[0].output[1:3] = ["", ""]
    proto = with_domain(nodes, (1, 3, 8), constants, outputs="y t")
    assert_equals_onnxruntime(proto)


def test_skip_simplified_layer_normalization() -> None:
    constants = {"s": weights(1, 3, 8, seed=2), "g": weights(8)}
    nodes = fused("SkipSimplifiedLayerNormalization", "x s g", "y", epsilon=1e-3)
    assert_equals_onnxruntime(with_domain(nodes, (1, 3, 8), constants))


def test_simplified_layer_normalization() -> None:
    nodes = [node("SimplifiedLayerNormalization", "x g", "y", epsilon=1e-3, axis=-1)]
    assert_equals_onnxruntime(with_domain(nodes, (1, 3, 8), {"g": weights(8)}))


def test_embed_layer_normalization() -> None:
    constants = {
        "words": weights(7, 8),
        "places": weights(6, 8, seed=2),
        "kinds": weights(2, 8, seed=3),
        "g": weights(8),
        "b": weights(8),
        "segments": np.array([[0, 0, 1, 1]], np.int32),
    }
    cast = node("Cast", "x", "ids", to=TensorProto.INT32)
    nodes = fused("EmbedLayerNormalization", "ids segments words places kinds g b", "y m")
    proto = model([cast, *nodes], {"x": (1, 4)}, constants, input_type=TensorProto.INT64)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert_equals_onnxruntime(proto)


@pytest.mark.parametrize(
    ("bits", "zeros"), [(4, "none"), (4, "codes"), (4, "floats"), (8, "none"), (8, "codes")]
)
def test_matmul_nbits(bits: int, zeros: str) -> None:
    random, (inner, columns, block) = np.random.default_rng(bits), (40, 6, 16)
    blocks = -(-inner // block)
    packed = random.integers(0, 256, (columns, blocks, block * bits // 8), np.uint8)
    constants: dict[str, Array] = {"w": packed}
    constants["s"] = random.uniform(0.01, 0.1, columns * blocks).astype(np.float32)
    if zeros == "codes":
        constants["z"] = random.integers(0, 256, (columns, -(-blocks * bits // 8)), np.uint8)
    elif zeros == "floats":
        constants["z"] = random.uniform(3, 12, (columns, blocks)).astype(np.float32)
    operands = "x w s" if zeros == "none" else "x w s z"
    nodes = fused("MatMulNBits", operands, "y", K=inner, N=columns, bits=bits, block_size=block)
    assert_equals_onnxruntime(with_domain(nodes, (1, 3, inner), constants), atol=1e-4)


def test_forms_without_a_meaning_are_reported() -> None:
    nodes = fused("FusedMatMul", "x w", "y", transBatchA=1)
    with pytest.raises(UnsupportedError, match=r"com\.microsoft::FusedMatMul is not"):
        import_onnx(with_domain(nodes, (1, 3, 4), {"w": weights(4, 5)}))

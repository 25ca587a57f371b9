"""Constants that a model holds as codes: what DequantizeLinear and QuantizeLinear make of them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto
from support.exported import Exported
from support.onnx_models import assert_matches

from imcc.compiler.errors import InputError
from imcc.compiler.frontend import import_onnx


def blocks(block: int, count: int) -> ModelProto:
    """A product with int4 weights ``[32, 10]`` that have `count` scales along the inner axis."""
    net = Exported(13)
    codes = net.constant(net.random.integers(-8, 8, (32, 10)), TensorProto.INT4)
    scales = net.constant(net.random.uniform(0.02, 0.04, (count, 10)).astype(np.float32))
    zeros = net.constant(net.random.integers(-2, 3, (count, 10)), TensorProto.INT4)
    w = net.add("DequantizeLinear", codes, scales, zeros, axis=0, block_size=block)
    return net.model(net.add("MatMul", "x", w), (32,), 21)


@pytest.mark.parametrize(("block", "count"), [(16, 2), (10, 4), (1 << 40, 1)])
def test_blocks(block: int, count: int) -> None:
    """The last block may be shorter, and is no longer than the axis whatever it claims."""
    assert_matches(blocks(block, count))


@pytest.mark.parametrize(("block", "count"), [(16, 3), (-3, 2)])
def test_blocks_that_do_not_fit(block: int, count: int) -> None:
    with pytest.raises(InputError, match=f"do not fit blocks of {block} along axis 0"):
        import_onnx(blocks(block, count))


@pytest.mark.parametrize(("element", "dtype"), [("INT4", "i1"), ("UINT4", "u1")])
@pytest.mark.parametrize("by_attribute", [False, True])
def test_quantizer_to_4_bits_saturates(element: str, dtype: str, by_attribute: bool) -> None:
    net, code = Exported(2), TensorProto.DataType.Value(element)
    params = net.params(0.2, None if by_attribute else 1, dtype, element=code)
    options = {"output_dtype": code} if by_attribute else {}
    w = net.dequantize(net.quantize(net.floats(16, 8, scale=2.0), params, **options), params)
    assert_matches(net.model(net.add("MatMul", "x", w), (16,), 21))

"""Products, look-ups and inputs that are computed, with samples apart, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from support.onnx_models import Shape, i64, model, node, run_onnxruntime, weights

from imcc.compiler.errors import UnsupportedError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, evaluate, verify


def expect_same(proto: ModelProto, inputs: dict[str, Array]) -> list[str]:
    """Import with a batch axis, compare with onnxruntime, and give the operators."""
    graph = import_onnx(proto)
    verify(graph)
    assert graph.batched
    (expected,), found = run_onnxruntime(proto, inputs), evaluate(graph, inputs)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return [n.op.name for n in graph.nodes]


def reals(**shapes: tuple[int, ...]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def test_product_of_two_computed_operands() -> None:
    inputs: dict[str, Shape] = {"a": ["N", 2, 3, 4], "b": ["N", 1, 4, 5]}
    proto = model([node("MatMul", "a b", "y")], inputs)
    assert expect_same(proto, reals(a=(3, 2, 3, 4), b=(3, 1, 4, 5))) == ["matrix_product"]


def test_products_that_mix_samples_are_refused() -> None:
    proto = model([node("MatMul", "a b", "y")], {"a": ["N", 4], "b": [4, 5]})
    with pytest.raises(UnsupportedError, match="of computed operands with 2 and 2 axes"):
        import_onnx(proto)


def test_elements_by_constant_indices() -> None:
    proto = model([node("Gather", "x k", "y", axis=2)], {"x": ["N", 3, 5]}, {"k": i64([4, 0, -2])})
    assert expect_same(proto, reals(x=(2, 3, 5))) == ["gather"]


def test_samples_are_not_chosen_by_index() -> None:
    proto = model([node("Gather", "x k", "y", axis=0)], {"x": ["N", 3, 5]}, {"k": i64([0])})
    with pytest.raises(UnsupportedError, match="along axis 0, which is the batch"):
        import_onnx(proto)


@pytest.mark.parametrize("element", [TensorProto.INT32, TensorProto.INT64])
def test_rows_by_integer_inputs(element: int) -> None:
    graph = helper.make_graph(
        [node("Gather", "table ids", "y")],
        "test",
        [helper.make_tensor_value_info("ids", element, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, 3])],
        [numpy_helper.from_array(weights(7, 3), "table")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ids = np.random.default_rng(1).integers(-7, 7, (5, 4))
    ids = ids.astype(helper.tensor_dtype_to_np_dtype(element))
    assert expect_same(proto, {"ids": ids}) == ["embedding"]

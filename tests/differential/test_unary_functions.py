"""Functions of one element: imported, put in tables, compiled, and equal to onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from imcc.compiler.data import random_samples
from imcc.compiler.driver import compile_model
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.machine import program_inputs

FUNCTIONS: dict[str, dict[str, Any]] = {
    "Elu": {"alpha": 0.7},
    "Selu": {},
    "Celu": {"alpha": 1.5},
    "Gelu": {},
    "Mish": {},
    "Softplus": {},
    "Softsign": {},
    "ThresholdedRelu": {"alpha": 0.3},
    "Shrink": {"lambd": 0.4, "bias": 0.1},
    "Erf": {},
    "Exp": {},
    "Abs": {},
    "Neg": {},
    "Sin": {},
    "Atan": {},
    "HardSwish": {},
}


def network(op_type: str, attributes: dict[str, Any]) -> onnx.ModelProto:
    """A convolution, the function, and a fully connected layer."""
    rng = np.random.default_rng(7)
    shapes = {"w1": (4, 2, 3, 3), "b1": (4,), "w2": (3, 4 * 36), "b2": (3,)}
    arrays = {
        name: (rng.standard_normal(shape) / 5).astype(np.float32) for name, shape in shapes.items()
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node(op_type, ["c"], ["f"], name="function", **attributes),
        helper.make_node("Flatten", ["f"], ["v"], name="flatten"),
        helper.make_node("Gemm", ["v", "w2", "b2"], ["y"], name="gemm", transB=1),
    ]
    shape: list[str | int | None] = ["N", 2, 6, 6]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


@pytest.mark.parametrize("op_type", FUNCTIONS)
def test_function_on_the_machine(op_type: str) -> None:
    model = network(op_type, FUNCTIONS[op_type])
    compilation = compile_model(model.SerializeToString(), "isaac", None, "random")
    samples = random_samples(program_inputs(compilation.program), 1, 16)
    result = verify_program(compilation.program, model.SerializeToString(), samples)
    # HardSwish has a float kernel in onnxruntime; all others are exported as tables.
    assert all(c.required for c in result.comparisons) == (op_type != "HardSwish")
    assert [comparison.differences for comparison in result.comparisons] == [0, 0, 0, 0]
    assert result.sqnr is not None
    assert result.sqnr > 25

"""Imports for compiling: batched where that is possible, else whole with batch 1."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.command_line import MODELS
from support.onnx_models import model, node
from support.sample_models import random_weights, time_first, window_attention, word_bags

from imcc.compiler.errors import InputError, UnsupportedError
from imcc.compiler.frontend import import_for_compilation, import_onnx
from imcc.compiler.index_limits import index_limits
from imcc.compiler.ir import Array, evaluate
from imcc.compiler.ir.ops.linear import MatMul
from imcc.compiler.ir.ops.quant import Dequantize, Quantize
from imcc.compiler.ir.ops.unary import Affine, Clip

ROLL = node("Transpose", "x", "t", perm=[1, 0])  # axis 0 of what follows is no batch


def test_a_model_with_a_batch_is_imported_as_before() -> None:
    found = import_for_compilation(MODELS / "fmnist_mlp.onnx")
    assert found.graph.same_as(import_onnx(MODELS / "fmnist_mlp.onnx"))
    assert found.notes == ()


def test_old_operator_sets_are_taken_where_nothing_has_changed() -> None:
    """Relu and Abs have been the same since operator set 6, Add has not."""
    relu = model([node("Relu", "x", "a"), node("Abs", "a", "y")], {"x": ["N", 4]}, opset=6)
    assert [n.op.name for n in import_for_compilation(relu).graph.nodes] == ["relu", "math"]
    add = model([node("Add", "x x", "y")], {"x": ["N", 4]}, opset=6)
    with pytest.raises(UnsupportedError, match="operator set 6 is not supported"):
        import_for_compilation(add)


def test_open_first_axes_get_extent_1() -> None:
    found = import_for_compilation(window_attention())
    assert found.graph.inputs[0].type.shape == (1, 8, 8, 8)
    assert not found.graph.batched
    (note,) = found.notes
    assert "Reshape to [-1, 16, 8] from [N,2,2,4,4,8] is not supported" in note


def test_other_open_axes_need_a_size() -> None:
    with pytest.raises(InputError, match=r"--dim N=\.\.\."):
        import_for_compilation(time_first())
    found = import_for_compilation(time_first(), dims={"N": 1})
    assert found.graph.inputs[0].type.shape == (4, 1, 5)
    found = import_for_compilation(time_first(), input_shapes={"x": (4, 1, 5)})
    assert found.graph.inputs[0].type.shape == (4, 1, 5)


def test_a_symbol_of_a_first_axis_has_one_size() -> None:
    proto = model([node("MatMul", "x z", "y")], {"x": ["N", 4], "z": [4, "N"]})
    shapes = [value.type.shape for value in import_for_compilation(proto).graph.inputs]
    assert shapes == [(1, 4), (4, 1)]


def test_first_axes_of_different_extents_are_no_batch() -> None:
    proto = model([node("MatMul", "x z", "y")], {"x": [3, 1, 2, 4], "z": [1, 2, 4, 2]})
    found = import_for_compilation(proto)
    assert [value.type.shape for value in found.graph.inputs] == [(3, 1, 2, 4), (1, 2, 4, 2)]
    (note,) = found.notes
    assert "the first axes of the inputs have different extents" in note


def test_given_shapes_must_fit_the_model() -> None:
    with pytest.raises(InputError, match=r"shape \[3, 1, 5, 1\] for input 'x' does not match"):
        import_for_compilation(time_first(), input_shapes={"x": (3, 1, 5, 1)})


def test_operators_take_the_form_that_the_compiler_knows_best() -> None:
    nodes = [
        ROLL,
        node("MatMul", "t w", "a"),
        node("Mul", "a half", "b"),
        node("Clip", "b zero half", "c"),
        node("Transpose", "c", "y", perm=[1, 0]),
    ]
    constants = {
        "w": random_weights(1, 3),
        "half": np.array(0.5, np.float32),
        "zero": np.array(0, np.float32),
    }
    graph = import_for_compilation(model(nodes, {"x": ["N", 4]}, constants)).graph
    assert not graph.batched
    kinds = [type(n.op) for n in graph.nodes]
    assert kinds[1:4] == [MatMul, Affine, Clip]


def test_codes_stay_codes_in_a_whole_graph() -> None:
    constants: dict[str, Array] = {
        "s": np.array(0.1, np.float32),
        "z": np.array(3, np.uint8),
        "c": np.ones((1, 2), np.int8),
    }
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Transpose", "d", "t", perm=[1, 0]),
        node("DequantizeLinear", "c s", "w"),
        node("MatMul", "t w", "a"),
        node("Transpose", "a", "y", perm=[1, 0]),
    ]
    graph = import_for_compilation(model(nodes, {"x": ["N", 4]}, constants)).graph
    kinds = [type(n.op) for n in graph.nodes]
    assert kinds.count(Dequantize) == 2
    assert kinds.count(Quantize) == 1


def test_problems_are_those_of_the_attempt_that_got_further() -> None:
    unknown = model([ROLL, node("Frobnicate", "t", "y", name="odd")], {"x": ["N", 4]})
    with pytest.raises(UnsupportedError) as caught:
        import_for_compilation(unknown)
    assert "operator Frobnicate is not supported" in str(caught.value)
    assert "perm" not in str(caught.value)
    broken = model([node("Relu", "x", "a"), node("Concat", "a z", "y", axis=1)],
                   {"x": ["N", 4], "z": ["N", 4, 2]})  # fmt: skip
    with pytest.raises(InputError) as wrong:
        import_for_compilation(broken)
    assert str(wrong.value).count("the operands of Concat do not fit") == 1


def test_outputs_need_an_input() -> None:
    nodes = [ROLL, node("Transpose", "t", "y", perm=[1, 0]), node("Relu", "w", "z")]
    with pytest.raises(UnsupportedError, match="output 'z' does not depend on any input"):
        import_for_compilation(
            model(nodes, {"x": ["N", 4]}, {"w": random_weights(2, 2)}, outputs="y z")
        )


def test_index_inputs_know_how_many_there_are() -> None:
    assert index_limits(import_for_compilation(word_bags()).graph) == {"ids": 20}


@pytest.mark.parametrize("condition", [False, True])
def test_weights_of_branches_are_their_own(condition: bool) -> None:
    """Weights of the model are read once for all attempts, by number; branches have others."""
    own = {name: np.full((4,), value, np.float32) for name, value in (("p", 2.0), ("q", 3.0))}
    branches = [
        helper.make_graph(
            [node("Mul", f"t {name}", "z")],
            name,
            [],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name)],
        )
        for name, array in own.items()
    ]
    nodes = [ROLL, node("If", "c", "i", then_branch=branches[0], else_branch=branches[1])]
    weights = {"c": np.array(condition), "w": np.full((4, 1), 5.0, np.float32)}
    proto = model([*nodes, node("Add", "i w", "y")], {"x": [4, 4]}, weights)
    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    found = import_for_compilation(proto).graph
    expected = x.T * (2 if condition else 3) + 5
    np.testing.assert_array_equal(evaluate(found, {"x": x})["y"], expected)

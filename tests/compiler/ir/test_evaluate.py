from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

import numpy as np
import pytest

from imcc.compiler.errors import InputError, VerificationError
from imcc.compiler.ir import (
    Array,
    DType,
    Graph,
    GraphBuilder,
    Op,
    TensorType,
    evaluate,
    evaluate_all,
)
from imcc.compiler.ir.ops.binary import Add, Mul
from imcc.compiler.ir.ops.linear import MatMul
from imcc.compiler.ir.ops.unary import Affine, Relu

RANDOM = np.random.default_rng(7)


def random(*shape: int) -> Array:
    return RANDOM.standard_normal(shape, np.float32)


def two_layers(w: Array) -> Graph:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, len(w))))
    hidden = builder.add(MatMul(), [x, builder.constant(w, "w")], "hidden")
    return builder.finish([builder.add(Relu(), [hidden], "y")], ["out"])


def test_a_batch_gives_what_numpy_gives() -> None:
    w, x = random(4, 3), random(5, 4)
    found = evaluate(two_layers(w), {"x": x}, keep=["hidden", "x", "w"])
    np.testing.assert_allclose(found["hidden"], x @ w, rtol=1e-5)
    np.testing.assert_array_equal(found["out"], np.maximum(found["hidden"], 0))
    assert found["x"] is x
    np.testing.assert_array_equal(found["w"], w)


def test_broadcasting_against_a_higher_rank_keeps_samples_apart() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, 4)))
    y = builder.input("y", TensorType(DType.F32, (1, 3, 4)))
    c = builder.constant(random(1, 2, 1), "c")
    both = builder.add(Add(), [x, y], "both")
    mixed = builder.add(Mul(), [x, c], "mixed")
    graph = builder.finish([both, mixed], ["both", "mixed"])
    arrays = {"x": random(5, 4), "y": random(5, 3, 4)}
    found = evaluate(graph, arrays)
    for i in range(5):
        np.testing.assert_array_equal(found["both"][i], arrays["x"][i] + arrays["y"][i])
        np.testing.assert_array_equal(
            found["mixed"][i : i + 1], arrays["x"][i : i + 1] * graph.constants["c"]
        )


def test_a_result_without_batch_axis_one_holds_sample_after_sample() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, 4)))
    tall = builder.add(Mul(), [x, builder.constant(random(2, 4), "c")], "tall")
    graph = builder.finish([builder.add(Relu(), [tall], "y")], ["y"])
    x_array = random(3, 4)
    found = evaluate(graph, {"x": x_array})["y"]
    expected = [np.maximum(x_array[i : i + 1] * graph.constants["c"], 0) for i in range(3)]
    np.testing.assert_array_equal(found, np.concatenate(expected))


def test_what_depends_on_no_input_is_repeated_for_each_sample() -> None:
    builder = GraphBuilder("net")
    builder.input("x", TensorType(DType.F32, (1, 4)))
    c = builder.constant(np.array([[1, -2]], np.float32), "c")
    y = builder.add(Relu(), [c], "y")
    found = evaluate(builder.finish([y, c], ["y", "c"]), {"x": random(3, 4)})
    np.testing.assert_array_equal(found["y"], np.array([[1, 0]] * 3))
    np.testing.assert_array_equal(found["c"], np.array([[1, -2]] * 3))


def test_an_input_may_be_an_output() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, 4)))
    x_array = random(2, 4)
    np.testing.assert_array_equal(
        evaluate(builder.finish([x], ["same"]), {"x": x_array})["same"], x_array
    )


def test_arrays_are_freed_after_their_last_use() -> None:
    builder = GraphBuilder("net")
    value = builder.input("x", TensorType(DType.F32, (1, 4)))
    for index in range(6):
        value = builder.add(Affine(2.0, 1.0), [value], f"v{index}")
    graph = builder.finish([value], ["y"])
    alive = []
    for _, (result,) in evaluate_all(graph, {"x": random(2, 4)}):
        alive.append(ref(result))
        del result
        assert sum(array() is not None for array in alive) <= 3
    assert len(alive) == 6


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"graph 'net' has the inputs \['x'\], missing: \['x'\], unknown: \[\]"),
        ({"x": random(1, 4), "z": random(1, 4)}, r"missing: \[\], unknown: \['z'\]"),
        ({"x": np.ones((2, 4))}, "input 'x' must be float32, found float64"),
        ({"x": random(2, 5)}, r"input 'x' must have shape \[B, 4\] .* found \[2, 5\]"),
        ({"x": random(4)}, r"input 'x' must have shape \[B, 4\] .* found \[4\]"),
        ({"x": random(0, 4)}, r"with B >= 1 samples, found \[0, 4\]"),
    ],
)
def test_inputs_are_checked(inputs: dict[str, Array], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(two_layers(random(4, 3)), inputs)


def test_inputs_have_the_same_number_of_samples() -> None:
    builder = GraphBuilder("net")
    type_ = TensorType(DType.F32, (1, 4))
    total = builder.add(Add(), [builder.input("a", type_), builder.input("b", type_)], "y")
    graph = builder.finish([total], ["y"])
    with pytest.raises(InputError, match="same number of samples, found 'a': 2, 'b': 1"):
        evaluate(graph, {"a": random(2, 4), "b": random(1, 4)})


def test_kept_names_must_exist() -> None:
    with pytest.raises(InputError, match=r"graph 'net' has no values named \['hiden'\]"):
        evaluate(two_layers(random(4, 3)), {"x": random(1, 4)}, keep=["hiden"])


class Liar(Op):
    """Says float32 and gives float64."""

    name = "liar"

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        return (inputs[0].astype(np.float64),)


def test_results_are_held_to_their_types() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, 4)))
    graph = builder.finish([builder.add(Liar(), [x], "y", ["Liar_0"])], ["y"])
    with pytest.raises(VerificationError, match=r"Liar_0 \(imcc.liar\): evaluation gave float64"):
        evaluate(graph, {"x": random(2, 4)})

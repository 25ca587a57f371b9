"""The pass `decompose`: nothing composite is left, and results equal those of onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.decomposed import decomposed, names
from support.onnx_models import f32, i64, node, weights
from support.whole_models import whole_model

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, evaluate, verify
from imcc.compiler.passes import PassContext, Pipeline

FEW = settings(max_examples=25, deadline=None)
IMAGE = {"x": weights(2, 8, 6, 5)}
TOKENS = {"x": weights(2, 5, 16)}


# -- normalization -----------------------------------------------------------------------------


def test_layer_normalization_is_normalize_with_scale_and_bias() -> None:
    normal = node("LayerNormalization", "x s b", "y", axis=-1)
    graph = decomposed([normal], TOKENS, {"s": weights(16, seed=2), "b": weights(16, seed=3)})
    assert names(graph) == ["normalize"]
    assert graph.nodes[0].result.name == "y"
    assert graph.nodes[0].origin == ("LayerNormalization_0",)


def test_statistics_are_computed_by_themselves() -> None:
    normal = node("LayerNormalization", "x s", "y m d")
    graph = decomposed([normal], TOKENS, {"s": weights(16, seed=2)}, outputs="y m d")
    assert "layer_normalization" not in names(graph)


def test_a_computed_scale_stands_behind() -> None:
    normal = node("RMSNormalization", "x s", "y")
    inputs = {**TOKENS, "s": weights(16, seed=2)}
    graph = import_onnx(whole_model([normal], inputs, opset=23), batched=False)
    after = Pipeline.parse("decompose").run(graph, PassContext())
    assert names(after) == ["normalize", "mul"]
    expected = evaluate(graph, inputs)["y"]
    np.testing.assert_allclose(evaluate(after, inputs)["y"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("groups", "steps"), [(8, 1), (1, 3), (4, 3)])
def test_group_normalization(groups: int, steps: int) -> None:
    normal = node("GroupNormalization", "x s b", "y", num_groups=groups)
    constants = {"s": weights(8, seed=2), "b": weights(8, seed=3)}
    assert names(decomposed([normal], IMAGE, constants)).count("normalize") == 1
    assert len(names(decomposed([normal], IMAGE, constants))) == steps


@pytest.mark.parametrize("size", [1, 3, 5])
def test_local_response_normalization(size: int) -> None:
    op = node("LRN", "x", "y", size=size, alpha=0.3, beta=0.6, bias=1.5)
    assert "conv" in names(decomposed([op], IMAGE))


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 6, 5), (2, 6)])
def test_local_response_of_even_size(shape: tuple[int, ...]) -> None:  # onnxruntime has none
    x = weights(*shape)
    op = node("LRN", "x", "y", size=2, alpha=0.3, beta=0.6)
    graph = import_onnx(whole_model([op], {"x": x}), batched=False)
    after = Pipeline.parse("decompose").run(graph, PassContext())
    assert "local_response_normalization" not in names(after)
    np.testing.assert_allclose(
        evaluate(after, {"x": x})["y"], evaluate(graph, {"x": x})["y"], rtol=1e-5
    )


# -- recurrent layers --------------------------------------------------------------------------

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@FEW
@given(
    st.sampled_from(list(GATES)),
    st.sampled_from(["forward", "reverse", "bidirectional"]),
    st.sampled_from(["x w r", "x w r b", "x w r b _ h0", "x w r b l h0"]),
    st.data(),
)
def test_recurrent_layers(kind: str, direction: str, given_: str, data: st.DataObject) -> None:
    directions, hidden, steps = 1 + (direction == "bidirectional"), 3, 4
    rows, attributes = GATES[kind] * hidden, dict[str, Any](clip=data.draw(st.sampled_from([0, 1])))
    if kind == "GRU":
        attributes["linear_before_reset"] = data.draw(st.integers(0, 1))
    if kind == "LSTM" and "b" in given_.split():
        given_ += " _" * (7 - len(given_.split())) + " p"
    arrays = {
        "w": weights(directions, rows, 2),
        "r": weights(directions, rows, hidden, seed=2),
        "b": weights(directions, 2 * rows, seed=3),
        "l": np.full(3, steps, np.int32),
        "p": weights(directions, 3 * hidden, seed=5),
    }
    constants = {name: arrays[name] for name in given_.split() if name in arrays}
    inputs = {"x": weights(steps, 3, 2)}
    if "h0" in given_:
        inputs["h0"] = weights(directions, 3, hidden, seed=6)
    results = "y h c" if kind == "LSTM" else "y h"
    attributes = {name: float(v) if name == "clip" else v for name, v in attributes.items() if v}
    layer = node(kind, given_, results, hidden_size=hidden, direction=direction, **attributes)
    graph = decomposed([layer], inputs, constants, outputs=results, opset=14)
    assert kind.lower() not in names(graph)


def test_all_steps_share_their_weights() -> None:
    constants = {"w": weights(1, 12, 2), "r": weights(1, 12, 3, seed=2)}
    layer = node("LSTM", "x w r", "y", hidden_size=3)
    graph = decomposed([layer], {"x": weights(5, 1, 2)}, constants, opset=14)
    matrices = [n.operands[1].name for n in graph.nodes if n.op.name == "matmul"]
    assert len(matrices) == 5  # the inputs of all steps at once, and four states that are not zero
    assert len(set(matrices)) == 2


def test_sequences_of_other_lengths_stay_whole() -> None:
    constants = {
        "w": weights(1, 3, 2),
        "r": weights(1, 3, 3),
        "b": weights(1, 6),
        "l": np.array([2, 3], np.int32),
    }
    layer = node("RNN", "x w r b l", "y", hidden_size=3)
    graph = decomposed([layer], {"x": weights(3, 2, 2)}, constants, opset=14)
    assert names(graph) == ["rnn"]


# -- attention and products --------------------------------------------------------------------

HEADS = {"q": weights(2, 4, 3, 8), "k": weights(2, 2, 5, 8), "v": weights(2, 2, 5, 8)}
PACKED = {"q": weights(2, 3, 32), "k": weights(2, 5, 16), "v": weights(2, 5, 16)}


@pytest.mark.parametrize(
    ("inputs", "mask", "attributes"),
    [
        (HEADS, None, {}),
        (HEADS, None, {"is_causal": 1, "softcap": 2.0, "scale": 0.3}),
        (HEADS, weights(3, 5), {}),
        (HEADS, np.tril(np.ones((3, 5), bool)), {}),
        (PACKED, None, {"q_num_heads": 4, "kv_num_heads": 2}),
    ],
)
def test_attention(
    inputs: dict[str, Array], mask: Array | None, attributes: dict[str, Any]
) -> None:
    operands = "q k v" if mask is None else "q k v m"
    constants = {} if mask is None else {"m": mask}
    op = node("Attention", operands, "y", **attributes)
    assert "attention" not in names(decomposed([op], inputs, constants, opset=23))


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("rotated", [0, 4])
def test_rotary_embedding(interleaved: int, rotated: int) -> None:
    half = (rotated or 8) // 2
    constants = {
        "c": weights(10, half),
        "s": weights(10, half),
        "p": np.array([[3, 1, 9], [0, 2, 4]]),
    }
    attributes = {"rotary_embedding_dim": rotated, "num_heads": 2} if rotated else {}
    op = node("RotaryEmbedding", "x c s p", "y", interleaved=interleaved, **attributes)
    graph = decomposed([op], {"x": weights(2, 2, 3, 8)}, constants, opset=23)
    assert "rotary_embedding" not in names(graph)


@pytest.mark.parametrize(
    ("equation", "shapes", "constant"),
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], False),
        ("bid,hdk->bhik", [(2, 3, 4), (5, 4, 6)], True),
        ("hdk,bid->bhik", [(5, 4, 6), (2, 3, 4)], False),
        ("bhqc,bhkc->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)], False),
        ("i,j->ij", [(3,), (4,)], False),
        ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 5)], False),
        ("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 5)], False),
        ("abc->ca", [(2, 3, 4)], False),
        ("ij,ij->", [(3, 4), (3, 4)], False),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]], constant: bool) -> None:
    arrays = {
        name: weights(*shape, seed=i)
        for i, (name, shape) in enumerate(zip("abc", shapes, strict=False))
    }
    constants = {"b": arrays.pop("b")} if constant else {}
    operands = " ".join("abc"[: len(shapes)])
    graph = decomposed([node("Einsum", operands, "y", equation=equation)], arrays, constants)
    assert "einsum" not in names(graph)
    assert ("matmul" in names(graph)) is constant


@pytest.mark.parametrize("diagonal", ["bii->bi", "ij,jk->k"])
def test_einsum_of_one_value_by_names(diagonal: str) -> None:
    arrays = {"a": weights(2, 3, 3)} if diagonal == "bii->bi" else {"a": weights(2, 3)}
    operands = "a" if len(arrays["a"].shape) == 3 else "a w"
    op = node("Einsum", operands, "y", equation=diagonal)
    graph = decomposed([op], arrays, {} if operands == "a" else {"w": weights(3, 4)})
    assert ("einsum" in names(graph)) is (operands == "a")  # a repeated name has no product


@pytest.mark.parametrize(
    ("a", "b", "constant", "expected"),
    [
        ((2, 3, 4), (4, 5), "b", ["matmul"]),
        ((2, 3, 4), (1, 4, 5), "b", ["matmul"]),
        ((2, 3, 4), (4,), "b", ["matmul", "reshape"]),
        ((4,), (4, 5), "b", ["reshape", "matmul", "reshape"]),
        ((6, 3), (2, 3, 4), "a", ["transpose", "matmul", "transpose"]),
        ((3,), (2, 3, 4), "a", ["transpose", "matmul", "transpose", "reshape"]),
        ((2, 3, 4), (2, 4, 5), "b", ["matrix_product"]),
        ((4,), (4,), "", ["reshape", "reshape", "matrix_product", "reshape"]),
    ],
)
def test_matrix_products(
    a: tuple[int, ...], b: tuple[int, ...], constant: str, expected: list[str]
) -> None:
    arrays = {"a": weights(*a), "b": weights(*b, seed=2)}
    constants = {constant: arrays.pop(constant)} if constant else {}
    assert names(decomposed([node("MatMul", "a b", "y")], arrays, constants)) == expected


# -- sampling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("group", [1, 2])
def test_transposed_convolution(rank: int, stride: int, group: int) -> None:
    x = weights(2, 4, *(4, 3, 2)[:rank])
    constants = {"w": weights(4, 3, *(3, 2, 3)[:rank], seed=2), "b": weights(3 * group, seed=3)}
    op = node(
        "ConvTranspose",
        "x w b",
        "y",
        strides=[stride] * rank,
        group=group,
        pads=[1] * rank + [0] * rank,
        output_padding=[stride - 1] * rank,
    )
    assert "conv" in names(decomposed([op], {"x": x}, constants))


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [3, 2, 4, 1]])
def test_dilated_transposed_convolution(pads: list[int]) -> None:
    op = node("ConvTranspose", "x w", "y", strides=[2, 1], dilations=[2, 2], pads=pads)
    graph = decomposed([op], IMAGE, {"w": weights(8, 3, 2, 3)})
    assert "dilate" in names(graph)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("nearest", ["reshape", "expand", "reshape"]),
        ("linear", ["transpose", "matmul", "transpose", "matmul"]),
        ("cubic", ["transpose", "matmul", "transpose", "matmul"]),
    ],
)
def test_resize_by_whole_numbers(mode: str, expected: list[str]) -> None:
    op = node("Resize", "x _ s", "y", mode=mode)
    assert names(decomposed([op], IMAGE, {"s": f32([1, 1, 2, 3])})) == expected


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize("sizes", [[2, 8, 9, 3], [2, 8, 4, 7]])
def test_resize_by_fractions(mode: str, coordinates: str, sizes: list[int]) -> None:
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    graph = decomposed([node("Resize", "x _ _ s", "y", **attributes)], IMAGE, {"s": i64(sizes)})
    assert "resize" not in names(graph)


# -- reductions --------------------------------------------------------------------------------

REDUCTIONS = ["L1", "L2", "LogSumExp", "Prod", "SumSquare", "Sum", "Mean", "Max"]


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("keep", [0, 1])
def test_reductions(kind: str, keep: int) -> None:
    op = node(f"Reduce{kind}", "x a", "y", keepdims=keep)
    graph = decomposed([op], {"x": weights(2, 3, 4)}, {"a": i64([1, 2])}, opset=18)
    kinds = {n.op.reduction.value for n in graph.nodes if n.op.name == "reduce"}  # type: ignore[attr-defined]
    assert kinds <= {"sum", "mean", "max", "min"}


def test_mean_over_images_is_a_pooling() -> None:
    op = node("ReduceMean", "x a", "y", keepdims=0)
    graph = decomposed([op], IMAGE, {"a": i64([2, 3])}, opset=18)
    assert names(graph) == ["global_average_pool", "reshape"]


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4), 1), ((2, 3, 4), -1), ((5,), 0)])
def test_running_sums(exclusive: int, reverse: int, shape: tuple[int, ...], axis: int) -> None:
    op = node("CumSum", "x a", "y", exclusive=exclusive, reverse=reverse)
    assert "matmul" in names(decomposed([op], {"x": weights(*shape)}, {"a": i64(axis)}))


def test_running_sums_of_integers() -> None:
    x = np.random.default_rng(3).integers(-9, 9, (2, 5))
    assert "running" not in names(decomposed([node("CumSum", "x a", "y")], {"x": x}, {"a": i64(1)}))


@pytest.mark.parametrize("op_type", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("keep", [0, 1])
def test_positions(op_type: str, last: int, keep: int) -> None:
    ties = np.round(weights(2, 6, 5) * 2)
    op = node(op_type, "x", "y", axis=1, keepdims=keep, select_last_index=last)
    assert names(decomposed([op], {"x": ties})) == ["reduce", "compare", "where", "reduce"]


def test_positions_among_more_numbers_than_codes_stay() -> None:
    graph = decomposed([node("ArgMax", "x", "y", axis=1)], {"x": weights(1, 257)})
    assert names(graph) == ["position"]


@pytest.mark.parametrize("p", [1, 2, 3])
def test_norm_pooling(p: int) -> None:
    op = node("LpPool", "x", "y", kernel_shape=[2, 3], strides=[2, 1], pads=[1, 0, 1, 0], p=p)
    assert "average_pool" in names(decomposed([op], IMAGE))


# -- arithmetic and indexing -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op_type", "operands", "constant", "expected"),
    [
        ("Add", "x k", f32(2), ["affine"]),
        ("Sub", "k x", f32([2]), ["affine"]),
        ("Div", "k x", f32(2), ["math", "affine"]),
        ("Div", "x k", weights(16), ["mul"]),
        ("Max", "x k", f32(0.5), ["clip"]),
        ("Min", "k x", f32(0.5), ["clip"]),
        ("Pow", "x k", f32(3), ["with_constant"]),
        ("Pow", "k x", f32(3), ["affine", "math"]),
        ("PRelu", "x k", f32([0.2]), ["leaky_relu"]),
        ("PRelu", "x k", weights(5, 1), ["clip", "mul", "relu", "add"]),
    ],
)
def test_one_constant_operand(
    op_type: str, operands: str, constant: Array, expected: list[str]
) -> None:
    assert names(decomposed([node(op_type, operands, "y")], TOKENS, {"k": constant})) == expected


def test_a_few_constant_exponents_are_a_choice() -> None:
    exponents = f32([2, 3, 0.5, 2, 1]).reshape(5, 1)
    inputs = {"x": np.abs(weights(2, 5, 16))}
    graph = decomposed([node("Pow", "x k", "y")], inputs, {"k": exponents})
    assert names(graph).count("with_constant") == 4
    assert names(graph).count("where") == 4 + 3


@pytest.mark.parametrize("truncate", [0, 1])
def test_a_few_constant_divisors_are_a_choice(truncate: int) -> None:
    x = np.random.default_rng(1).integers(-20, 20, (4, 6))
    op = node("Mod", "x k", "y", fmod=truncate)
    graph = decomposed([op], {"x": x}, {"k": i64([2, -3, 5, 5, -3, 7])})
    assert "modulo" not in names(graph)


@pytest.mark.parametrize("divisors", [np.arange(1, 18), np.array([3, 0])])
def test_many_divisors_and_zeros_stay(divisors: Array) -> None:
    proto = whole_model([node("Mod", "x k", "y")], {"x": divisors}, {"k": divisors})
    graph = import_onnx(proto, batched=False)
    assert Pipeline.parse("decompose").run(graph, PassContext()) is graph


def test_quotient_of_two_values() -> None:
    inputs = {"x": weights(2, 3), "z": 1 + weights(2, 3) ** 2}
    assert names(decomposed([node("Div", "x z", "y")], inputs)) == ["div"]


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (i64(-1), ["slice", "reshape"]),
        (i64([1, 2, 3]), ["slice"]),
        (i64([4, 2, 0]), ["slice"]),
        (i64([0, 0, 3]), ["gather"]),
        (np.array([[0, 3], [3, 1]]), ["gather", "reshape"]),
    ],
)
def test_gathering_by_constants(indices: Array, expected: list[str]) -> None:
    assert (
        names(decomposed([node("Gather", "x i", "y", axis=1)], TOKENS, {"i": indices})) == expected
    )


@FEW
@given(st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_elements_by_place(axis: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = {"x": weights(3, 4, 5)}
    indices = random.integers(-3, 3, (2, 3, 4))
    graph = decomposed([node("GatherElements", "x i", "y", axis=axis)], x, {"i": indices})
    assert "gather_elements" not in names(graph)
    updates = {"i": random.permuted(np.tile(np.arange(3), (3, 3, 1)), axis=2).swapaxes(axis, 2)}
    updates["u"] = weights(3, 3, 3, seed=4)
    graph = decomposed([node("ScatterElements", "x i u", "y", axis=axis)], x, updates)
    assert "scatter_elements" not in names(graph)


def test_rows_are_gathered_whole() -> None:
    constants = {"i": np.array([[1, 2], [0, 0], [1, 1]]), "u": weights(2, 16)}
    graph = decomposed([node("GatherND", "x i", "y")], TOKENS, constants)
    gathers = [n for n in graph.nodes if n.op.name == "gather"]
    assert gathers[0].operands[0].type.shape == (1, 10, 16)


def test_operands_without_elements_are_left_out() -> None:
    nodes = [node("Slice", "x a a one", "none"), node("Concat", "x none", "y", axis=1)]
    graph = decomposed(nodes, TOKENS, {"a": i64([5]), "one": i64([1])})
    assert "concat" not in names(graph)


def test_triangle_and_reversal() -> None:
    nodes = [node("Trilu", "x k", "t", upper=0), node("ReverseSequence", "t l", "y", batch_axis=0)]
    nodes[1].attribute.add(name="time_axis", i=1, type=2)
    graph = decomposed(nodes, TOKENS, {"k": i64(1), "l": i64([3, 5])})
    assert {"triangle", "reverse_sequence"}.isdisjoint(names(graph))


# -- masks and batches -------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [-1e9, -np.inf])
def test_masks_before_softmax_are_bounded(hidden: float) -> None:
    mask = np.triu(np.full((5, 5), hidden, np.float32), 1)
    nodes = [node("Add", "x m", "s"), node("Softmax", "s", "y")]
    graph = decomposed(nodes, {"x": weights(2, 5, 5)}, {"m": mask})
    assert names(graph) == ["where", "softmax"]
    constants = [a for a in graph.constants.values() if a.dtype == np.float32]
    assert min(a.min() for a in constants) == -1e4


def test_a_chosen_mask_is_bounded() -> None:
    lowest = float(np.finfo(np.float32).min)
    nodes = [node("Where", "m z n", "a"), node("Add", "x a", "s"), node("Softmax", "s", "y")]
    inputs = {"x": weights(2, 5, 5), "m": np.tril(np.ones((5, 5), bool))}
    graph = decomposed(nodes, inputs, {"z": f32(0), "n": f32(lowest)})
    assert names(graph) == ["where", "softmax"]


def test_a_graph_in_batches_keeps_samples_apart() -> None:
    proto = whole_model([node("Softplus", "x", "s"), node("Div", "x s", "y")], {"x": weights(1, 4)})
    graph = Pipeline.parse("decompose").run(import_onnx(proto), PassContext())
    verify(graph)
    x = weights(3, 4)
    found = evaluate(graph, {"x": x})["y"]
    np.testing.assert_allclose(found, x / np.logaddexp(x, 0), rtol=1e-5)


def test_what_is_primitive_stays_the_same_graph() -> None:
    proto = whole_model([node("Relu", "x", "y")], TOKENS)
    graph = import_onnx(proto, batched=False)
    assert Pipeline.parse("decompose").run(graph, PassContext()) is graph

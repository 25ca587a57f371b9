"""The rewrite to codes: parameters, fused activations, shared ranges, errors, and its witness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from imcc.compiler.errors import InputError, UnsupportedError
from imcc.compiler.ir import (
    Array,
    DType,
    Graph,
    GraphBuilder,
    TensorType,
    Value,
    evaluate,
    parse_graph,
    print_graph,
    verify,
)
from imcc.compiler.ir.ops.binary import Add, Div, Modulo, Mul, Sub
from imcc.compiler.ir.ops.linear import Conv, MatMul
from imcc.compiler.ir.ops.normalization import BatchNormalization, Softmax
from imcc.compiler.ir.ops.pooling import GlobalAveragePool, MaxPool
from imcc.compiler.ir.ops.quant import Dequantize
from imcc.compiler.ir.ops.quantized import QAdd, QConcat, QConv, QMatMul, QMul, QSoftmax, QUnary
from imcc.compiler.ir.ops.shape import Concat, Reshape
from imcc.compiler.ir.ops.unary import Clip, LeakyRelu, Relu, Sigmoid
from imcc.compiler.ir.types import QuantParams
from imcc.compiler.passes import PassContext, Samples
from imcc.compiler.passes.quantize import Quantize
from imcc.compiler.quantize import Method, OnnxRuntimeWitness, Options, export_qdq, quantize_graph
from imcc.compiler.quantize.parameters import activation_params, product_codes
from imcc.isa.target import RequantMode

RNG = np.random.default_rng(0)


def reals(values: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


class Net:
    """Builds a float graph with random weights."""

    def __init__(self, *shape: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = GraphBuilder("net")
        self.x = self.builder.input("x", TensorType(DType.F32, (1, *shape)))

    def array(self, *shape: int) -> Value:
        weights = self.rng.standard_normal(shape).astype(np.float32) * np.float32(0.3)
        return self.builder.constant(weights, "weights")

    def conv(self, x: Value, channels: int, kernel: int = 3) -> Value:
        pad = kernel // 2
        op = Conv((1, 1), (pad,) * 4, (1, 1), 1)
        operands = (x, self.array(channels, x.type.shape[1], kernel, kernel), self.array(channels))
        return self.builder.add(op, operands, "conv", ["conv"])

    def finish(self, *outputs: Value) -> Graph:
        return self.builder.finish(outputs, [f"out{i}" for i in range(len(outputs))])


def batch(graph: Graph, seed: int = 1, count: int = 32) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        v.name: rng.standard_normal((count, *v.type.shape[1:])).astype(np.float32)
        for v in graph.inputs
    }


def quantized(graph: Graph, options: Options | None = None) -> Graph:
    result = quantize_graph(graph, [batch(graph)], options)
    verify(result)
    assert parse_graph(print_graph(result)).same_as(result)
    return result


def ops(graph: Graph) -> list[str]:
    return [type(node.op).__name__ for node in graph.nodes]


def assert_witnessed(graph: Graph) -> None:
    """onnxruntime gives the same outputs, with integer kernels only."""
    witness = OnnxRuntimeWitness(export_qdq(graph))
    inputs = batch(graph, seed=2)
    ours, theirs = evaluate(graph, inputs), witness.run(inputs)
    assert witness.unfused == ()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


def test_relu_becomes_a_clip_bound_of_the_convolution() -> None:
    net = Net(3, 6, 6)
    graph = net.finish(net.builder.add(Relu(), [net.conv(net.x, 4)], "relu", ["relu"]))
    result = quantized(graph)
    assert ops(result) == ["Quantize", "QConv", "Dequantize"]
    node = result.nodes[1]
    assert isinstance(node.op, QConv)
    assert (node.op.requant.zero_point, node.op.requant.low) == (0, 0)
    assert node.origin == ("conv", "relu")
    assert node.result.name == "relu"
    assert_witnessed(result)


def test_clip_becomes_codes() -> None:
    net = Net(3, 6, 6)
    graph = net.finish(net.builder.add(Clip(-0.5, 1.0), [net.conv(net.x, 4)], "clip"))
    result = quantized(graph)
    op = result.nodes[1].op
    assert isinstance(op, QConv)
    scale, zero = op.requant.output.scale[0], op.requant.zero_point
    assert op.requant.low == zero + round(-0.5 / scale)
    assert op.requant.high == zero + round(1.0 / scale)
    assert_witnessed(result)


def test_a_value_that_others_read_is_not_fused() -> None:
    net = Net(3, 6, 6)
    conv = net.conv(net.x, 4)
    relu = net.builder.add(Relu(), [conv], "relu")
    result = quantized(net.finish(net.builder.add(Add(), [conv, relu], "sum")))
    assert ops(result) == ["Quantize", "QConv", "QUnary", "QAdd", "Dequantize"]
    assert_witnessed(result)


def test_outputs_are_kept_apart_from_activations() -> None:
    net = Net(3, 6, 6)
    conv = net.conv(net.x, 4)
    relu = net.builder.add(Relu(), [conv], "relu")
    result = quantized(net.finish(conv, relu))
    assert ops(result).count("QUnary") == 1
    assert_witnessed(result)


def test_moving_operators_share_the_parameters_of_their_operand() -> None:
    net = Net(3, 6, 6)
    pool = net.builder.add(MaxPool((2, 2), (2, 2), (0,) * 4, (1, 1)), [net.conv(net.x, 4)], "pool")
    flat = net.builder.add(Reshape((1, 36)), [pool], "flat")
    result = quantized(net.finish(flat))
    quants = [node.result.type.quant for node in result.nodes[1:-1]]
    assert len(quants) == 3
    assert len(set(quants)) == 1
    assert_witnessed(result)


def test_concatenation_is_a_copy_where_nobody_else_reads_its_operands() -> None:
    net = Net(3, 6, 6)
    a, b = net.conv(net.x, 2), net.builder.add(Relu(), [net.conv(net.x, 3, 1)], "b")
    result = quantized(net.finish(net.builder.add(Concat(1), [a, b], "joined")))
    (concat,) = (node for node in result.nodes if isinstance(node.op, QConcat))
    assert isinstance(concat.op, QConcat)
    assert concat.op.tables([v.type for v in concat.operands]) == (None, None)
    assert_witnessed(result)


def test_concatenation_requantizes_what_others_read() -> None:
    net = Net(3, 6, 6)
    a, b = net.conv(net.x, 2), net.conv(net.x, 3, 1)
    joined = net.builder.add(Concat(1), [a, b], "joined")
    result = quantized(net.finish(joined, b))
    (concat,) = (node for node in result.nodes if isinstance(node.op, QConcat))
    assert isinstance(concat.op, QConcat)
    tables = concat.op.tables([v.type for v in concat.operands])
    assert tables[0] is None
    assert tables[1] is not None
    assert_witnessed(result)


def test_one_tensor_joined_with_itself() -> None:
    net = Net(3, 6, 6)
    conv = net.conv(net.x, 2)
    assert_witnessed(quantized(net.finish(net.builder.add(Concat(1), [conv, conv], "joined"))))


def test_constants_differences_and_quotients() -> None:
    net = Net(3, 6, 6)
    half = net.builder.constant(reals([[[[0.5]]]]), "half")
    per_channel = net.builder.constant(reals([2, -4, 8]).reshape(1, 3, 1, 1), "channels")
    a = net.builder.add(Sub(), [half, net.conv(net.x, 3)], "a")
    b = net.builder.add(Div(), [a, per_channel], "b")
    c = net.builder.add(Mul(), [b, a], "c")
    result = quantized(net.finish(net.builder.add(Sub(), [c, half], "d")))
    assert {QAdd, QMul, QUnary} <= {type(node.op) for node in result.nodes}
    real, codes = (evaluate(g, batch(result))["out0"] for g in (net.finish(c), result))
    signal = float(np.square(real - 0.5).mean())
    assert float(np.square(real - 0.5 - codes).mean()) < 5e-3 * signal
    witness = OnnxRuntimeWitness(export_qdq(result))
    np.testing.assert_array_equal(witness.run(batch(result))["out0"], codes)


def test_softmax_and_sigmoid_have_fixed_ranges() -> None:
    net = Net(12)
    logits = net.builder.add(MatMul(), [net.x, net.array(12, 5)], "logits")
    soft = net.builder.add(Softmax(1), [logits], "soft")
    result = quantized(net.finish(soft, net.builder.add(Sigmoid(), [logits], "sigmoid")))
    for output in result.outputs:
        producer = result.producer(output)
        assert producer is not None
        assert producer.operands[0].type.quant == QuantParams((1 / 256,), (0,))
    (node,) = (n for n in result.nodes if isinstance(n.op, QSoftmax))
    assert isinstance(node.op, QSoftmax)
    assert node.op.steps == 256


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(3, 8))
@settings(max_examples=15, deadline=None)
def test_residual_networks_equal_onnxruntime(seed: int, bits: int) -> None:
    net = Net(3, 8, 8, seed=seed)
    stem = net.builder.add(Relu(), [net.conv(net.x, 4)], "stem")
    branch = net.conv(net.builder.add(LeakyRelu(0.1), [net.conv(stem, 4)], "leaky"), 4, 1)
    total = net.builder.add(Relu(), [net.builder.add(Add(), [stem, branch], "sum")], "total")
    pooled = net.builder.add(GlobalAveragePool(), [total], "pooled")
    flat = net.builder.add(Reshape((1, 4)), [pooled], "flat")
    operands = [flat, net.array(4, 5), net.array(5)]
    graph = net.finish(net.builder.add(MatMul(), operands, "logits"))
    assert_witnessed(quantized(graph, Options(bits, bits)))


def test_deep_matrix_products_equal_onnxruntime() -> None:
    net = Net(3, 4, 16)
    hidden = net.builder.add(MatMul(), [net.x, net.array(16, 8), net.array(8)], "hidden")
    assert_witnessed(quantized(net.finish(net.builder.add(Relu(), [hidden], "relu"))))


def test_few_bits_stay_in_range() -> None:
    net = Net(3, 6, 6)
    graph = net.finish(net.builder.add(Relu(), [net.conv(net.x, 4)], "relu"))
    result = quantized(graph, Options(weight_bits=3, activation_bits=2))
    weights = next(array for array in result.constants.values() if array.dtype == np.int8)
    assert int(np.abs(weights).max()) == 3
    codes = evaluate(result, batch(result), ["relu"])["relu"]
    assert set(np.unique(codes)) <= {0, 1, 2, 3}
    assert_witnessed(result)


def test_fixed_datapath_stays_within_a_step() -> None:
    net = Net(3, 6, 6)
    graph = net.finish(net.conv(net.x, 4))
    float24 = quantized(graph)
    fixed = quantized(graph, Options(requant=RequantMode.FIXED, multiplier_bits=12))
    a, b = (evaluate(g, batch(g), ["conv"])["conv"].astype(int) for g in (float24, fixed))
    assert np.abs(a - b).max() == 1
    assert (a != b).mean() < 0.02


def test_inputs_of_bytes_keep_their_codes() -> None:
    net = Net(4)
    graph = net.finish(net.builder.add(MatMul(), [net.x, net.array(4, 2)], "y"))
    data = np.random.default_rng(3).integers(0, 250, (20, 4)).astype(np.float32)
    result = quantize_graph(graph, [{"x": data}])
    assert result.nodes[0].result.type.quant == QuantParams((1.0,), (0,))


def test_outputs_are_never_clipped() -> None:
    """Clipped scores would make classes equal, so the percentile does not hold for them."""
    net = Net(4)
    graph = net.finish(net.builder.add(Relu(), [net.x], "y"))
    data = np.random.default_rng(3).standard_normal((5000, 4)).astype(np.float32)
    options = Options(method=Method.PERCENTILE, percentile=99.0)
    result = quantize_graph(graph, [{"x": data}], options)
    x, y = (node.result.type.quant for node in result.nodes[:2])
    assert x is not None
    assert y is not None
    assert y.scale[0] == np.float32(data.max() / 255)
    assert x.scale[0] * 255 < 0.8 * (data.max() - data.min())


def test_weights_are_symmetric_and_biases_in_units_of_both_scales() -> None:
    weights = RNG.standard_normal((5, 3, 2, 2)).astype(np.float32)
    weights[3] = 0
    bias = reals([0.5, -1, 2, 3, 1e-3])
    codes = product_codes(weights, bias, 0, 8, 0.1)
    scales = reals(codes.weight_params.scale)
    np.testing.assert_array_equal(
        scales[[0, 1, 2, 4]],
        reals(np.abs(weights).max((1, 2, 3)).astype(np.float64) / 127)[[0, 1, 2, 4]],
    )
    assert int(np.abs(codes.weights).max()) == 127
    error = codes.weights * scales.reshape(-1, 1, 1, 1) - weights
    assert (np.abs(error) <= scales.reshape(-1, 1, 1, 1) * 0.5001).all()
    products = np.float32(0.1) * scales
    np.testing.assert_array_equal(reals(codes.bias_params.scale), products)
    assert (np.abs(codes.bias * products.astype(np.float64) - bias) <= 0.5 * products).all()


def test_few_weight_bits_clip_for_the_least_error() -> None:
    """The optimal clip of Gaussian weights at 4 bits is 2.50 standard deviations."""
    weights = np.random.default_rng(1).standard_normal((3000, 4)).astype(np.float32)
    codes = product_codes(weights, np.zeros(4, np.float32), 1, 4, 0.1)
    np.testing.assert_allclose(np.array(codes.weight_params.scale) * 7, 2.5, atol=0.15)
    assert set(np.unique(codes.weights)) == set(range(-7, 8))


def test_large_biases_widen_the_weight_scale() -> None:
    codes = product_codes(reals([[1e-9, 1.0]]), reals([10, 10]), 1, 8, 0.01)
    assert int(np.abs(codes.bias.astype(np.int64)).max()) <= 1 << 30
    real = codes.bias.astype(np.float64) * np.array(codes.bias_params.scale)
    np.testing.assert_allclose(real, 10, rtol=1e-3)


@given(low=st.floats(-1e3, 0), high=st.floats(0, 1e3), bits=st.integers(2, 8))
def test_zero_is_a_code(low: float, high: float, bits: int) -> None:
    params = activation_params(low, high, bits)
    assert params.low <= params.zero_point[0] <= params.high
    assert params.scale[0] == np.float32(params.scale[0]) > 0
    if np.float32((high - low) / params.high) >= np.finfo(np.float32).tiny:
        covered = [(code - params.zero_point[0]) * params.scale[0] for code in (0, params.high)]
        assert covered[0] <= low + params.scale[0]
        assert covered[1] >= high - params.scale[0]
    else:
        assert params.scale == (1.0,)


def test_every_unsupported_node_is_named() -> None:
    net = Net(3, 4, 4)
    vectors = [net.builder.constant(np.ones(3, np.float32), f"v{i}") for i in range(4)]
    norm = net.builder.add(BatchNormalization(1e-5), [net.x, *vectors], "norm", ["the_norm"])
    rest = net.builder.add(Modulo(), [net.x, norm], "rest", ["the_rest"])
    with pytest.raises(UnsupportedError) as caught:
        quantized(net.finish(rest))
    assert "the_norm: BatchNormalization is not folded" in str(caught.value)
    assert "the_rest: Modulo has no operand that is one number" in str(caught.value)


def test_accumulators_that_could_overflow_are_refused() -> None:
    net = Net(140_000)
    wide = net.builder.constant(np.ones((140_000, 1), np.float32), "wide")
    graph = net.finish(net.builder.add(MatMul(), [net.x, wide], "y", ["big"]))
    with pytest.raises(UnsupportedError, match=r"big: an accumulator can reach .* 32 bits"):
        quantize_graph(graph, [batch(graph, count=1)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 9}, "weight_bits is 9"),
        ({"activation_bits": 1}, "activation_bits is 1"),
        ({"percentile": 50.0}, "percentile is 50.0"),
        ({"multiplier_bits": 7}, "multiplier_bits is 7"),
    ],
)
def test_options_are_checked(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Quantize(**options)  # type: ignore[arg-type]


def test_the_pass_needs_samples_and_leaves_codes_only() -> None:
    net = Net(12)
    graph = net.finish(net.builder.add(MatMul(), [net.x, net.array(12, 5)], "logits"))
    with pytest.raises(InputError, match="calibration data"):
        Quantize().run(graph, PassContext())
    samples: Samples = lambda: [batch(graph)]  # noqa: E731
    result = Quantize(weight_bits=4).run(graph, PassContext(samples=samples))
    Quantize().ensures(result)
    assert [type(node.op) for node in result.nodes][1:] == [QMatMul, Dequantize]
    assert result.outputs[0].type.dtype is DType.F32

"""Quantized models keep their quantization: the graph on codes against onnxruntime's kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from support.onnx_models import run_onnxruntime, samples

from imcc.compiler.driver import compile_model
from imcc.compiler.errors import InputError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, Graph, Stage, evaluate, verify
from imcc.compiler.ir.ops.quantized import QAdd, QConv, QMatMul, QUnary
from imcc.compiler.ir.ops.quantized_divide import QDiv
from imcc.compiler.ir.types import DType
from imcc.compiler.options import CompileOptions
from imcc.compiler.passes import PassContext, Pipeline
from imcc.compiler.quantize.state import float_nodes
from imcc.compiler.quantize.witness import witness_of
from imcc.runtime import Machine

BATCH = 16
SCALES = (0.02, 0.05, 0.0625, 0.11)


class Net:
    """A quantized model in the making; tensors of codes go by name."""

    def __init__(self, shape: tuple[int, ...], dtype: str, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, Array] = {}
        self.shape = shape

    def constant(self, array: ArrayLike) -> str:
        name = f"c{len(self.weights)}"
        self.weights[name] = np.asarray(array)
        return name

    def params(self, zero: int | None = None) -> tuple[str, str]:
        """A scale and zero point of an activation."""
        limits = np.iinfo(self.dtype)
        point = self.random.integers(limits.min, limits.max + 1) if zero is None else zero
        scale = np.float32(self.random.choice(SCALES))
        return self.constant(np.asarray(scale)), self.constant(np.asarray(point, self.dtype))

    def add(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        node = helper.make_node(op_type, inputs, [output], f"n{len(self.nodes)}", domain=domain)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self.nodes.append(node)
        return output

    def requantized(self, real: str, zero: int | None = None) -> tuple[str, str]:
        """Codes of real values, and the real values of the codes."""
        scale, point = self.params(zero)
        codes = self.add("QuantizeLinear", real, scale, point)
        return codes, self.add("DequantizeLinear", codes, scale, point)

    def kernel(
        self, shape: tuple[int, ...], axis: int | None, dtype: str, high: int = 0
    ) -> tuple[str, Array]:
        """Dequantized weights and their scales; zero points are random up to `high`."""
        limits = np.iinfo(dtype)
        codes = self.random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        count = () if axis is None else (shape[axis],)
        scales = self.random.uniform(0.002, 0.01, count).astype(np.float32)
        zeros = self.random.integers(0, high + 1, count).astype(dtype)
        inputs = [self.constant(array) for array in (codes, scales, zeros)]
        along: dict[str, Any] = {} if axis is None else {"axis": axis}
        real = self.add("DequantizeLinear", *inputs, **along)
        return real, scales

    def bias(self, steps: Array) -> str:
        codes = self.random.integers(-900, 900, 8, np.int32)
        zeros = np.zeros(steps.shape, np.int32)
        inputs = [self.constant(array) for array in (codes, steps, zeros)]
        along: dict[str, Any] = {"axis": 0} if steps.ndim else {}
        return self.add("DequantizeLinear", *inputs, **along)

    def model(self, output: str, coded: bool = True) -> ModelProto:
        element = helper.np_dtype_to_tensor_dtype(self.dtype)
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", element, ["N", *self.shape])],
            [helper.make_tensor_value_info(output, element if coded else TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def adopted(proto: ModelProto) -> Graph:
    graph = Pipeline.parse(CompileOptions().passes()).run(import_onnx(proto), PassContext())
    verify(graph, Stage.QUANTIZED)
    assert float_nodes(graph) == ()
    return graph


def differences(proto: ModelProto, *, machine: str = "", fused: bool = True) -> int:
    """Elements in which the graph on codes, or the machine, differs from onnxruntime."""
    graph = adopted(proto)
    imported = import_onnx(proto)
    inputs = samples(imported, BATCH)
    witness = witness_of(proto, imported)
    if fused:
        assert witness.unfused == ()
    expected, found = witness.run(inputs), evaluate(graph, inputs)
    assert [(k, a.dtype, a.shape) for k, a in found.items()] == [
        (k, a.dtype, a.shape) for k, a in expected.items()
    ]
    if machine:
        ran = Machine(compile_model(proto, machine).program).run(inputs)
        assert all(np.array_equal(ran[k], a) and ran[k].dtype == a.dtype for k, a in found.items())
    return sum(int(np.count_nonzero(found[k] != a)) for k, a in expected.items())


def entered(net: Net) -> tuple[str, Array]:
    """The real values of the input, and its scale."""
    scale, zero = net.params()
    return net.add("DequantizeLinear", "x", scale, zero), net.weights[scale]


@pytest.mark.parametrize("dtype", ["u1", "i1"])
@pytest.mark.parametrize(("kernel", "axis", "high"), [("i1", 0, 0), ("u1", None, 255)])
def test_convolution(dtype: str, kernel: str, axis: int | None, high: int) -> None:
    """Weights of any zero point have up to 9 bits; a Relu becomes a bound."""
    net = Net((6, 7, 7), dtype, seed=3)
    x, sx = entered(net)
    if dtype == "i1":
        kernel, high = "i1", 0
    w, sw = net.kernel((8, 6, 3, 3), axis, kernel, high)
    y = net.add("Conv", x, w, net.bias(sx * sw), pads=[1, 1, 1, 1], strides=[2, 1])
    codes, _ = net.requantized(net.add("Relu", y), int(np.iinfo(dtype).min))
    proto = net.model(codes)
    assert differences(proto, machine="isaac") == 0
    (conv,) = [node for node in adopted(proto).nodes if isinstance(node.op, QConv)]
    weights = conv.operands[1].type
    assert (weights.dtype is DType.I16) == (kernel == "u1")
    assert conv.origin == (y_name(net, "Conv"), y_name(net, "Relu"))


def y_name(net: Net, op_type: str) -> str:
    return next(node.name for node in net.nodes if node.op_type == op_type)


def test_nine_bit_weights_on_digital_arrays() -> None:
    net = Net((12,), "u1", seed=4)
    x, sx = entered(net)
    w, sw = net.kernel((12, 8), None, "u1", 255)
    codes, _ = net.requantized(net.add("Gemm", x, w, net.bias(sx * sw)))
    assert differences(net.model(codes), machine="dcim22") == 0


@pytest.mark.parametrize("bias", ["none", "float", "codes", "other scale"])
def test_bias(bias: str) -> None:
    net = Net((10,), "u1", seed=5)
    x, sx = entered(net)
    w, sw = net.kernel((8, 10), 0, "i1")
    steps = sx * sw
    operands = [x, w]
    if bias == "float":
        operands.append(net.constant(net.random.standard_normal(8).astype(np.float32)))
    elif bias != "none":
        operands.append(net.bias(steps if bias == "codes" else steps * np.float32(1.5)))
    codes, _ = net.requantized(net.add("Gemm", *operands, transB=1))
    graph = adopted(net.model(codes))
    (product,) = [node for node in graph.nodes if isinstance(node.op, QMatMul)]
    found = graph.constants[product.operands[2].name]
    assert graph.constants[product.operands[1].name].shape == (10, 8)
    if bias == "none":
        assert not found.any()
    elif bias == "float":
        np.testing.assert_array_equal(found, np.rint(net.weights[operands[2]] / steps))
    else:
        codes_given = next(a for a in net.weights.values() if a.dtype == np.int32 and a.any())
        if bias == "codes":
            np.testing.assert_array_equal(found, codes_given)
        else:
            reals = codes_given.astype(np.float32) * (steps * np.float32(1.5))
            np.testing.assert_array_equal(found, np.rint(reals / steps))
    if bias != "other scale":
        assert differences(net.model(codes)) == 0
        return
    # The optimizer of onnxruntime makes a QGemm of it, which ignores the scale of the bias.
    inputs = samples(import_onnx(net.model(codes)), BATCH)
    (expected,) = run_onnxruntime(net.model(codes), inputs)
    np.testing.assert_array_equal(evaluate(graph, inputs)[codes], expected)


def test_bias_added_behind_a_product() -> None:
    net = Net((10,), "i1", seed=6)
    x, sx = entered(net)
    w, sw = net.kernel((10, 8), None, "i1")
    y = net.add("Add", net.add("MatMul", x, w), net.bias(sx * sw))
    codes, _ = net.requantized(net.add("Relu", y), -128)
    graph = adopted(net.model(codes))
    assert not any(isinstance(node.op, QAdd) for node in graph.nodes)
    assert differences(net.model(codes), machine="isaac") == 0


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1 << 20), op=st.sampled_from(["Add", "Mul"]), dtype=st.sampled_from("BI")
)
def test_sums_and_products_of_tensors(seed: int, op: str, dtype: str) -> None:
    """Signed codes are summed as signed codes: shifted by 128 they would round to others."""
    net = Net((4, 50, 40), "u1" if dtype == "B" else "i1", seed)
    x, _ = entered(net)
    _, a = net.requantized(x)
    _, b = net.requantized(x)
    codes, _ = net.requantized(net.add(op, a, b))
    assert differences(net.model(codes), fused=False) == 0


@pytest.mark.parametrize("dtype", ["u1", "i1"])
def test_quotients_of_tensors(dtype: str) -> None:
    """Divided by codes of 0 as well, of which onnxruntime makes infinities."""
    net = Net((4, 50, 40), dtype, seed=3)
    x, _ = entered(net)
    _, a = net.requantized(x)
    _, b = net.requantized(net.add("Sigmoid", x))
    codes, _ = net.requantized(net.add("Div", a, b))
    proto = net.model(codes)
    assert [type(n.op) for n in adopted(proto).nodes].count(QDiv) == 1
    assert differences(proto, machine="isaac", fused=False) <= BATCH * 8000 * 1e-4


def test_averages_over_windows_with_gaps() -> None:
    """onnxruntime fuses them into a kernel that does not take them; without fusing it does."""
    net = Net((4, 9, 9), "u1", seed=4)
    x, _ = entered(net)
    mean = net.add("AveragePool", x, kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 0, 1, 2])
    proto = net.model(net.requantized(mean)[0])
    proto.opset_import[0].version = 19  # from which on windows may have gaps
    inputs = samples(import_onnx(proto), BATCH)
    (expected,) = run_onnxruntime(proto, inputs)
    (found,) = Machine(compile_model(proto, "isaac").program).run(inputs).values()
    assert np.count_nonzero(found != expected) <= 1


@pytest.mark.parametrize("dtype", ["u1", "i1"])
def test_everything_else(dtype: str) -> None:
    net = Net((4, 8, 8), dtype, seed=8)
    x, _ = entered(net)
    _, a = net.requantized(net.add("Sigmoid", x))
    _, b = net.requantized(net.add("LeakyRelu", x, alpha=0.125))
    _, joined = net.requantized(net.add("Concat", a, b, axis=1))
    pooled = net.add("MaxPool", joined, kernel_shape=[2, 2], strides=[2, 2])
    _, pooled = net.requantized(net.add("Transpose", pooled, perm=[0, 1, 3, 2]))
    _, mean = net.requantized(net.add("GlobalAveragePool", pooled))
    flat = net.add("Flatten", mean)
    codes, _ = net.requantized(net.add("Softmax", flat, axis=1))
    assert differences(net.model(codes), machine="isaac", fused=False) <= 1


def test_real_output_and_clip_bounds() -> None:
    net = Net((6, 5, 5), "u1", seed=9)
    x, _ = entered(net)
    w, _ = net.kernel((8, 6, 1, 1), 0, "i1")
    bounds = [net.constant(np.asarray(v, np.float32)) for v in (-0.5, 1.0)]
    _, y = net.requantized(net.add("Clip", net.add("Conv", x, w), *bounds), 60)
    assert differences(net.model(y, coded=False), machine="isaac", fused=False) == 0


def test_a_model_quantized_in_part_needs_samples_for_the_rest() -> None:
    """What the model fixes stays: the convolution, its result, and the input of the rest."""
    net = Net((6, 5, 5), "u1", seed=9)
    x, _ = entered(net)
    w, _ = net.kernel((8, 6, 1, 1), 0, "i1")
    codes, y = net.requantized(net.add("Conv", x, w), 60)
    proto = net.model(net.add("Softplus", net.add("Sin", y)), coded=False)
    with pytest.raises(InputError, match="needs calibration data"):
        compile_model(proto, "isaac")
    inputs = samples(import_onnx(proto), BATCH)
    compilation = compile_model(proto, "isaac", calibration_choice=inputs)
    (conv,) = [n for n in compilation.quantized.nodes if isinstance(n.op, QConv)]
    assert isinstance(conv.op, QConv)
    assert conv.op.requant.output.zero_point == (60,)
    assert conv.result.name == codes
    assert conv.operands[0].type.quant == import_onnx(proto).inputs[0].type.quant
    expected = evaluate(compilation.quantized, inputs)
    found = Machine(compilation.program).run(inputs)
    assert all(np.array_equal(found[name], array) for name, array in expected.items())
    (real,) = run_onnxruntime(proto, inputs)
    np.testing.assert_allclose(next(iter(found.values())), real, atol=0.02)


def test_other_parameters_behind_the_same_value_are_a_table() -> None:
    """A float operator between codes takes the parameters of the first Quantize behind it."""
    net = Net((6, 5, 5), "u1", seed=10)
    x, _ = entered(net)
    w = net.constant(net.random.standard_normal((8, 6, 1, 1)).astype(np.float32))
    y = net.add("Conv", x, w)
    first, second = net.requantized(y, 100)[1], net.requantized(y, 20)[1]
    proto = net.model(net.add("Add", first, second), coded=False)
    inputs = samples(import_onnx(proto), BATCH)
    graph = compile_model(proto, "isaac", calibration_choice=inputs).quantized
    (conv,) = [n for n in graph.nodes if isinstance(n.op, QConv)]
    assert isinstance(conv.op, QConv)
    assert conv.op.requant.output.zero_point == (100,)
    (table,) = [n for n in graph.nodes if isinstance(n.op, QUnary)]
    assert isinstance(table.op, QUnary)
    assert table.op.output.zero_point == (20,)


def qoperator(dtype: str) -> ModelProto:
    """Every QLinear operator that has a shape-keeping form, one behind the other."""
    net = Net((4, 8, 8), dtype, seed=11)
    micro = "com.microsoft"
    sx, zx = net.params()
    codes = net.random.integers(-127, 128, (8, 4, 3, 3)).astype(np.int8)
    scales = net.random.uniform(0.002, 0.01, 8).astype(np.float32)
    w = [net.constant(array) for array in (codes, scales, np.zeros(8, np.int8))]
    bias = net.constant(net.random.integers(-900, 900, 8, np.int32))
    first, second, third = (net.params() for _ in range(3))
    a = net.add("QLinearConv", "x", sx, zx, *w, *first, bias, pads=[1, 1, 1, 1])
    b = net.add("QLinearSigmoid", a, *first, *second, domain=micro)
    c = net.add("QLinearLeakyRelu", a, *first, *third, domain=micro, alpha=0.25)
    d = net.add("QLinearAdd", b, *second, c, *third, *first, domain=micro)
    e = net.add("QLinearMul", d, *first, c, *third, *second, domain=micro)
    f = net.add("QLinearConcat", *first, d, *first, e, *second, domain=micro, axis=1)
    pool: dict[str, Any] = {
        "domain": micro,
        "kernel_shape": [3, 3],
        "strides": [2, 2],
        "channels_last": 0,
    }
    g = net.add("QLinearAveragePool", f, *first, *third, **pool)
    h = net.add("QLinearGlobalAveragePool", g, *third, *second, domain=micro, channels_last=0)
    i = net.add("Flatten", h)
    wide = net.random.integers(-127, 128, (16, 8)).astype(np.int8)
    matrix = [net.constant(array) for array in (wide, np.float32(0.01), np.int8(0))]
    j = net.add("QLinearMatMul", i, *second, *matrix, *first)
    small = net.random.integers(-127, 128, (8, 8)).astype(np.int8)
    matrix = [net.constant(array) for array in (small, np.float32(0.01), np.int8(0))]
    k = net.add("QGemm", j, *first, *matrix, bias, *third, domain=micro, transB=1)
    out = net.constant(np.float32(1 / 256)), net.constant(np.asarray(np.iinfo(dtype).min, dtype))
    y = net.add("QLinearSoftmax", k, *third, *out, domain=micro, axis=1, opset=13)
    return net.model(y)


@pytest.mark.parametrize("dtype", ["u1", "i1"])
def test_qlinear_operators(dtype: str) -> None:
    assert differences(qoperator(dtype), machine="isaac") <= 1


def test_codes_of_the_host_are_checked() -> None:
    program = compile_model(qoperator("i1"), "isaac").program
    (binding,) = program.inputs
    assert (binding.scale, binding.zero_point, binding.element.name) == (0.0, 0, "I8")
    assert [b.element.name for b in program.outputs] == ["I8"]


def test_fixed_datapath_is_adopted_too() -> None:
    graph = import_onnx(qoperator("u1"))
    found = Pipeline.parse("adopt-quantization{requant=fixed multiplier-bits=12}").run(
        graph, PassContext()
    )
    modes = {str(node.op.requant.mode) for node in found.nodes if isinstance(node.op, QConv)}
    assert modes == {"fixed"}


def test_float_graphs_are_left_alone() -> None:
    net = Net((4,), "f4")
    graph = import_onnx(net.model(net.add("Relu", "x")))
    assert Pipeline.parse("adopt-quantization").run(graph, PassContext()) is graph

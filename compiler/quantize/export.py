"""Export of a quantized graph as an ONNX model that onnxruntime runs in the same integers.

Arithmetic is written as DequantizeLinear, float operator, QuantizeLinear, in the patterns that
onnxruntime fuses into its QLinear kernels. Operators that only move codes work on codes. Clip
bounds that uint8 does not imply become a Clip of codes. The datapath is always that of
onnxruntime: a graph whose mode is FIXED differs from its export by single steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto

from ..errors import UnsupportedError
from ..ir import Graph, Node, Op
from ..ir.ops.pooling import MaxPool
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.quantized import (
    QAdd,
    QAveragePool,
    QConcat,
    QConv,
    QGlobalAveragePool,
    QMatMul,
    QMul,
    QSoftmax,
    QUnary,
)
from ..ir.ops.shape import Pad, Reshape, Slice, Transpose
from ..ir.ops.unary import (
    Affine,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Relu,
    Sigmoid,
    Tanh,
)
from ..ir.requant import full_range
from .onnx_writer import OnnxWriter


def export_qdq(graph: Graph) -> onnx.ModelProto:
    """The quantized graph as an ONNX model with the same inputs and outputs and a free batch.

    Raises `UnsupportedError` naming every node that has no ONNX form.
    """
    missing = [node for node in graph.nodes if type(node.op) not in _EXPORTS]
    if missing:
        listed = "\n".join(f"  {node.label}: imcc.{node.op.name}" for node in missing)
        raise UnsupportedError(f"these nodes cannot be exported to ONNX:\n{listed}")
    writer = OnnxWriter(graph)
    for node in graph.nodes:
        writer.bind(node.result, _EXPORTS[type(node.op)](writer, node))
    for value, name in zip(graph.outputs, graph.output_names, strict=True):
        writer.output(value, name)
    return writer.model()


def _finish(writer: OnnxWriter, node: Node, real: str) -> str:
    """Codes of the result from its real values."""
    op = node.op
    requant = full_range(op.output) if isinstance(op, _TABLES) else op.requant  # type: ignore[attr-defined]
    return writer.codes(real, requant.output, node.result.name, requant.low, requant.high)


def _name(node: Node) -> str:
    """The name of the float operator of a node."""
    return f"{node.result.name}/{node.op.name}"


def _quantize(writer: OnnxWriter, node: Node) -> str:
    assert isinstance(node.op, Quantize)
    params = node.op.output
    real = writer.tensor(node.operands[0])
    return writer.codes(real, params, node.result.name, params.low, params.high)


def _border(writer: OnnxWriter, node: Node) -> str:
    """Codes of inputs and outputs are what they are."""
    return writer.tensor(node.operands[0])


def _dequantize(writer: OnnxWriter, node: Node) -> str:
    return writer.real(node.operands[0])


def _conv(writer: OnnxWriter, node: Node) -> str:
    op = node.op
    assert isinstance(op, QConv)
    real = writer.add(
        "Conv",
        [writer.real(operand) for operand in node.operands],
        _name(node),
        kernel_shape=node.operands[1].type.shape[2:],
        strides=op.strides,
        pads=op.pads,
        dilations=op.dilations,
        group=op.group,
    )
    return _finish(writer, node, real)


def _matmul(writer: OnnxWriter, node: Node) -> str:
    """Gemm, for onnxruntime's integer MatMul has no bias; higher ranks are flattened around it."""
    x, weights, bias = node.operands
    rows, deep = writer.tensor(x), x.type.rank != 2
    if deep:
        flat = writer.initializer(
            f"{_name(node)}.rows", np.array([-1, weights.type.shape[0]], np.int64)
        )
        rows = writer.add("Reshape", [rows, flat], f"{_name(node)}.flat")
    assert x.type.quant is not None
    inputs = [
        writer.dequantized(rows, x.type.quant, x.name),
        writer.real(weights),
        writer.real(bias),
    ]
    codes = _finish(writer, node, writer.add("Gemm", inputs, _name(node)))
    if not deep:
        return codes
    shape = np.array([-1, *node.result.type.shape[1:]], np.int64)
    target = writer.initializer(f"{_name(node)}.shape", shape)
    return writer.add("Reshape", [codes, target], f"{_name(node)}.deep")


def _arithmetic(op_type: str) -> Callable[[OnnxWriter, Node], str]:
    def export_node(writer: OnnxWriter, node: Node) -> str:
        reals = [writer.real(operand) for operand in node.operands]
        return _finish(writer, node, writer.add(op_type, reals, _name(node)))

    return export_node


def _average_pool(writer: OnnxWriter, node: Node) -> str:
    op, x = node.op, node.operands[0]
    assert isinstance(op, QAveragePool)
    # Where `ceil` adds a window that leaves the padding, onnxruntime's kernel still divides by
    # the whole kernel if padding counts. Padding that is part of the operand always counts.
    explicit = op.ceil and op.count_include_pad and any(op.pads)
    real = writer.add(
        "AveragePool",
        [_padded(writer, node, op.pads) if explicit else writer.real(x)],
        _name(node),
        kernel_shape=op.kernel,
        strides=op.strides,
        pads=[0] * len(op.pads) if explicit else op.pads,
        ceil_mode=int(op.ceil),
        count_include_pad=int(op.count_include_pad and not op.ceil),
    )
    codes = _finish(writer, node, real)
    return _cut(writer, node, codes) if explicit else codes


def _padded(writer: OnnxWriter, node: Node, pads: tuple[int, ...]) -> str:
    """The real values of an operand with zeros around its spatial axes."""
    x, name, rank = node.operands[0], f"{node.result.name}/padded", len(pads) // 2
    assert x.type.quant is not None
    amounts = np.array([0, 0, *pads[:rank], 0, 0, *pads[rank:]], np.int64)
    zero = np.asarray(x.type.quant.zero_point[0], x.type.dtype.numpy)
    inputs = [
        writer.tensor(x),
        writer.initializer(f"{name}/pads", amounts),
        writer.initializer(f"{name}/value", zero),
    ]
    return writer.dequantized(writer.add("Pad", inputs, name), x.type.quant, x.name)


def _cut(writer: OnnxWriter, node: Node, codes: str) -> str:
    """Without the windows that begin in the padding, which the result does not have."""
    spatial, name = node.result.type.shape[2:], f"{node.result.name}/cut"
    columns = {"starts": [0] * len(spatial), "ends": spatial, "axes": range(2, 2 + len(spatial))}
    inputs = [
        writer.initializer(f"{name}/{which}", np.array(list(values), np.int64))
        for which, values in columns.items()
    ]
    return writer.add("Slice", [codes, *inputs], name)


def _softmax(writer: OnnxWriter, node: Node) -> str:
    assert isinstance(node.op, QSoftmax)
    x = writer.real(node.operands[0])
    return _finish(writer, node, writer.add("Softmax", [x], _name(node), axis=node.op.axis))


def _concat(writer: OnnxWriter, node: Node) -> str:
    op = node.op
    assert isinstance(op, QConcat)
    if all(table is None for table in op.tables([v.type for v in node.operands])):
        codes = [writer.tensor(operand) for operand in node.operands]
        return writer.add("Concat", codes, node.result.name, axis=op.axis)
    reals = [writer.real(operand) for operand in node.operands]
    return _finish(writer, node, writer.add("Concat", reals, _name(node), axis=op.axis))


def _unary(writer: OnnxWriter, node: Node) -> str:
    assert isinstance(node.op, QUnary)
    function = node.op.function
    if type(function) not in _FUNCTIONS:
        return _table(writer, node, node.op)
    real = _FUNCTIONS[type(function)](writer, function, writer.real(node.operands[0]), _name(node))
    return _finish(writer, node, real)


def _table(writer: OnnxWriter, node: Node, op: QUnary) -> str:
    """A function that has no quantized kernel: its 256 codes, looked up."""
    quant = node.operands[0].type.quant
    assert quant is not None
    codes = writer.initializer(f"{_name(node)}.table", op.table(quant))
    index = writer.add(
        "Cast", [writer.tensor(node.operands[0])], f"{_name(node)}/index", to=TensorProto.INT32
    )
    return writer.add("Gather", [codes, index], _name(node), axis=0)


_Function = Callable[[OnnxWriter, Op, str, str], str]


def _plain(op_type: str, *attributes: str) -> _Function:
    def export_function(writer: OnnxWriter, op: Op, x: str, name: str) -> str:
        return writer.add(op_type, [x], name, **{a: getattr(op, a) for a in attributes})

    return export_function


def _clip(writer: OnnxWriter, op: Op, x: str, name: str) -> str:
    assert isinstance(op, Clip)
    bounds = [
        writer.initializer(f"{name}.low", np.float32(op.low)),
        writer.initializer(f"{name}.high", np.float32(op.high)),
    ]
    return writer.add("Clip", [x, *bounds], name)


def _affine(writer: OnnxWriter, op: Op, x: str, name: str) -> str:
    assert isinstance(op, Affine)
    scale = writer.initializer(f"{name}.scale", np.float32(op.scale))
    offset = writer.initializer(f"{name}.offset", np.float32(op.offset))
    return writer.add("Add", [writer.add("Mul", [x, scale], name), offset], name)


def _max_pool(writer: OnnxWriter, node: Node) -> str:
    op = node.op
    assert isinstance(op, MaxPool)
    return writer.add(
        "MaxPool",
        [writer.tensor(node.operands[0])],
        node.result.name,
        kernel_shape=op.kernel,
        strides=op.strides,
        pads=op.pads,
        dilations=op.dilations,
        ceil_mode=int(op.ceil),
    )


def _reshape(writer: OnnxWriter, node: Node) -> str:
    assert isinstance(node.op, Reshape)
    name = node.result.name
    # A 0 keeps the extent of the axis: here the batch.
    shape = writer.initializer(f"{name}/shape", np.array([0, *node.op.shape[1:]], np.int64))
    return writer.add("Reshape", [writer.tensor(node.operands[0]), shape], name)


def _transpose(writer: OnnxWriter, node: Node) -> str:
    assert isinstance(node.op, Transpose)
    x = writer.tensor(node.operands[0])
    return writer.add("Transpose", [x], node.result.name, perm=node.op.perm)


def _pad(writer: OnnxWriter, node: Node) -> str:
    op, name, x = node.op, node.result.name, node.operands[0]
    assert isinstance(op, Pad)
    pads = writer.initializer(f"{name}/pads", np.array([*op.pads_begin, *op.pads_end], np.int64))
    constant = np.asarray(op.constant(x.type), x.type.dtype.numpy)
    value = writer.initializer(f"{name}/value", constant)
    return writer.add("Pad", [writer.tensor(x), pads, value], name)


def _slice(writer: OnnxWriter, node: Node) -> str:
    op, name = node.op, node.result.name
    assert isinstance(op, Slice)
    # The batch axis is left out, so that its extent stays free. An end before element 0 is
    # written as a number that stays negative when the extent is added.
    ends = [end if end >= 0 else np.iinfo(np.int64).min for end in op.ends]
    columns = {
        "starts": op.starts[1:],
        "ends": ends[1:],
        "axes": range(1, len(op.starts)),
        "steps": op.steps[1:],
    }
    inputs = [
        writer.initializer(f"{name}/{which}", np.array(list(values), np.int64))
        for which, values in columns.items()
    ]
    return writer.add("Slice", [writer.tensor(node.operands[0]), *inputs], name)


_TABLES = (QUnary, QConcat, QSoftmax)
_FUNCTIONS: dict[type[Op], _Function] = {
    Relu: _plain("Relu"),
    Clip: _clip,
    LeakyRelu: _plain("LeakyRelu", "alpha"),
    Sigmoid: _plain("Sigmoid"),
    Tanh: _plain("Tanh"),
    HardSigmoid: _plain("HardSigmoid", "alpha", "beta"),
    HardSwish: _plain("HardSwish"),
    Affine: _affine,
}
_EXPORTS: dict[type[Op], Callable[[OnnxWriter, Node], str]] = {
    Quantize: _quantize,
    Dequantize: _dequantize,
    Enter: _border,
    Leave: _border,
    QConv: _conv,
    QMatMul: _matmul,
    QAdd: _arithmetic("Add"),
    QMul: _arithmetic("Mul"),
    QGlobalAveragePool: _arithmetic("GlobalAveragePool"),
    QAveragePool: _average_pool,
    QSoftmax: _softmax,
    QConcat: _concat,
    QUnary: _unary,
    MaxPool: _max_pool,
    Reshape: _reshape,
    Transpose: _transpose,
    Pad: _pad,
    Slice: _slice,
}

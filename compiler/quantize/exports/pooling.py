"""Poolings."""

from __future__ import annotations

import numpy as np

from ...ir import Node
from ...ir.ops.pooling import MaxPool
from ...ir.ops.quantized_pooling import QAveragePool, QGlobalAveragePool
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name


@exports(QGlobalAveragePool)
def export_global_average_pool(writer: OnnxWriter, node: Node) -> str:
    """GlobalAveragePool."""
    real = writer.add("GlobalAveragePool", [writer.real(node.operands[0])], node_name(node))
    return finish(writer, node, real)


@exports(QAveragePool)
def export_average_pool(writer: OnnxWriter, node: Node) -> str:
    """AveragePool; over windows with gaps, which it has only in later operator sets, a Conv."""
    op, x = node.op, node.operands[0]
    assert isinstance(op, QAveragePool)
    if set(op.windows.dilations) != {1}:
        return finish(writer, node, _average_of_gaps(writer, node, op))
    # Where `ceil` adds a window that leaves the padding, onnxruntime's kernel still divides by
    # the whole kernel if padding counts. Padding that is part of the operand always counts.
    explicit = op.ceil and op.count_include_pad and any(op.pads)
    real = writer.add(
        "AveragePool",
        [_padded(writer, node, op.pads) if explicit else writer.real(x)],
        node_name(node),
        kernel_shape=op.kernel,
        strides=op.strides,
        pads=[0] * len(op.pads) if explicit else op.pads,
        ceil_mode=int(op.ceil),
        count_include_pad=int(op.count_include_pad and not op.ceil),
    )
    codes = finish(writer, node, real)
    return _cut(writer, node, codes) if explicit else codes


def _average_of_gaps(writer: OnnxWriter, node: Node, op: QAveragePool) -> str:
    """Sums as a convolution with ones, channel by channel, over the number of elements."""
    (x,), name, windows = node.operands, node_name(node), op.windows
    channels, spatial = x.type.shape[1], x.type.shape[2:]
    before = op.pads[: len(spatial)]
    geometry = zip(node.result.type.shape[2:], op.strides, windows.spans, strict=True)
    read = [(count - 1) * stride + span for count, stride, span in geometry]
    after = [max(0, r - e - b) for r, e, b in zip(read, spatial, before, strict=True)]
    ones = writer.initializer(f"{name}.ones", np.ones((channels, 1, *op.kernel), np.float32))
    total = writer.add(
        "Conv",
        [writer.real(x), ones],
        f"{name}/sum",
        strides=op.strides,
        pads=(*before, *after),
        dilations=windows.dilations,
        group=channels,
    )
    parts = (np.float32(1) / op.counts([x.type]).astype(np.float32)).astype(np.float32)
    return writer.add("Mul", [total, writer.initializer(f"{name}.parts", parts)], name)


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


@exports(MaxPool)
def export_max_pool(writer: OnnxWriter, node: Node) -> str:
    """MaxPool of codes."""
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

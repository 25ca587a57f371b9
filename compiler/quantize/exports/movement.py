"""Operators that move codes."""

from __future__ import annotations

import numpy as np

from ...ir import Node
from ...ir.ops.quantized import QConcat
from ...ir.ops.shape import Pad, Reshape, Slice, Transpose
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name


@exports(QConcat)
def export_concat(writer: OnnxWriter, node: Node) -> str:
    """Concat of codes where all parameters are equal."""
    op = node.op
    assert isinstance(op, QConcat)
    if all(table is None for table in op.tables([v.type for v in node.operands])):
        codes = [writer.tensor(operand) for operand in node.operands]
        return writer.add("Concat", codes, node.result.name, axis=op.axis)
    reals = [writer.real(operand) for operand in node.operands]
    return finish(writer, node, writer.add("Concat", reals, node_name(node), axis=op.axis))


@exports(Reshape)
def export_reshape(writer: OnnxWriter, node: Node) -> str:
    """Reshape of codes."""
    assert isinstance(node.op, Reshape)
    name = node.result.name
    # A 0 keeps the extent of the axis: here the batch.
    shape = writer.initializer(f"{name}/shape", np.array([0, *node.op.shape[1:]], np.int64))
    return writer.add("Reshape", [writer.tensor(node.operands[0]), shape], name)


@exports(Transpose)
def export_transpose(writer: OnnxWriter, node: Node) -> str:
    """Transpose of codes."""
    assert isinstance(node.op, Transpose)
    x = writer.tensor(node.operands[0])
    return writer.add("Transpose", [x], node.result.name, perm=node.op.perm)


@exports(Pad)
def export_pad(writer: OnnxWriter, node: Node) -> str:
    """Pad of codes."""
    op, name, x = node.op, node.result.name, node.operands[0]
    assert isinstance(op, Pad)
    pads = writer.initializer(f"{name}/pads", np.array([*op.pads_begin, *op.pads_end], np.int64))
    constant = np.asarray(op.constant(x.type), x.type.dtype.numpy)
    value = writer.initializer(f"{name}/value", constant)
    return writer.add("Pad", [writer.tensor(x), pads, value], name)


@exports(Slice)
def export_slice(writer: OnnxWriter, node: Node) -> str:
    """Slice of codes."""
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

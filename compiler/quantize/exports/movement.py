"""Operators that move codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...ir import Node
from ...ir.ops.dilate import Dilate
from ...ir.ops.indexing import Gather
from ...ir.ops.quantized import QConcat
from ...ir.ops.shape import Expand, Pad, Reshape, Slice, Transpose
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name


@exports(QConcat)
def export_concat(writer: OnnxWriter, node: Node) -> str:
    """Concat of codes where all parameters are equal."""
    op = node.op
    assert isinstance(op, QConcat)
    if all(table is None for table in op.tables([v.type for v in node.operands])):
        codes = _repeated(writer, node, [writer.tensor(operand) for operand in node.operands])
        return writer.add("Concat", codes, node.result.name, axis=op.axis)
    reals = _repeated(writer, node, [writer.real(operand) for operand in node.operands])
    return finish(writer, node, writer.add("Concat", reals, node_name(node), axis=op.axis))


def _repeated(writer: OnnxWriter, node: Node, parts: Sequence[str]) -> list[str]:
    """Parts of a concatenation, the constant ones once for each sample of the batch."""
    fixed = [writer.is_constant(operand) for operand in node.operands]
    if not any(fixed):
        return list(parts)
    name = f"{node.result.name}/batch"
    shape = writer.add("Shape", [parts[fixed.index(False)]], name, start=0, end=1)
    repeated = []
    for operand, part, is_fixed in zip(node.operands, parts, fixed, strict=True):
        if is_fixed:
            rest = _ints(writer, f"{name}/{operand.name}", list(operand.type.shape[1:]))
            whole = writer.add("Concat", [shape, rest], f"{name}/shape", axis=0)
            part = writer.add("Expand", [part, whole], f"{name}/expand")
        repeated.append(part)
    return repeated


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


@exports(Expand)
def export_expand(writer: OnnxWriter, node: Node) -> str:
    """Expand of codes; a 1 leaves the batch as it is."""
    assert isinstance(node.op, Expand)
    name = node.result.name
    shape = writer.initializer(f"{name}/shape", np.array([1, *node.op.shape[1:]], np.int64))
    return writer.add("Expand", [writer.tensor(node.operands[0]), shape], name)


@exports(Gather)
def export_gather(writer: OnnxWriter, node: Node) -> str:
    """Gather of codes."""
    assert isinstance(node.op, Gather)
    inputs = [writer.tensor(operand) for operand in node.operands]
    return writer.add("Gather", inputs, node.result.name, axis=node.op.axis)


@exports(Dilate)
def export_dilate(writer: OnnxWriter, node: Node) -> str:
    """An axis for the zeros behind each element, which is joined to its own; the last are cut."""
    op, x, name = node.op, node.operands[0], node.result.name
    assert isinstance(op, Dilate)
    assert x.type.quant is not None
    spatial = x.type.shape[2:]
    apart = [0, x.type.shape[1], *(n for extent in spatial for n in (extent, 1))]
    codes = writer.add("Reshape", [writer.tensor(x), _ints(writer, f"{name}/apart", apart)], name)
    ends = [n for step in op.strides for n in (0, step - 1)]
    zero = np.asarray(x.type.quant.zero_point[0], x.type.dtype.numpy)
    inputs = [
        _ints(writer, f"{name}/pads", [0] * (len(apart) + 2) + ends),
        writer.initializer(f"{name}/zero", zero),
    ]
    codes = writer.add("Pad", [codes, *inputs], name)
    joined = [n * step for n, step in zip(spatial, op.strides, strict=True)]
    shape = _ints(writer, f"{name}/joined", [0, x.type.shape[1], *joined])
    codes = writer.add("Reshape", [codes, shape], name)
    columns = {
        "starts": [0] * len(spatial),
        "ends": node.result.type.shape[2:],
        "axes": range(2, 2 + len(spatial)),
    }
    bounds = [_ints(writer, f"{name}/{which}", values) for which, values in columns.items()]
    return writer.add("Slice", [codes, *bounds], name)


def _ints(writer: OnnxWriter, name: str, values: Iterable[int]) -> str:
    return writer.initializer(name, np.array(list(values), np.int64))

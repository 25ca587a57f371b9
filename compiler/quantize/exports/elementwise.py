"""Operators on one code at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from ...ir import Node, Op
from ...ir.ops.quantized import QAdd, QMul, QUnary
from ...ir.ops.quantized_divide import QDiv
from ...ir.ops.unary import (
    Affine,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Relu,
    Sigmoid,
    Tanh,
)
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name


@exports(QAdd)
def export_add(writer: OnnxWriter, node: Node) -> str:
    """Add."""
    return _arithmetic(writer, node, "Add")


@exports(QMul)
def export_mul(writer: OnnxWriter, node: Node) -> str:
    """Mul."""
    return _arithmetic(writer, node, "Mul")


@exports(QDiv)
def export_div(writer: OnnxWriter, node: Node) -> str:
    """Div, which onnxruntime computes in floats."""
    return _arithmetic(writer, node, "Div")


def _arithmetic(writer: OnnxWriter, node: Node, op_type: str) -> str:
    reals = [writer.real(operand) for operand in node.operands]
    return finish(writer, node, writer.add(op_type, reals, node_name(node)))


@exports(QUnary)
def export_unary(writer: OnnxWriter, node: Node) -> str:
    """A function that has a quantized kernel, or its table."""
    assert isinstance(node.op, QUnary)
    function = node.op.function
    if type(function) not in _FUNCTIONS:
        return _table(writer, node, node.op)
    real = _FUNCTIONS[type(function)](
        writer, function, writer.real(node.operands[0]), node_name(node)
    )
    return finish(writer, node, real)


def _table(writer: OnnxWriter, node: Node, op: QUnary) -> str:
    """A function that has no quantized kernel: its 256 codes, looked up."""
    quant = node.operands[0].type.quant
    assert quant is not None
    codes = writer.initializer(f"{node_name(node)}.table", op.table(quant))
    index = writer.add(
        "Cast", [writer.tensor(node.operands[0])], f"{node_name(node)}/index", to=TensorProto.INT32
    )
    return writer.add("Gather", [codes, index], node_name(node), axis=0)


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

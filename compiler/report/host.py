"""What the host computes of a network: which nodes, why, and what share of the work they are.

Work is counted in multiply-accumulates of convolutions and matrix products, for one input, and in
values: elements of all results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from onnx import ModelProto, NodeProto, load_model_from_string, shape_inference

from ..diagnostics import Diagnostic
from ..driver import Compilation
from ..ir import Graph, Node
from ..ir.ops.host import Host
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.ops.quantized_dot import QDot

Shape = tuple[int, ...]


@dataclass(frozen=True)
class HostRow:
    """An ONNX node that the host computes."""

    node: str
    op_type: str
    why: str


@dataclass(frozen=True)
class Work:
    """Multiply-accumulates and values of a network or a part of it."""

    macs: int
    values: int

    def __add__(self, other: Work) -> Work:
        return Work(self.macs + other.macs, self.values + other.values)


@dataclass(frozen=True)
class HostShare:
    """All host nodes, in how many partitions they run, and their share of the work (0..1)."""

    nodes: tuple[HostRow, ...]
    partitions: int
    macs: float
    values: float


def host_share(compilation: Compilation) -> HostShare:
    """What the host computes of a compiled network."""
    graph = compilation.quantized
    ops = [node.op for node in graph.nodes if isinstance(node.op, Host)]
    host = sum((_host_work(op) for op in ops), Work(0, 0))
    total = host + _machine_work(graph)
    return HostShare(
        tuple(map(_row, compilation.hosted)),
        len(ops),
        host.macs / max(total.macs, 1),
        host.values / max(total.values, 1),
    )


def _row(found: Diagnostic) -> HostRow:
    return HostRow(found.node, found.op_type, found.reason or found.message)


def _machine_work(graph: Graph) -> Work:
    nodes = [node for node in graph.nodes if not isinstance(node.op, Host)]
    values = sum(value.type.size for node in nodes for value in node.results)
    return Work(sum(map(_macs, nodes)), values)


def _macs(node: Node) -> int:
    """Elements of the result times the length of the sums that they are."""
    match node.op:
        case QConv():
            return node.result.type.size * prod(node.operands[1].type.shape[1:])
        case QMatMul():
            return node.result.type.size * node.operands[1].type.shape[0]
        case QDot():
            return node.result.type.size * node.operands[0].type.shape[-1]
    return 0


def _host_work(op: Host) -> Work:
    model = shape_inference.infer_shapes(load_model_from_string(op.model))
    shapes = _shapes(model)
    macs = values = 0
    for node in model.graph.node:
        results = [prod(shapes[name]) for name in node.output if name in shapes]
        values += sum(results)
        count = _HOST_MACS.get(node.op_type)
        operands = [shapes.get(name) for name in node.input[:2]]
        if count is not None and results and None not in operands:
            macs += results[0] * count(node, [s for s in operands if s is not None])
    return Work(macs, values)


def _shapes(model: ModelProto) -> Mapping[str, Shape]:
    graph = model.graph
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for entry in (*graph.input, *graph.value_info, *graph.output):
        shapes[entry.name] = tuple(dim.dim_value for dim in entry.type.tensor_type.shape.dim)
    return shapes


def _conv(node: NodeProto, operands: list[Shape]) -> int:
    return prod(operands[1][1:])


def _matmul(node: NodeProto, operands: list[Shape]) -> int:
    return operands[0][-1]


def _gemm(node: NodeProto, operands: list[Shape]) -> int:
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return operands[0][0 if transposed else -1]


# Products that make one element of the result, for operands of these shapes.
_HOST_MACS: Mapping[str, Callable[[NodeProto, list[Shape]], int]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
}

"""A small program with a host partition: the two largest of four numbers, and where they are."""

from __future__ import annotations

from onnx import TensorProto, helper

from imcc.isa import (
    Binding,
    ElementType,
    HostPartition,
    HostType,
    Instruction,
    Program,
    Space,
    load_target,
)
from imcc.isa.instructions import Dim, Halt, Host, Load, Store, Stream

CODES = 192


def host_program() -> Program:
    """The program: `x` [1, 4] to `best` [1, 2] on codes of 0.5, and `index` [1, 2] as int64."""
    x = Binding.plain("x", HostType.F32, (1, 4), 0)
    best = Binding("best", ElementType.U8, (1, 2), 64, 0.5, 3, HostType.F32, 8)
    index = Binding.plain("index", HostType.I64, (1, 2), 128)
    values = Binding("values", ElementType.U8, (1, 2), CODES, 0.5, 3, HostType.F32, 8)
    return Program(
        load_target("tiny"),
        {0: _code()},
        (),
        b"",
        (x,),
        (best, index),
        256,
        hosts=(HostPartition("top", _model(), (x,), (values, index), ("/top/TopK",)),),
    )


def _model() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("TopK", ["x", "k"], ["values", "index"])],
        "top",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [
            helper.make_tensor_value_info("values", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("index", TensorProto.INT64, [1, 2]),
        ],
        [helper.make_tensor("k", TensorProto.INT64, [1], [2])],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def _code() -> tuple[Instruction, ...]:
    return (
        Host(0),
        *_stream(0, Space.LOCAL, 0),
        *_stream(1, Space.GLOBAL, CODES),
        Load(0, 1),
        *_stream(2, Space.GLOBAL, 64),
        Store(2, 0),
        Halt(),
    )


def _stream(register: int, space: Space, base: int) -> tuple[Instruction, ...]:
    return Stream(register, space, ElementType.U8, base), Dim(register, 5, 2, 1)

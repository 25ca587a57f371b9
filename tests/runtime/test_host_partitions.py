"""Host partitions on the machine: values as they are, codes, and what can go wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from support.host_program import host_program

from imcc.isa import (
    Binding,
    ElementType,
    HostPartition,
    HostType,
    Program,
    ValidationError,
    validate,
)
from imcc.isa.instructions import Halt, Host, Loop
from imcc.runtime import Machine, MachineError, Trace, profile

X = np.array([[1.25, -8.0, 7.5, 3.0], [400.0, 0.26, 0.1, -1.0]], np.float32)
BEST = np.array([[7.5, 3.0], [126.0, 0.5]], np.float32)  # 126 is the largest code
INDEX = np.array([[2, 3], [0, 1]])


def test_results_come_quantized_or_as_they_are() -> None:
    found = Machine(host_program(), validate=True).run({"x": X})
    np.testing.assert_array_equal(found["best"], BEST)
    np.testing.assert_array_equal(found["index"], INDEX)
    assert [str(found[name].dtype) for name in ("best", "index")] == ["float32", "int64"]


def test_literal_steps_give_the_same() -> None:
    machine = Machine(host_program())
    lines = Trace.record(machine, {"x": X}).lines
    assert [line.text for line in lines] == ["host p0", "load s0, s1", "store s2, s0"]
    np.testing.assert_array_equal(machine.outputs()["best"], BEST)
    np.testing.assert_array_equal(machine.outputs()["index"], INDEX)


def test_the_profile_counts_no_cycles_of_the_host() -> None:
    assert profile(host_program()).macs == 0


def _with_host(**changes: Any) -> Program:
    program = host_program()
    return replace(program, hosts=(replace(program.hosts[0], **changes),))


def test_what_is_no_model_is_refused_by_name() -> None:
    with pytest.raises(MachineError, match=r"'top' \(node '/top/TopK'\) cannot run"):
        Machine(_with_host(model=b"no model")).run({"x": X})


def test_results_of_another_shape_are_refused() -> None:
    host = host_program().hosts[0]
    outputs = (replace(host.outputs[0], shape=(2, 1)), host.outputs[1])
    with pytest.raises(MachineError, match=r"'values' has shape \[1, 2\]; the program says"):
        Machine(_with_host(outputs=outputs)).run({"x": X})


def test_models_must_not_read_files() -> None:
    import onnx

    model = onnx.load_model_from_string(host_program().hosts[0].model)
    tensor = model.graph.initializer[0]
    tensor.ClearField("int64_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    with pytest.raises(MachineError, match="'k' is in another file"):
        Machine(_with_host(model=model.SerializeToString())).run({"x": X})


def test_a_partition_that_is_not_there_is_refused() -> None:
    program = replace(host_program(), hosts=())
    with pytest.raises(MachineError, match="there is no host partition p0"):
        Machine(program)


def _refusal(program: Program) -> str:
    with pytest.raises(ValidationError) as caught:
        validate(program)
    return str(caught.value)


def _moved(index: int, address: int) -> Program:
    """The partition with an output elsewhere."""
    outputs = list(host_program().hosts[0].outputs)
    outputs[index] = replace(outputs[index], address=address)
    return _with_host(outputs=tuple(outputs))


def test_the_validator_checks_partitions() -> None:
    program = host_program()
    code = program.cores[0]
    host: HostPartition = program.hosts[0]
    elsewhere = replace(host.inputs[0], address=240)
    assert "partition p0 does not exist" in _refusal(replace(program, hosts=()))
    assert "p0 'top' is never run" in _refusal(replace(program, cores={0: code[1:]}))
    assert "p0 is run a second time" in _refusal(
        replace(program, cores={0: (Loop(2, 1), Host(0), *code[1:])})
    )
    assert "allowed are 0..255" in _refusal(_moved(0, 255))
    assert "overlap" in _refusal(_moved(0, 130))
    assert "16 bytes of global memory that nothing has written" in _refusal(
        _with_host(inputs=(elsewhere,))
    )
    as_bytes = replace(host.inputs[0], element=ElementType.U8, bits=8)
    assert "they lie in elements of u32" in _refusal(_with_host(inputs=(as_bytes,)))
    wide = replace(host.inputs[0], bits=33)
    assert "codes of 33 bits in 4 bytes" in _refusal(_with_host(inputs=(wide,)))
    assert "never stored" in _refusal(replace(program, cores={0: (Host(0), Halt())}))


def test_without_onnxruntime_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it fails
    program = _with_host(model=host_program().hosts[0].model + b"\x22\x00")  # not opened before
    with pytest.raises(MachineError, match=r"'top' .* needs onnxruntime, which is not installed"):
        Machine(program).run({"x": X})


def test_integers_beyond_their_element_are_refused() -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)],
        "cast",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [1, 4])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    program = host_program()
    x, y = program.inputs[0], Binding.plain("y", HostType.I64, (1, 4), 64)
    host = HostPartition("cast", made.SerializeToString(), (x,), (y,), ())
    alone = replace(program, outputs=(y,), hosts=(host,), cores={0: (Host(0), Halt())})
    machine = Machine(alone, validate=True)
    np.testing.assert_array_equal(machine.run({"x": X})["y"], X.astype(np.int64))
    with pytest.raises(MachineError, match=r"'y' holds -8 to 3000000000, .* not fit i32"):
        machine.run({"x": np.array([[3e9, -8, 0, 1]], np.float32)})

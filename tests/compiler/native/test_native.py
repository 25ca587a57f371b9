"""Native code that crashes, hangs or takes too much memory ends a worker and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from support.hostile_models import constant_of_shape, endless_loop, laughs
from support.onnx_models import i64, model, node

from imcc.compiler.limits import Limits, applied
from imcc.compiler.native import NativeCrashError, NativeError, Output, inlined, tried
from imcc.compiler.native.client import Worker


def crashing(folder: Path, what: str) -> Worker:
    """A worker that does something bad when it is asked."""
    script = folder / "worker.py"
    script.write_text(f"import os, signal, sys\nsys.stdin.buffer.read(1)\n{what}\n")
    return Worker(script)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("os.kill(os.getpid(), 11)", "it ended with SIGSEGV"),
        ("os.abort()", "it ended with SIGABRT"),
        ("sys.exit(7)", "it ended with code 7"),
    ],
)
def test_a_crash_is_an_error_and_the_next_question_is_answered(
    tmp_path: Path, what: str, text: str
) -> None:
    worker = crashing(tmp_path, what)
    for _ in range(2):
        with pytest.raises(NativeCrashError, match=text):
            worker.ask({"task": "try"}, b"")
    worker.close()


def test_what_takes_too_long_is_stopped(tmp_path: Path) -> None:
    endless = "signal.setitimer(signal.ITIMER_PROF, 0.1)\nwhile True: pass"
    worker = crashing(tmp_path, endless)
    with (
        applied(Limits(native_seconds=7)),
        pytest.raises(NativeCrashError, match=r"longer than 7 s .* native-seconds"),
    ):
        worker.ask({"task": "try"}, b"")


def test_an_endless_loop_is_stopped() -> None:
    data = endless_loop()
    with pytest.raises(NativeCrashError, match="longer than 1 s"):
        tried(data)


def test_outputs_are_those_of_onnxruntime() -> None:
    made = model([node("TopK", "x k", "y i")], {"x": [1, 8]}, {"k": i64([3])}, outputs="y i")
    made.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    assert tried(made.SerializeToString()) == (
        Output("y", "tensor(float)", (1, 3)),
        Output("i", "tensor(int64)", (1, 3)),
    )


def test_what_onnxruntime_refuses_is_no_crash() -> None:
    made = model([node("Relu", "x z", "y")], {"x": [1, 8]}, {"z": np.zeros(1, np.float32)})
    with pytest.raises(NativeError, match="Relu"):
        tried(made.SerializeToString())


@pytest.mark.parametrize("data", [constant_of_shape, laughs])
def test_bombs_do_not_reach_this_process(data: object) -> None:
    assert callable(data)
    with applied(Limits(native_mib=100)):
        try:
            tried(data())
        except (NativeError, NativeCrashError):
            return
    # The run failed inside the worker, which survived.
    assert tried(model([node("Relu", "x", "y")], {"x": [1, 8]}).SerializeToString())


def test_inlining_keeps_weights() -> None:
    weight = np.arange(4096, dtype=np.float32)
    nodes = [node("Add", "x w", "a"), node("Softsign", "a", "y")]
    made = model(nodes, {"x": [1, 4096]}, {"w": weight}, opset=22)
    found = inlined(made, "", "Softsign")
    assert "Softsign" not in {entry.op_type for entry in found.graph.node}
    assert found.graph.initializer == made.graph.initializer
    assert found.graph.node[0] == made.graph.node[0]

"""The side of the compiler: one worker, started when it is first needed."""

from __future__ import annotations

import atexit
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from signal import Signals
from threading import Timer
from typing import Any

from onnx import GraphProto, ModelProto, TensorProto

from ..limits import limits
from .messages import receive, send

_WORKER = Path(__file__).with_name("worker.py")
_REMEMBERED = 256
_PATIENCE = 60  # seconds that a second of processor time may take on a busy computer
_SMALL = 1024  # bytes of weights that may be shapes


class NativeError(Exception):
    """What native code said of a model."""


class NativeCrashError(Exception):
    """Native code did not survive a model, or took too long or too much memory."""


@dataclass(frozen=True)
class Output:
    """An output as onnxruntime describes it: ``tensor(float)``, extents or symbols."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]


class Worker:
    """A process that may die; the next question then starts another."""

    def __init__(self, script: Path = _WORKER) -> None:
        self._script = script
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, header: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """The answer to a message; raises `NativeError` and `NativeCrashError`."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        seconds = limits().native_seconds
        bounds = {"seconds": seconds, "bytes": limits().native_mib << 20}
        timer = Timer(_PATIENCE * seconds, process.kill)
        timer.start()
        try:
            send(process.stdin, {**header, **bounds}, body)
            found, data = receive(process.stdout)
        except (EOFError, OSError) as error:
            raise NativeCrashError(self._ending(process)) from error
        finally:
            timer.cancel()
        if "error" in found:
            raise NativeError(found["error"])
        return found, data

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, self._script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _ending(self, process: subprocess.Popen[bytes]) -> str:
        self._process = None
        process.communicate()
        code = process.returncode
        if code in (-Signals.SIGPROF, -Signals.SIGKILL):
            most = f"{limits().native_seconds} s"
            return f"it took longer than {most} and was stopped (--limit native-seconds=...)"
        return f"it ended with {Signals(-code).name}" if code < 0 else f"it ended with code {code}"


_SHARED = Worker()
atexit.register(_SHARED.close)


@lru_cache(_REMEMBERED)
def tried(model: bytes) -> tuple[Output, ...]:
    """Open a model of static shapes in onnxruntime and run it once; returns its outputs.

    Raises `NativeError` where onnxruntime refuses it, `NativeCrashError` where it does not survive.
    """
    found, _ = _SHARED.ask({"task": "try"}, model)
    return tuple(Output(name, type_, tuple(shape)) for name, type_, shape in found["outputs"])


def inlined(proto: ModelProto, domain: str, name: str) -> ModelProto:
    """The model with the body that ONNX defines for an operator in its place; weights stay here.

    Raises as `tried`.
    """
    header = {"task": "inline", "domain": domain, "name": name}
    _, data = _SHARED.ask(header, _without_weights(proto).SerializeToString())
    found = ModelProto()
    found.ParseFromString(data)
    del found.graph.initializer[:]
    found.graph.initializer.extend(proto.graph.initializer)
    return found


def _without_weights(proto: ModelProto) -> ModelProto:
    graph = GraphProto(name=proto.graph.name, node=proto.graph.node)
    for field in ("input", "output", "value_info"):
        getattr(graph, field).extend(getattr(proto.graph, field))
    graph.initializer.extend(map(_type_of, proto.graph.initializer))
    return ModelProto(
        ir_version=proto.ir_version,
        opset_import=proto.opset_import,
        functions=proto.functions,
        graph=graph,
    )


def _type_of(tensor: TensorProto) -> TensorProto:
    if tensor.ByteSize() <= _SMALL:
        return tensor
    return TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)

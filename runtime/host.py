"""Host partitions: what the chip cannot compute runs in onnxruntime, one input after the other.

onnxruntime is imported when the first partition runs. Sessions are pinned: one thread and no
optimizations, so that results do not depend on the computer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from imcc.isa.instructions import Host
from imcc.isa.program import Binding, HostPartition, Program

from .bindings import codes_of, place_of, values_of
from .errors import MachineError
from .memory import Elements, Memory, Place

if TYPE_CHECKING:
    from .steps import Run, Worker

_FATAL_ONLY = 4  # errors are raised as well
_SESSIONS = 64


@dataclass(frozen=True)
class HostStep:
    """Runs a partition for all inputs of a chunk."""

    partition: HostPartition

    @property
    def reads(self) -> tuple[Place, ...]:
        """See `Step`."""
        return tuple(map(place_of, self.partition.inputs))

    @property
    def writes(self) -> tuple[Place, ...]:
        """See `Step`."""
        return tuple(map(place_of, self.partition.outputs))

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        return lambda: self.run(worker.memory)

    def run(self, memory: Memory) -> None:
        """Read the partition's inputs from global memory and write its results there."""
        sources = [memory.view(place) for place in self.reads]
        targets = [memory.view(place) for place in self.writes]
        for index in range(memory.batch):
            results = run_partition(self.partition, [source[index] for source in sources])
            for target, codes in zip(targets, results, strict=True):
                target[index] = codes.reshape(target[index].shape)


class Session(Protocol):
    """What is used of an onnxruntime session."""

    def run(self, names: Sequence[str], inputs: Mapping[str, Elements]) -> Sequence[Any]:
        """Results by name."""
        ...


def host_step(program: Program, instruction: Host) -> HostStep:
    """The step of a partition, which the program must have (see `checks`)."""
    return HostStep(program.hosts[instruction.partition])


def run_partition(partition: HostPartition, inputs: Sequence[Elements]) -> list[Elements]:
    """Codes of the results, in the order of `outputs`, for codes of the inputs of one sample.

    Inputs become values as their bindings say, results become codes. Raises `MachineError` where
    onnxruntime is missing, refuses the model or fails.
    """
    values = {
        binding.name: np.asarray(values_of(binding, np.asarray(codes))).reshape(binding.shape)
        for binding, codes in zip(partition.inputs, inputs, strict=True)
    }
    names = [binding.name for binding in partition.outputs]
    session = _session(partition)
    try:
        results = session.run(names, values)
    except Exception as error:  # onnxruntime's errors have no common class
        raise _failure(partition, error) from error
    return [
        _checked_codes(partition, binding, np.asarray(result))
        for binding, result in zip(partition.outputs, results, strict=True)
    ]


def _session(partition: HostPartition) -> Session:
    try:
        return _open(partition.model)
    except ImportError as error:
        raise MachineError(
            f"{_named(partition)} needs onnxruntime, which is not installed: {error}"
        ) from error
    except Exception as error:  # as above
        raise _failure(partition, error) from error


@lru_cache(_SESSIONS)
def _open(model: bytes) -> Session:
    import onnx
    import onnxruntime

    _expect_self_contained(onnx.load_model_from_string(model).graph)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    session: Session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    return session


def _expect_self_contained(graph: Any) -> None:
    """Refuse models that would read files: a program must not reach beyond itself."""
    for tensor in _tensors(graph):
        if tensor.data_location != tensor.DEFAULT or tensor.external_data:
            raise ValueError(f"tensor '{tensor.name}' is in another file")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner) if inner.ByteSize() else ()


def _failure(partition: HostPartition, error: Exception) -> MachineError:
    return MachineError(f"{_named(partition)} cannot run: {error}")


def _named(partition: HostPartition) -> str:
    nodes = ", ".join(repr(name) for name in partition.nodes)
    return f"host partition '{partition.name}'" + (f" (node {nodes})" if nodes else "")


def _checked_codes(partition: HostPartition, binding: Binding, values: Elements) -> Elements:
    if values.shape != binding.shape:
        raise MachineError(
            f"{_named(partition)}: result '{binding.name}' has shape "
            f"{list(values.shape)}; the program says {list(binding.shape)}"
        )
    codes = codes_of(binding, values.astype(np.float32) if binding.scale else values)
    if not binding.scale and values.dtype.kind in "iu" and not np.array_equal(codes, values):
        raise MachineError(
            f"{_named(partition)}: result '{binding.name}' holds "
            f"{values.min()} to {values.max()}, which does not fit {binding.element.name.lower()}"
        )
    return codes

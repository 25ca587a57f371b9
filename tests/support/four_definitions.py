"""A small float graph, quantized, and its results by evaluator, machine and onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from imcc.compiler.backend import emit
from imcc.compiler.ir import (
    Array,
    DType,
    Graph,
    GraphBuilder,
    Stage,
    TensorType,
    Value,
    evaluate,
    parse_graph,
    print_graph,
    verify,
)
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.quantize import OnnxRuntimeWitness, Options, export_qdq, quantize_graph
from imcc.compiler.schedule import ScheduleMode, memory_check, schedule
from imcc.isa import load_target, validate
from imcc.isa.target import RequantMode
from imcc.runtime import Machine

BATCH = 3
TARGETS = ("isaac", "dcim22")

Body = Callable[[GraphBuilder, Sequence[Value]], Value]


@dataclass(frozen=True, eq=False)
class Results:
    """The graphs, and the results by name of every definition that was asked."""

    quantized: Graph
    floats: Mapping[str, Array]
    codes: Mapping[str, Array]
    witness: Mapping[str, Array]
    unfused: tuple[str, ...]

    @property
    def differences(self) -> int:
        """Elements in which onnxruntime differs."""
        return sum(int(np.sum(a != self.witness[name])) for name, a in self.codes.items())

    @property
    def sqnr(self) -> float:
        """Signal over error of quantization of the first output, in dB."""
        name = next(iter(self.floats))
        signal, noisy = (r[name].astype(np.float64) for r in (self.floats, self.codes))
        error = float(np.mean((signal - noisy) ** 2))
        return float("inf") if error == 0 else 10 * np.log10(np.mean(signal**2) / error)


def float_graph(
    shapes: Sequence[tuple[int, ...]], body: Body, dtypes: Sequence[DType] = ()
) -> Graph:
    """A batched graph of inputs of these shapes, which have the batch axis 0 of extent 1."""
    builder = GraphBuilder("one")
    types = map(TensorType, dtypes or [DType.F32] * len(shapes), shapes)
    inputs = [builder.input(f"x{i}", type_) for i, type_ in enumerate(types)]
    return builder.finish([body(builder, inputs)], ["y"])


def samples_of(graph: Graph, seed: int = 1) -> dict[str, Array]:
    """A batch of standard normal inputs; truth values and integers are made of their signs."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for value in graph.inputs:
        normal = rng.standard_normal((BATCH, *value.type.shape[1:]), np.float32)
        dtype = value.type.dtype
        found[value.name] = normal if dtype is DType.F32 else (normal > 0).astype(dtype.numpy)
    return found


def run_everywhere(
    graph: Graph, mode: RequantMode = RequantMode.FLOAT24, targets: Sequence[str] = TARGETS
) -> Results:
    """Quantize, check the text form, and compare the machine of every target bit for bit.

    Operations run layer by layer, and row by row.
    """
    inputs = samples_of(graph)
    quantized = quantize_graph(graph, [inputs], Options(requant=mode))
    verify(quantized, Stage.QUANTIZED)
    assert parse_graph(print_graph(quantized)).nodes == quantized.nodes
    codes = evaluate(quantized, inputs)
    for name, order in product(targets, (ScheduleMode.LAYERS, ScheduleMode.LATENCY)):
        target = load_target(name)
        fits = memory_check(quantized, target, order)
        program = emit(schedule(tile(quantized, target, TileOptions(), fits), order))
        validate(program)
        found = Machine(program).run(inputs)
        for output, expected in codes.items():
            np.testing.assert_array_equal(found[output], expected)
            assert found[output].dtype == expected.dtype
    witness = OnnxRuntimeWitness(export_qdq(quantized))
    return Results(quantized, evaluate(graph, inputs), codes, witness.run(inputs), witness.unfused)

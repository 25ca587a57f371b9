"""Verification of a program against the model that it was compiled from.

    machine = tiled graph = quantized graph = onnxruntime on the exported quantized model

A model that is quantized already is its own witness, unless a part of it was calibrated or it
has operators that onnxruntime does not know.

The first equality must always hold. The second must hold where no converter clips or rounds; the
third where onnxruntime computes every operator in integers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from imcc.isa import HostType, Program
from imcc.isa.target import RequantMode
from imcc.runtime import Machine

from ..data import Samples
from ..driver import Compilation, Model, identify, recompile
from ..errors import UnsupportedError
from ..ir import Array, Graph, Node, Op
from ..ir.ops.host import Host
from ..ir.ops.quant import Dequantize
from ..ir.ops.quantized import QSoftmax
from ..ir.ops.quantized_pooling import QAveragePool
from ..ir.ops.quantized_reduce import QReduceSum
from ..mapping import summary
from ..options import read_facts
from ..quantize import OnnxRuntimeWitness, export_qdq
from ..quantize.state import holds_codes
from ..quantize.witness import witness_of
from .compare import Comparison, Noise, Tally
from .floats import FloatWitness, onnx_model, run_samples
from .layers import (
    LayerCheck,
    LayerTallies,
    add_noise,
    compare_layers,
    labels,
    layer_checks,
    outputs,
    probed,
    values,
)
from .plain_qonnx import is_qonnx

# Measured one-step differences: 9e-6 of average pools (1.3 % where input and output have one
# scale and a window has four elements), 7e-7 of softmaxes, 3e-6 of sums and means over axes (6 %
# of means of four elements where the scales are one). See docs/decisions/0004-ort-pinned.md.
_FLOAT_INSIDE: Mapping[type[Op], str] = {
    Host: "parts for the host",
    QAveragePool: "average pooling",
    QReduceSum: "sums and means over axes",
    QSoftmax: "softmax",
}
# Types of outputs that can be scores: real values, and codes, which have the same order.
_SCORES = (HostType.F32, HostType.I8, HostType.U8)
# Share of outputs that may differ where such an operator is in the network.
_TIE_RATE = 1e-3
# Of ties that recur with every so many sums, those that are common; and the relative distance of
# ratios of scales that float32 does not tell apart.
_COMMON = 256
_SAME = 2e-7


@dataclass(frozen=True)
class Accuracy:
    """Share of samples whose largest output is at the label."""

    samples: int
    machine: float
    float_: float


@dataclass(frozen=True)
class Verification:
    """Everything that was compared. `sqnr` is that of the outputs against floats, in dB."""

    samples: int
    calibration: str
    comparisons: tuple[Comparison, ...]
    layers: tuple[LayerCheck, ...]
    sqnr: float | None
    accuracy: Accuracy | None
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything that must be equal is."""
        return all(comparison.passed for comparison in self.comparisons)


def verify_program(
    program: Program,
    model: Model,
    samples: Samples,
    layerwise: bool = False,
    labelled: Samples | None = None,
    threads: int | None = None,
) -> Verification:
    """Compare a program with the graphs of its model, on `samples`.

    The graphs are made again from the model and the notes in the program. `labelled` are the
    samples on which accuracy is counted.
    """
    compilation = recompile(program, model)
    same = replace(program, notes=()) == replace(compilation.program, notes=())
    floats = FloatWitness(model, compilation.imported)
    own, refused = _own_witness(compilation, program, model)
    exported, unexported = (None, "") if own else _exported_witness(compilation)
    run = _Run(
        compilation,
        Machine(program, threads=threads),
        floats,
        own or exported,
        unexported,
        same,
        own is not None,
    )
    for batch in samples.batches():
        run.add(batch, layerwise)
    return Verification(
        samples.count,
        read_facts(program).calibration,
        run.comparisons(),
        layer_checks(compilation, run.tallies) if layerwise else (),
        run.noise.decibels,
        None if labelled is None else _accuracy(run.machine, program, floats, labelled),
        (*_notes(program, model, same), *refused),
    )


class _Run:
    """All definitions of one network side by side, batch by batch."""

    def __init__(
        self,
        compilation: Compilation,
        machine: Machine,
        floats: FloatWitness,
        witness: OnnxRuntimeWitness | None,
        unwitnessed: str,
        same: bool,
        own: bool,
    ) -> None:
        self.compilation = compilation
        self.machine = machine
        self.same = same
        self.probed = _lengths(machine.program) == _lengths(compilation.program)
        self.tallies = LayerTallies()
        self.outputs = Tally()
        self.witnessed = Tally()
        self.noise = Noise()
        self._witness = witness
        self._own = own
        self._floats = floats
        self._unwitnessed = unwitnessed
        self.unfused = witness.unfused if witness else ()
        self._steps = _steps(compilation.quantized)

    def add(self, batch: Mapping[str, Array], layerwise: bool) -> None:
        """Run one batch through everything."""
        tiled = values(self.compilation.tiled.graph, batch)
        quantized = values(self.compilation.quantized, batch)
        inside = probed(self.compilation, self.machine, batch) if self.probed else {}
        compare_layers(self.compilation, inside, tiled, quantized, self.tallies)
        if layerwise:
            exact = values(self.compilation.imported, batch)
            add_noise(self.compilation, exact, tiled, self.tallies)
        self._add_outputs(batch, tiled, quantized)

    def _add_outputs(
        self,
        batch: Mapping[str, Array],
        tiled: Mapping[str, Array],
        quantized: Mapping[str, Array],
    ) -> None:
        machine = self.machine.run(batch)
        expected = outputs(self.compilation.tiled.graph, tiled)
        integer = outputs(self.compilation.quantized, quantized)
        witness = self._witnessed(batch)
        exact = self._floats.run(batch)
        for name, array in machine.items():
            self.outputs.add(name, array, expected[name])
            if array.dtype.kind == "f":  # distances between integers, such as classes, say nothing
                self.noise.add(exact[name], array)
        for name, array in witness.items():
            self.witnessed.add(name, integer[name], array, self._steps.get(name, 0.0))

    def _witnessed(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs of onnxruntime, from the model itself or from what was exported."""
        if self._witness is None:
            return {}
        if not self._own:
            return self._witness.run(batch)
        return run_samples(self.compilation.imported, self._witness.run, batch)

    def comparisons(self) -> tuple[Comparison, ...]:
        """What came of it."""
        nodes = labels(self.compilation.tiled.graph)
        at_output = _output_labels(self.compilation)
        lossy = [layer.label for layer in summary(self.compilation.tiled) if not layer.lossless]
        clipping = f"converters clip or round in {len(lossy)} layers" if lossy else ""
        changed = "" if self.same else "the program is not the one that imcc emits"
        inside = [
            self.tallies.machine.close(
                "machine = tiled graph, every value", nodes, self.same, changed
            )
        ]
        return (
            *(inside if self.probed else ()),
            self.outputs.close("machine = tiled graph, outputs", at_output),
            self.tallies.tiled.close(
                "tiled graph = quantized graph, every value", nodes, not lossy, clipping
            ),
            self._against_witness(at_output),
        )

    def _against_witness(self, at_output: Mapping[str, str]) -> Comparison:
        """The quantized graph and onnxruntime, as far as both compute in integers."""
        what = "quantized graph = onnxruntime, outputs"
        reason = self._unwitnessed or _witness_reason(self.compilation, self.unfused)
        if reason:
            return self.witnessed.close(what, at_output, False, reason)
        inexact = _inexact(self.compilation)
        found = self.witnessed.close(what, at_output, True, inexact)
        return replace(found, allowed=math.ceil(found.elements * _TIE_RATE) if inexact else 0)


def _own_witness(
    compilation: Compilation, program: Program, model: Model
) -> tuple[OnnxRuntimeWitness | None, tuple[str, ...]]:
    """Onnxruntime on the model itself if it is quantized, wholly, and in ONNX's own way.

    None also where its optimizer makes an invalid model of this one; a note says so.
    """
    imported = compilation.imported
    if not holds_codes(imported) or read_facts(program).activations:
        return None, ()
    found = onnx_model(model)
    if is_qonnx(found):
        return None, ()
    try:
        return witness_of(found, imported), ()
    except Exception as error:  # onnxruntime's errors have no common class
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return None, (
            "onnxruntime cannot load this model with its optimizations, so outputs are compared "
            f"with those of the quantized model that imcc exports: {reason}",
        )


def _exported_witness(compilation: Compilation) -> tuple[OnnxRuntimeWitness | None, str]:
    """Onnxruntime on what imcc exports, or why it cannot be exported."""
    try:
        return OnnxRuntimeWitness(export_qdq(compilation.quantized)), ""
    except UnsupportedError as error:
        return None, f"not compared: {str(error).splitlines()[0]}"


def _inexact(compilation: Compilation) -> str:
    """What onnxruntime computes in floats inside an integer kernel, with one-step differences."""
    kinds = {type(node.op) for node in compilation.quantized.nodes}
    names = [name for kind, name in _FLOAT_INSIDE.items() if kind in kinds]
    return f"onnxruntime rounds {' and '.join(names)} in floats" if names else ""


def _witness_reason(compilation: Compilation, unfused: tuple[str, ...]) -> str:
    if compilation.tiled.target.numerics.requant is not RequantMode.FLOAT24:
        return "the target rounds with a fixed-point multiplier"
    if any(_has_ties(node) for node in compilation.quantized.nodes):
        return "onnxruntime rounds average pooling in floats, and here ties are common"
    return f"onnxruntime computes {len(unfused)} operators in floats" if unfused else ""


def _has_ties(node: Node) -> bool:
    """Whether averages often lie in the middle of two codes.

    A mean is a whole number of steps of ``sx / (count * sy)`` of an output code. Where that is
    nearly a fraction of small numbers with an even denominator, sums in the middle recur with it.
    """
    source = node.operands[0].type.quant
    if not isinstance(node.op, QAveragePool) or source is None:
        return False
    step = source.scale[0] / (math.prod(node.op.kernel) * node.op.requant.output.scale[0])
    near = Fraction(step).limit_denominator(_COMMON)
    return near.denominator % 2 == 0 and abs(near / Fraction(step) - 1) < _SAME


def _steps(graph: Graph) -> dict[str, float]:
    """The distance between two neighbours among the real values of outputs that have codes."""
    found = {}
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        node = graph.producer(value)
        codes = node.operands[0].type.quant if node and isinstance(node.op, Dequantize) else None
        if codes is not None:
            found[name] = codes.scale[0]
    return found


def _lengths(program: Program) -> dict[int, int]:
    """Instructions of each core; probes for one program fit another of equal lengths."""
    return {core: len(code) for core, code in program.cores.items()}


def _output_labels(compilation: Compilation) -> dict[str, str]:
    """The ONNX node behind each output; the conversion to floats comes from none."""
    graph = compilation.quantized
    found = {}
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        node = graph.producer(value)
        while node is not None and not node.origin:
            node = graph.producer(node.operands[0])
        found[name] = node.label if node else name
    return found


def _accuracy(
    machine: Machine, program: Program, floats: FloatWitness, labelled: Samples
) -> Accuracy | None:
    if labelled.labels is None or len(program.outputs) != 1:
        return None
    if program.outputs[0].dtype not in _SCORES:
        return None
    name = program.outputs[0].name
    right = [0, 0]
    done = 0
    for batch in labelled.batches():
        guesses = (machine.run(batch)[name], floats.run(batch)[name])
        wanted = labelled.labels[done : done + len(guesses[0])]
        done += len(wanted)
        for index, scores in enumerate(guesses):
            guessed = scores.reshape(len(wanted), -1).argmax(axis=1)
            right[index] += int(np.count_nonzero(guessed == wanted))
    return Accuracy(done, right[0] / done, right[1] / done)


def _notes(program: Program, model: Model, same: bool) -> list[str]:
    facts, notes = read_facts(program), []
    if identify(model)[1] != facts.model_sha256:
        notes.append("the model is not the file that the program was compiled from")
    if not same:
        notes.append(
            "compiling again gives another program: this one was made by another version of imcc, "
            "or was changed"
        )
    if facts.calibration.startswith("random"):
        notes.append("calibrated on random inputs: accuracy means nothing")
    return notes

"""Graphs of one quantized operator between real inputs and outputs, and their witness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from imcc.compiler.ir import (
    Array,
    DType,
    Graph,
    GraphBuilder,
    Op,
    QuantParams,
    TensorType,
    Value,
    evaluate,
)
from imcc.compiler.ir.ops.quant import Dequantize, Quantize
from imcc.compiler.ir.requant import Requant, dequantize
from imcc.compiler.quantize import OnnxRuntimeWitness, export_qdq

BATCH = 3
Codes = NDArray[np.uint8]
Constants = Callable[[GraphBuilder], Sequence[Value]]


def random_scale(rng: np.random.Generator, low: int = -6, high: int = 1) -> float:
    """A float32 scale; one in four is a power of two, so that ties occur."""
    exponent = rng.integers(low, high)
    fraction = 1.0 if rng.random() < 0.25 else rng.uniform(1, 2)
    return float(np.float32(fraction * 2.0**exponent))


def random_params(rng: np.random.Generator, scale: float | None = None) -> QuantParams:
    """Parameters of 8-bit activations; zero points at the ends are likely."""
    zero = (0, 255, int(rng.integers(256)))[rng.integers(3)]
    return QuantParams((random_scale(rng) if scale is None else scale,), (zero,))


def random_requant(rng: np.random.Generator, scale: float | None = None) -> Requant:
    """An output stage, half of the time with clip bounds."""
    output = random_params(rng, scale)
    low, high = sorted(int(v) for v in rng.integers(0, 256, 2))
    return Requant(output, low, high) if rng.random() < 0.5 else Requant(output, 0, 255)


def random_codes(rng: np.random.Generator, shape: tuple[int, ...]) -> Codes:
    """A batch of codes."""
    return rng.integers(0, 256, (BATCH, *shape[1:]), dtype=np.uint8)


def code_graph(
    op: Op,
    inputs: Sequence[tuple[tuple[int, ...], QuantParams]],
    constants: Constants | None = None,
) -> Graph:
    """A graph that quantizes its inputs, applies `op` and dequantizes the result."""
    builder = GraphBuilder("one")
    operands = []
    for index, (shape, params) in enumerate(inputs):
        real = builder.input(f"x{index}", TensorType(DType.F32, shape))
        operands.append(builder.add(Quantize(params), [real], f"codes{index}"))
    operands += constants(builder) if constants is not None else []
    result = builder.add(op, operands, "result", ["node"])
    return builder.finish([builder.add(Dequantize(), [result], "y")], ["y"])


def real_inputs(graph: Graph, codes: Sequence[Codes]) -> dict[str, Array]:
    """Real inputs whose codes are `codes`."""
    inputs = {}
    for value, array in zip(graph.inputs, codes, strict=True):
        (node,) = graph.users(value)
        assert isinstance(node.op, Quantize)
        inputs[value.name] = dequantize(array, node.op.output)
    return inputs


def both(graph: Graph, codes: Sequence[Codes]) -> tuple[Array, Array, OnnxRuntimeWitness]:
    """The output by the graph evaluator and by onnxruntime, in output codes."""
    inputs = real_inputs(graph, codes)
    witness = OnnxRuntimeWitness(export_qdq(graph))
    params = graph.outputs[0].name
    (node,) = (n for n in graph.nodes if n.result.name == params)
    quant = node.operands[0].type.quant
    assert quant is not None
    ours = evaluate(graph, inputs)["y"]
    theirs = witness.run(inputs)["y"]
    scale = np.float32(quant.scale[0])
    return np.rint(ours / scale), np.rint(theirs / scale), witness


def assert_same(graph: Graph, codes: Sequence[Codes], kernel: str) -> None:
    """The evaluator equals onnxruntime, which runs the named integer kernel and no float one."""
    ours, theirs, witness = both(graph, codes)
    assert witness.kernels[kernel] == 1, witness.kernels
    assert witness.unfused == ()
    np.testing.assert_array_equal(ours, theirs)

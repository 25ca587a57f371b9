"""QONNX networks: the machine, and what the reference computes in floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, helper
from support.onnx_models import f32, i64, model, node

from imcc.compiler.data import Samples
from imcc.compiler.driver import UNCALIBRATED, compile_model
from imcc.compiler.ir import Array, evaluate
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.floats import FloatWitness
from imcc.runtime import Machine

DATA = Path(__file__).parents[3] / "shared" / "data"
REFERENCE = Path(__file__).with_name("tfc_reference.npz")
TARGETS = ("isaac", "dcim22")


class Network:
    """A QONNX network in the making."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, Array] = {}

    def constant(self, array: Any) -> str:
        name = f"c{len(self.weights)}"
        self.weights[name] = np.asarray(array)
        return name

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        made = node(op_type, " ".join(inputs), output, name=output, **attributes)
        self.nodes.append(made)
        return output

    def quant(self, x: str, scale: Any, bits: int, signed: int, narrow: int = 0) -> str:
        operands = [self.constant(f32(v)) for v in (scale, 0, bits)]
        return self.add(
            "Quant", x, *operands, domain="qonnx.custom_op.general", signed=signed, narrow=narrow
        )

    def bipolar(self, x: str, scale: Any = 1.0) -> str:
        return self.add(
            "BipolarQuant", x, self.constant(f32(scale)), domain="qonnx.custom_op.general"
        )

    def kernel(self, *shape: int) -> str:
        return self.constant(self.random.standard_normal(shape).astype(np.float32))

    def norm(self, x: str, channels: int) -> str:
        """Batch normalization with factors of either sign."""
        arrays = [self.random.standard_normal(channels) for _ in range(3)]
        arrays.append(self.random.uniform(0.5, 20, channels))
        vectors = [self.constant(array.astype(np.float32)) for array in arrays]
        return self.add("BatchNormalization", x, *vectors)

    def model(self, output: str, shape: tuple[int, ...]) -> ModelProto:
        proto = model(self.nodes, {"x": shape}, self.weights, outputs=output, opset=13)
        proto.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
        return proto


def convolutional(bits: int, seed: int) -> ModelProto:
    """Weights of so many bits with a scale a channel, activations of as many, a binary end."""
    net = Network(seed)
    x = net.quant("x", 2 / (1 << bits), bits, 1)
    steps = net.random.uniform(0.1, 0.4, (8, 1, 1, 1)).astype(np.float32) * 4 / (1 << bits)
    w = net.quant(net.kernel(8, 3, 3, 3), steps, max(bits, 2), 1, 1)
    y = net.norm(net.add("Conv", x, w, pads=[1, 1, 1, 1]), 8)
    y = net.quant(net.add("Relu", y), 3 / (1 << bits), bits, 0)
    y = net.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    w = net.bipolar(net.kernel(8, 8, 3, 3), 0.5)
    y = net.bipolar(net.norm(net.add("Conv", y, w), 8))
    y = net.add("Reshape", y, net.constant(i64([-1, 32])))
    w = net.bipolar(net.kernel(32, 5))
    y = net.add("MatMul", y, w)
    y = net.add("Add", net.add("Mul", y, net.constant(f32(0.3))), net.constant(f32(0.1)))
    return net.model(y, (1, 3, 8, 8))


def compared(proto: ModelProto, x: Array, target: str) -> float:
    """The share of output codes that differ from the reference in floats; machine = graph."""
    compilation = compile_model(proto, target)
    name = proto.graph.input[0].name
    inputs = {name: x}
    result = verify_program(compilation.program, proto, Samples(inputs, "here"))
    assert result.calibration == UNCALIBRATED
    assert [c.differences for c in result.comparisons] == [0, 0, 0, 0]
    assert all(c.required for c in result.comparisons)
    (found,) = Machine(compilation.program).run(inputs).values()
    (exact,) = FloatWitness(proto, compilation.imported).run(inputs).values()
    (binding,) = compilation.program.outputs
    codes = [np.rint(a / np.float32(binding.scale)) + binding.zero_point for a in (found, exact)]
    return float(np.mean(codes[0] != codes[1]))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_convolutional_networks(bits: int) -> None:
    """No code differs but where float32 sums of the reference fall on the other side of a tie."""
    random = np.random.default_rng(bits)
    x = random.uniform(-1, 1, (24, 3, 8, 8)).astype(np.float32)
    target = TARGETS[bits % 2]
    assert compared(convolutional(max(bits, 1), bits), x, target) <= 0.01


@pytest.mark.skipif(not DATA.is_dir(), reason="no networks in ../shared/data")
@pytest.mark.parametrize("name", ["1W1A", "1W2A", "2W2A"])
def test_tfc(name: str) -> None:
    """`tfc_reference.npz` has what PyPI `qonnx` 1.0.0 computes for the first test digits."""
    path = DATA / "qonnx" / f"TFC_{name}.onnx"
    with np.load(DATA / "mnist" / "mnist_small.npz") as arrays, np.load(REFERENCE) as reference:
        wanted = reference[name]
        x = arrays[str(reference["digits"])][: len(wanted)]
    pixels = x.reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
    compilation = compile_model(path, "dcim22")
    inputs = {compilation.program.inputs[0].name: pixels}
    (found,) = Machine(compilation.program).run(inputs).values()
    (graph,) = evaluate(compilation.quantized, inputs).values()
    np.testing.assert_array_equal(found, graph)
    (binding,) = compilation.program.outputs
    step = np.float32(binding.scale)
    np.testing.assert_array_equal(np.rint(found / step), np.rint(wanted / step))
    # All outputs are off by one constant, which is less than half a step.
    assert np.ptp(found - wanted) < 1e-5

"""onnxruntime as the outside witness of quantized graphs.

Session options are pinned: all optimizations, so that the integer kernels run; exact 8-bit
products on every x86 processor; one thread. The model is what imcc exports, or a quantized model
as the user has it.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ..ir import Array, Graph
from .onnx_writer import EXACT_NODE
from .session import OnnxSession
from .state import has_narrow_codes, has_signed_codes

_NIBBLES = (TensorProto.INT4, TensorProto.UINT4)
# Optimizers of onnxruntime that change results. This one leaves out codes that are quantized again,
# with what they round and saturate.
_DROPS_CODES = "DoubleQDQPairsRemover"
# Quantizes what is left in floats beside codes.
_COMPLETES = "WeightBiasQuantization"
_EXACT = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
        "QLinearAdd",
        "QLinearMul",
        "QLinearConcat",
        "QLinearSigmoid",
        "QLinearLeakyRelu",
        "QLinearGlobalAveragePool",
        "QLinearAveragePool",
        "QLinearSoftmax",
        "Cast",
        "Clip",
        "Concat",
        "ConvInteger",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "MatMulInteger",
        "Max",
        "MaxPool",
        "Min",
        "NhwcMaxPool",
        "Pad",
        "ReduceMax",
        "Relu",
        "Reshape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)


class OnnxRuntimeWitness:
    """Runs a quantized ONNX model, and tells with which kernels."""

    def __init__(
        self, model: onnx.ModelProto, signed: bool = False, completes: bool = False
    ) -> None:
        """`signed` says that activations of the model are int8.

        `completes` has onnxruntime quantize the float biases, and weights, of operators that are
        quantized otherwise.
        """
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "optimized.onnx"
            options = _options(signed)
            options.optimized_model_filepath = str(path)
            disabled = [_DROPS_CODES] if completes else [_DROPS_CODES, _COMPLETES]
            self._session = OnnxSession(model.SerializeToString(), options, disabled)
            self._optimized = onnx.load(path)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name."""
        return self._session.run(inputs)

    @property
    def kernels(self) -> Counter[str]:
        """How many nodes of each operator type run after optimization."""
        return Counter(node.op_type for node in self._optimized.graph.node)

    @property
    def unfused(self) -> tuple[str, ...]:
        """Names of the nodes that compute in floats; Clip and Relu of codes are exact so."""
        nodes = self._optimized.graph.node
        return tuple(
            node.name
            for node in nodes
            if node.op_type not in _EXACT and node.doc_string != EXACT_NODE
        )


def witness_of(model: onnx.ModelProto, imported: Graph) -> OnnxRuntimeWitness:
    """Onnxruntime on a quantized model that was imported as this graph.

    Float biases beside 8-bit codes are rounded to accumulators, as it does by itself. Of codes of
    few bits an accumulator is much: there operators with such biases stay in floats.
    """
    completes = not has_narrow_codes(imported)
    return OnnxRuntimeWitness(prepared(model), has_signed_codes(imported), completes)


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in a form that onnxruntime's integer kernels take.

    1. Weights of 4 bits are in bytes, for which alone there are kernels; but not where the model
       itself makes codes of 4 bits, which would saturate elsewhere.
    2. Constant codes have a zero point: without one the option that makes products exact fails.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    nibbles = {t.name for t in made.graph.initializer if t.data_type in _NIBBLES}
    quantizers = (n for n in made.graph.node if n.op_type == "QuantizeLinear")
    if not any(nibbles.intersection(node.input) for node in quantizers):
        for tensor in made.graph.initializer:
            if tensor.name in nibbles:
                codes = numpy_helper.to_array(tensor).astype(np.int8)
                tensor.CopyFrom(numpy_helper.from_array(codes, tensor.name))
    _add_zero_points(made.graph)
    return made


def _add_zero_points(graph: onnx.GraphProto) -> None:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        names = list(node.input)
        if node.op_type != "DequantizeLinear" or len(names) != 2 or set(names) - set(constants):
            continue
        codes, scale = (constants[name] for name in names)
        if codes.data_type in (TensorProto.INT8, TensorProto.UINT8):
            zero = helper.make_tensor(
                f"{node.output[0]}/zero", codes.data_type, scale.dims, [0] * math.prod(scale.dims)
            )
            graph.initializer.append(zero)
            node.input.append(zero.name)


def _options(signed: bool) -> onnxruntime.SessionOptions:
    """Integer kernels, exact on every processor.

    Products of signed activations are exact everywhere, once they are allowed. The option that
    makes unsigned ones exact rewrites weights, and fails on models that share zero points.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    option = "session.qdqisint8allowed" if signed else "session.x64quantprecision"
    options.add_session_config_entry(option, "1")
    return options

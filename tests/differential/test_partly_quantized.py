"""Models that are quantized in part, dynamically, or kept in another kind of float.

The part that is quantized keeps its parameters, the rest is calibrated. The machine equals the
graphs, and the graph onnxruntime on the exported model; the user's own model is near.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from support.calibration_reader import Reader

from imcc.compiler.data import find_beside
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.ir.ops.quantized import QConv
from imcc.compiler.verify import Verification, verify_program
from imcc.compiler.verify.machine import load_program_samples

MODELS = Path(__file__).parents[2] / "models"
SAMPLES = 12


def made(network: str, directory: Path, make: Callable[[Path, Path], None]) -> Path:
    """A model made of a bundled one, with its data beside it."""
    source = MODELS / f"{network}.onnx"
    data = find_beside(source)
    assert data is not None
    (directory / data.name).symlink_to(data)
    path = directory / f"{data.stem}_made.onnx"
    logging.disable(logging.WARNING)
    try:
        make(source, path)
    finally:
        logging.disable(logging.NOTSET)
    return path


def static(**options: Any) -> Callable[[Path, Path], None]:
    """Onnxruntime's static quantizer with these options."""

    def make(source: Path, path: Path) -> None:
        data = find_beside(source)
        assert data is not None
        with np.load(data) as arrays:
            samples = arrays["x"][:32].astype(np.float32)
        reader = Reader(onnx.load(source).graph.input[0].name, samples)
        types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        quantize_static(source, path, reader, QuantFormat.QDQ, **types, **options)

    return make


def verified(path: Path, sqnr: float) -> tuple[Compilation, Verification]:
    compilation = compile_model(path, "dcim22")
    data = find_beside(path)
    assert data is not None
    samples = load_program_samples(data, compilation.program).first(SAMPLES)
    result = verify_program(compilation.program, path, samples)
    assert result.passed
    assert [c.differences for c in result.comparisons[:3]] == [0, 0, 0]
    assert result.calibration.startswith("file")
    assert result.sqnr is not None
    assert result.sqnr > sqnr
    return compilation, result


@pytest.mark.parametrize(
    ("network", "types"),
    [("fmnist_lenet", ["Conv"]), ("fmnist_mobilenet", ["Gemm"]), ("watch_cnn1d", ["Conv"])],
)
def test_some_kinds_of_operators(network: str, types: list[str], tmp_path: Path) -> None:
    path = made(network, tmp_path, static(op_types_to_quantize=types))
    compilation, result = verified(path, 28)
    assert result.comparisons[3].differences == 0
    if types == ["Conv"]:
        model = onnx.load(path)
        arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        codes = [array for name, array in arrays.items() if name.endswith("weight_quantized")]
        convs = [n for n in compilation.quantized.nodes if isinstance(n.op, QConv)]
        held = [compilation.quantized.constants[n.operands[1].name] for n in convs]
        assert held
        assert all(any(np.array_equal(w, c) for c in codes) for w in held)


def test_a_node_left_out(tmp_path: Path) -> None:
    first = onnx.load(MODELS / "fmnist_resnet8.onnx").graph.node[0].name
    path = made("fmnist_resnet8", tmp_path, static(nodes_to_exclude=[first]))
    assert verified(path, 28)[1].comparisons[3].differences == 0


@pytest.mark.parametrize("network", ["fmnist_mlp", "watch_cnn1d"])
@pytest.mark.parametrize("fused", [False, True])
def test_dynamic_quantization(network: str, fused: bool, tmp_path: Path) -> None:
    """As the quantizer writes it, and as the optimizer fuses it."""

    def make(source: Path, path: Path) -> None:
        quantize_dynamic(source, path, per_channel=True, weight_type=QuantType.QUInt8)
        if fused:
            options = onnxruntime.SessionOptions()
            options.optimized_model_filepath = str(path.with_suffix(".optimized"))
            options.log_severity_level = 3
            onnxruntime.InferenceSession(str(path), options)
            path.with_suffix(".optimized").replace(path)

    path = made(network, tmp_path, make)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert not fused or kinds & {"DynamicQuantizeMatMul", "MatMulIntegerToFloat", "ConvInteger"}
    compilation, result = verified(path, 28)
    assert result.comparisons[3].differences == 0
    assert any("quantized dynamically in the model" in note for note in compilation.notes)


def in_type(model: ModelProto, element: int) -> ModelProto:
    """The model with weights, inputs and outputs in another kind of float."""
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(tensor)
        if element == TensorProto.BFLOAT16:
            data = (array.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        else:
            data = array.astype(helper.tensor_dtype_to_np_dtype(element)).tobytes()
        tensor.CopyFrom(helper.make_tensor(tensor.name, element, tensor.dims, data, raw=True))
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.elem_type = element
    del model.graph.value_info[:]
    return model


@pytest.mark.parametrize("name", ["FLOAT16", "BFLOAT16", "DOUBLE"])
def test_other_kinds_of_floats(name: str, tmp_path: Path) -> None:
    def make(source: Path, path: Path) -> None:
        onnx.save(in_type(onnx.load(source), TensorProto.DataType.Value(name)), path)

    compilation, result = verified(made("fmnist_mlp", tmp_path, make), 28)
    assert result.comparisons[3].differences == 0
    assert sum("the program has it in float32" in note for note in compilation.notes) == 2

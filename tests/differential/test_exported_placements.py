"""Quantization at the places where exporters put it: the machine against onnxruntime on the model.

Where onnxruntime has integer kernels for all of a model, the outputs are the same codes. Where it
computes in floats, they are too in these models, but for what is calibrated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from support import exported_models as exported
from support.calibration_reader import Reader
from support.exported import MICROSOFT

from imcc.compiler.data import Samples, find_beside
from imcc.compiler.driver import UNCALIBRATED, Compilation, compile_model
from imcc.compiler.errors import UnsupportedError
from imcc.compiler.ir import Array
from imcc.compiler.quantize.witness import witness_of
from imcc.compiler.verify import Verification, verify_program
from imcc.compiler.verify.floats import FloatWitness, run_samples
from imcc.runtime import Machine

MODELS = Path(__file__).parents[2] / "models"
TARGETS = ("isaac", "dcim22")
COUNT = 4

# Models whose every kernel in onnxruntime is an integer one, and of which all values are codes.
INTEGER: dict[str, Callable[[], ModelProto]] = {
    "TFLite uint8": exported.tflite_uint8,
    "PyTorch, operator set 13": lambda: exported.pytorch(13),
    "PyTorch, operator set 19": lambda: exported.pytorch(19),
    "PyTorch, operator set 21": lambda: exported.pytorch(21),
    "quantized twice": exported.quantized_twice,
    "channels last": exported.channels_last,
    "attention": exported.attention,
}
# Models of which onnxruntime computes parts in floats, between codes.
FLOAT: dict[str, Callable[[], ModelProto]] = {
    "TensorRT MatMul and Gemm": exported.tensorrt_products,
    "before activations": exported.before_activations,
    "TFLite int8": exported.tflite_int8,
    "TFLite upsampled": exported.tflite_upsampled,
    "QCDQ of Brevitas": exported.brevitas,
    "zero points left out": exported.zero_points_left_out,
    "int4": lambda: exported.nibbles("i1", 0, 1),
    "int4, one scale": lambda: exported.nibbles("i1", 0, None),
    "uint4 with zero points": lambda: exported.nibbles("u1", 7, 1),
    "uint4, one scale": lambda: exported.nibbles("u1", 7, None),
    "int4 of com.microsoft": lambda: exported.nibbles("i1", 0, 1, MICROSOFT),
    "quantizers to 4 bits": exported.nibble_quantizers,
    "both signs": exported.both_signs,
    "normalization of vectors": lambda: exported.normalization(2),
    "normalization of signals": lambda: exported.normalization(3),
    "normalization of images": lambda: exported.normalization(4),
    "MatMulIntegerToFloat": exported.product_to_float,
    "QLinearWhere": exported.choice,
}


def inputs_of(proto: ModelProto) -> dict[str, Array]:
    (entry,) = proto.graph.input
    shape = [d.dim_value for d in entry.type.tensor_type.shape.dim][1:]
    random = np.random.default_rng(99)
    return {entry.name: random.standard_normal((COUNT, *shape)).astype(np.float32)}


def verified(
    proto: ModelProto, target: str, calibrated: bool = False
) -> tuple[Compilation, Verification]:
    """Compile, without calibration data unless it says so, and compare what must be equal."""
    inputs = inputs_of(proto)
    compilation = compile_model(proto, target, None, inputs if calibrated else None)
    result = verify_program(compilation.program, proto, Samples(inputs, "random"))
    assert result.passed
    assert [c.differences for c in result.comparisons[:3]] == [0, 0, 0]
    assert calibrated or result.calibration == UNCALIBRATED
    return compilation, result


def steps(compilation: Compilation, proto: ModelProto, optimized: bool = True) -> Array:
    """By how many codes the machine's outputs differ from onnxruntime's on that very model."""
    inputs, imported = inputs_of(proto), compilation.imported
    run = witness_of(proto, imported).run if optimized else FloatWitness(proto, imported).run
    (expected,) = run_samples(imported, run, inputs).values()
    (found,) = Machine(compilation.program).run(inputs).values()
    (binding,) = compilation.program.outputs
    apart = (found.astype(np.float64).reshape(expected.shape) - expected) / binding.scale
    return np.asarray(np.abs(np.rint(apart)), np.int64)


@pytest.mark.parametrize("name", INTEGER)
def test_integer_kernels(name: str) -> None:
    proto = INTEGER[name]()
    compilation, result = verified(proto, TARGETS[len(name) % 2])
    assert result.comparisons[3].required
    assert result.comparisons[3].differences == 0
    assert not steps(compilation, proto).any()


@pytest.mark.parametrize("name", FLOAT)
def test_float_kernels(name: str) -> None:
    proto = FLOAT[name]()
    compilation, _ = verified(proto, TARGETS[len(name) % 2])
    assert not steps(compilation, proto).any()
    assert not compilation.hosted


def test_type_of_codes_by_attribute() -> None:
    """The optimizer of onnxruntime makes an invalid model of this one."""
    proto = exported.type_by_attribute()
    compilation, result = verified(proto, "isaac")
    assert not steps(compilation, proto, optimized=False).any()
    (note,) = result.notes
    assert note.startswith("onnxruntime cannot load this model with its optimizations, so outputs")


def test_a_branch_in_floats_is_calibrated() -> None:
    """A sum of one quantized branch, and a last layer without Quantize, as TensorRT has them."""
    proto = exported.tensorrt_residual()
    compilation, result = verified(proto, "dcim22", calibrated=True)
    apart = steps(compilation, proto)
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 0.3
    assert result.comparisons[3].differences == 0


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (exported.blocks, "its weights are not constant codes with a scale for each output"),
        (exported.scales_of_rows, "its weights have scales along axis 0, output channels are"),
    ],
)
def test_scales_within_a_channel_are_not_kept(make: Callable[[], ModelProto], reason: str) -> None:
    """An accumulator counts in steps of one scale: a note says it, and weights get other codes."""
    proto = make()
    compilation, result = verified(proto, "isaac")
    assert any(reason in note for note in compilation.notes)
    apart = steps(compilation, proto)
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 0.2
    assert result.comparisons[3].differences == 0


def test_codes_of_16_bits_are_on_the_host() -> None:
    proto = exported.sixteen_bits()
    compilation = compile_model(proto, "isaac", None, inputs_of(proto))
    assert [entry.node for entry in compilation.hosted] == ["quantizelinear4", "dequantizelinear5"]
    assert all("other codes than 8 bits" in entry.reason for entry in compilation.hosted)


def test_other_codes_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedError) as error:
        compile_model(exported.eight_bit_floats(), "isaac")
    assert str(error.value) == (
        "error[IMC0405]: weight 'c1': float8e4m3fn is not supported\n"
        "  --> <model>: node 'quantizelinear0' (#0, opset 19)\n"
        "   = because: weights are float16, float32, float64 or integers of 4 to 64 bits\n"
        "   = help: export the model with float32 weights, or with codes of int8 or int4\n"
        "1 error. (imcc explain IMC0405)"
    )


def made(network: str, form: str, activations: str, directory: Path) -> Path:
    """A bundled network as onnxruntime's quantizer and, behind it, its optimizer write it."""
    source = MODELS / f"{network}.onnx"
    data = find_beside(source)
    assert data is not None
    path = directory / f"{data.stem}_quantized.onnx"
    (directory / data.name).symlink_to(data)
    with np.load(data) as arrays:
        samples = arrays["x"][:32].astype(np.float32)
    reader = Reader(onnx.load(source).graph.input[0].name, samples)
    kinds = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
    types = {"activation_type": kinds[activations], "weight_type": QuantType.QInt8}
    logging.disable(logging.WARNING)
    try:
        quantize_static(source, path, reader, QuantFormat[form], **types)
    finally:
        logging.disable(logging.NOTSET)
    return path


def optimized(path: Path, signed: bool) -> ModelProto:
    """What onnxruntime makes of a model before it runs it, with channels last."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimized"))
    options.log_severity_level = 3
    option = "session.qdqisint8allowed" if signed else "session.x64quantprecision"
    options.add_session_config_entry(option, "1")
    onnxruntime.InferenceSession(str(path), options)
    return onnx.load(path.with_suffix(".optimized"))


@pytest.mark.parametrize(
    ("network", "form", "activations"),
    [("fmnist_mobilenet", "QDQ", "s8"), ("fmnist_lenet", "QOperator", "u8")],
)
def test_output_of_the_optimizer(network: str, form: str, activations: str, tmp_path: Path) -> None:
    proto = optimized(made(network, form, activations, tmp_path), activations == "s8")
    assert f"{MICROSOFT}.QLinearConv" in {f"{n.domain}.{n.op_type}" for n in proto.graph.node}
    compilation, _ = verified(proto, "dcim22")
    assert not steps(compilation, proto).any()


@pytest.mark.parametrize("network", ["fmnist_mlp_bn", "watch_cnn1d_bn"])
def test_normalization_of_the_quantizer(network: str, tmp_path: Path) -> None:
    """Without preprocessing, onnxruntime's quantizer leaves it between codes, in floats."""
    proto = onnx.load(made(network, "QDQ", "u8", tmp_path))
    assert "BatchNormalization" in {node.op_type for node in proto.graph.node}
    compilation, _ = verified(proto, "dcim22")
    apart = steps(compilation, proto)
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 0.05

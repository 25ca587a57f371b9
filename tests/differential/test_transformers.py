"""Small transformer networks: four definitions of each, on two targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from support.transformers import (
    Exporter,
    attention_block,
    embedding_classifier,
    encoder,
    normalized_mlp,
)

from imcc.compiler.data import Samples
from imcc.compiler.driver import compile_model
from imcc.compiler.ir import Array
from imcc.compiler.verify import verify_program
from imcc.isa import Target, load_target
from imcc.isa.target import RequantMode

# Model, and the least SQNR in dB against floats.
NETWORKS: dict[str, tuple[ModelProto, float]] = {
    "attention": (attention_block(), 27),
    "normalized-mlp": (normalized_mlp(), 32),
    "embedding": (embedding_classifier(), 32),
    "encoder": (encoder(), 25),
}


def samples(model: ModelProto, count: int, seed: int) -> Samples:
    """Normal vectors, or ids of the first rows."""
    (entry,) = model.graph.input
    shape = [dim.dim_value for dim in entry.type.tensor_type.shape.dim[1:]]
    rng = np.random.default_rng(seed)
    if entry.name == "ids":
        return Samples({"ids": rng.integers(0, 30, (count, *shape))}, "ids")
    return Samples({"x": rng.standard_normal((count, *shape)).astype(np.float32)}, "normal")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", ["isaac", "dcim22"])
def test_network_on_the_machine(name: str, target: str) -> None:
    model, least = NETWORKS[name]
    calibration = samples(model, 64, 1).inputs
    data = model.SerializeToString()
    compilation = compile_model(data, target, None, calibration)
    result = verify_program(compilation.program, data, samples(model, 12, 2))
    machine, outputs, tiled, _ = result.comparisons
    assert machine.elements > 1000
    assert [c.differences for c in (machine, outputs, tiled)] == [0, 0, 0]
    assert result.passed
    assert result.sqnr is not None
    assert result.sqnr > least


def changed(section: str, **values: object) -> Target:
    """The target isaac with other numbers in one section."""
    target = load_target("isaac")
    part = getattr(target, section).model_copy(update=values)
    return target.model_copy(update={section: part})


def test_rows_are_computed_in_bands_where_memory_is_short() -> None:
    """Accumulators of whole tensors would take 6 and 9 KiB of the 8 that there are."""
    net = Exporter()
    rows = net.layer_norm("x", 32)
    y = net.add("MatMul", rows, net.add("Transpose", rows, perm=(0, 2, 1)))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 48, 32])]
    model = net.model(inputs, y, ["N", 48, 48])
    data = model.SerializeToString()
    target = changed("core", local_memory_kib=8)
    compilation = compile_model(data, target, None, samples(model, 16, 1).inputs)
    tasks = compilation.schedule.tasks
    assert {"qdot", "qnormalize"} <= {t.node.op.name for t in tasks if t.band < t.rows}
    assert verify_program(compilation.program, data, samples(model, 3, 2)).passed


def test_output_stage_with_fixed_point_multipliers() -> None:
    model, least = NETWORKS["encoder"]
    data = model.SerializeToString()
    target = changed("numerics", requant=RequantMode.FIXED, multiplier_bits=16)
    compilation = compile_model(data, target, None, samples(model, 64, 1).inputs)
    result = verify_program(compilation.program, data, samples(model, 12, 2))
    assert result.passed
    assert result.sqnr is not None
    assert result.sqnr > least


@pytest.mark.parametrize("activations", [QuantType.QUInt8, QuantType.QInt8])
def test_attention_that_onnxruntime_quantized(tmp_path: Path, activations: QuantType) -> None:
    """Both products of attention keep the model's parameters."""
    model = attention_block()
    onnx.save(model, tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "quantized.onnx",
        _Reader(model),
        quant_format=QuantFormat.QDQ,
        activation_type=activations,
    )
    data = (tmp_path / "quantized.onnx").read_bytes()
    compilation = compile_model(data, "isaac")
    assert sum(node.op.name == "qdot" for node in compilation.quantized.nodes) == 2
    result = verify_program(compilation.program, data, samples(model, 12, 2))
    assert result.passed
    assert result.comparisons[-1].differences == 0


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Samples of a model for onnxruntime's quantizer, one at a time."""

    def __init__(self, model: ModelProto) -> None:
        arrays = samples(model, 16, 3).inputs["x"]
        self._rest = iter([{"x": array[np.newaxis]} for array in arrays])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._rest, None)

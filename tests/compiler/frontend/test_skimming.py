"""Weights that stay in the file: what is read later is what the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper
from support.onnx_models import model, node

from imcc.compiler.frontend.external import ExternalData
from imcc.compiler.frontend.skimming import LEAST, NotSkimmableError, skim
from imcc.compiler.frontend.tensors import TensorReader
from imcc.compiler.ir.sketch import is_sketch

SMALL = np.arange(8, dtype=np.float32)
LARGE = np.random.default_rng(0).standard_normal((150, 150), np.float32)


def written(folder: Path) -> Path:
    nodes = [node("MatMul", "x large", "h"), node("Add", "h small", "y")]
    made = model(nodes, {"x": ["N", 150]}, {"large": LARGE, "small": SMALL})
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path


def test_long_weights_are_read_from_the_model_file(tmp_path: Path) -> None:
    assert LARGE.nbytes > LEAST > SMALL.nbytes
    path = written(tmp_path)
    data = skim(path)
    assert len(data) < LEAST
    proto = ModelProto.FromString(data)
    reader = TensorReader(ExternalData(path))
    found = {tensor.name: reader.read(tensor) for tensor in proto.graph.initializer}
    np.testing.assert_array_equal(found["large"], LARGE)
    np.testing.assert_array_equal(found["small"], SMALL)
    assert proto.graph.node == onnx.load(path).graph.node


def test_sketches_have_the_type_and_no_memory(tmp_path: Path) -> None:
    path = written(tmp_path)
    reader = TensorReader(ExternalData(path), sketched=True)
    found = {t.name: reader.read(t) for t in ModelProto.FromString(skim(path)).graph.initializer}
    assert is_sketch(found["large"])
    assert not is_sketch(found["small"])
    assert (found["large"].shape, found["large"].dtype) == (LARGE.shape, LARGE.dtype)
    assert found["large"].strides == (0, 0)


@pytest.mark.parametrize("size", [1, 7, 100, 30_000, 90_000])
def test_cut_files_are_left_to_the_parser(tmp_path: Path, size: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(NotSkimmableError):
        skim(path)


def test_a_claim_of_more_bytes_than_there_are_is_refused(tmp_path: Path) -> None:
    proto = onnx.load(written(tmp_path))
    tensor = proto.graph.initializer[0]
    assert numpy_helper.to_array(tensor).shape == LARGE.shape
    tensor.dims[0] += 1
    path = tmp_path / "lies.onnx"
    path.write_bytes(proto.SerializeToString())
    skimmed = ModelProto.FromString(skim(path)).graph.initializer[0]
    with pytest.raises(Exception, match=r"length is 90000 bytes, the tensor has 90600"):
        TensorReader(ExternalData(path), sketched=True).read(skimmed)

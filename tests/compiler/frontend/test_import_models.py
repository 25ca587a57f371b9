"""Whole networks: imported, cleaned up and evaluated, equal to onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.onnx_models import DATA, ROOT, run_onnxruntime, samples

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Graph, evaluate, verify
from imcc.compiler.passes import PassContext, Pipeline

BUNDLED = sorted((ROOT / "models").glob("*.onnx"))
FLOAT = ("resnet8_float", "kws_dscnn_float", "vww_mobilenet_float", "ad_autoencoder_float")
CODES = ("resnet8_int8", "kws_dscnn_int8", "vww_mobilenet_int8", "ad_autoencoder_int8")
OTHERS = [
    *(DATA / "mlperf_tiny" / f"{name}.onnx" for name in (*FLOAT, *CODES)),
    DATA / "cifar10" / "resnet20.onnx",
    DATA / "cifar10" / "resnet20_raw.onnx",
]
CLEAN_UP = "fold-constants,fold-batch-norm,canonicalize,lower-batch-norm"


def batch_of(path: Path) -> int:
    return 1 if path.stem == "resnet20" else 3


def expect_equal(graph: Graph, path: Path) -> None:
    inputs = samples(graph, batch_of(path))
    (expected,) = run_onnxruntime(path, inputs)
    (found,) = evaluate(graph, inputs).values()
    if expected.dtype == np.int8:
        # Codes after float arithmetic: sums in another order may round to the next code.
        assert np.abs(found.astype(np.int64) - expected).max() <= 1
        return
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", [*BUNDLED, *OTHERS], ids=lambda path: path.stem)
def test_import_and_clean_up_keep_results(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path.name} is not there: it is not part of the repository")
    graph = import_onnx(path)
    verify(graph)
    expect_equal(graph, path)
    clean = Pipeline.parse(CLEAN_UP).run(graph, PassContext())
    verify(clean)
    expect_equal(clean, path)
    assert "batch_normalization" not in {node.op.name for node in clean.nodes}


def test_shape_arithmetic_of_resnet20_vanishes() -> None:
    raw, folded = (DATA / "cifar10" / f"{name}.onnx" for name in ("resnet20_raw", "resnet20"))
    if not raw.exists():
        pytest.skip(f"{raw.name} is not there: it is not part of the repository")
    clean = [
        Pipeline.parse(CLEAN_UP).run(import_onnx(path), PassContext()) for path in (raw, folded)
    ]
    kinds = [sorted(node.op.name for node in graph.nodes) for graph in clean]
    assert {name: kinds[0].count(name) for name in ("conv", "add", "relu", "matmul")} == {
        name: kinds[1].count(name) for name in ("conv", "add", "relu", "matmul")
    }


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_every_node_knows_where_it_came_from(path: Path) -> None:
    assert all(node.origin for node in import_onnx(path).nodes)

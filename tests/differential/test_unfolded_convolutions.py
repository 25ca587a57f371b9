"""Convolutions with parallel windows: machine, both graphs and onnxruntime agree bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from support.onnx_models import model, node

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.data import Samples
from imcc.compiler.driver import compile_model
from imcc.compiler.mapping import summary
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.verify import verify_program

CHIPS = {
    "isaac": load_chip("isaac", ("array.rows=512", "array.cols=512", "adc.bits=12")),
    "dcim22": load_chip("dcim22", ("array.rows=512", "array.cols=512")),
    "neurram": load_chip("neurram", ("array.rows=1024", "core.arrays=4", "adc.bits=14")),
}


@dataclass(frozen=True)
class Case:
    """Two convolutions over an image, or a signal where `kernel` has one extent."""

    image: tuple[int, ...]
    channels: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    bits: int = 8


CASES = {
    "same": Case((12, 16), 8, (3, 3), (1, 1), (1, 1, 1, 1)),
    "valid": Case((13, 18), 4, (3, 3), (1, 1), (0, 0, 0, 0)),
    "strided": Case((17, 24), 4, (3, 5), (1, 2), (1, 2, 1, 2)),
    "uneven pads": Case((12, 13), 4, (2, 3), (1, 1), (1, 0, 0, 2)),
    "partial": Case((11, 19), 3, (3, 3), (1, 1), (1, 1, 1, 1)),
    "points": Case((8, 12), 8, (1, 1), (1, 1), (0, 0, 0, 0)),
    "four bits": Case((12, 16), 8, (3, 3), (1, 1), (1, 1, 1, 1), bits=4),
    "two bits": Case((12, 12), 6, (5, 5), (1, 1), (2, 2, 2, 2), bits=2),
    "signal": Case((64,), 4, (5,), (1,), (2, 2)),
}


@pytest.mark.parametrize("order", [ScheduleMode.LAYERS, ScheduleMode.LATENCY])
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name", CASES)
def test_all_definitions_agree(name: str, chip: str, order: ScheduleMode) -> None:
    case, rng = CASES[name], np.random.default_rng(3)
    shape = (case.channels, case.channels, *case.kernel)
    weights = {f"w{i}": rng.standard_normal(shape, np.float32) for i in range(2)}
    weights["b0"] = rng.standard_normal(case.channels, np.float32)
    attributes = {"strides": case.strides, "pads": case.pads}
    nodes = [
        node("Conv", "x w0 b0", "h", **attributes),
        node("Relu", "h", "r"),
        node("Conv", "r w1", "y", **attributes),
    ]
    network = model(nodes, {"x": (1, case.channels, *case.image)}, weights)
    options = CompileOptions(schedule=order, weight_bits=case.bits)
    compilation = compile_model(network.SerializeToString(), CHIPS[chip], options, "random")
    windows = [layer.windows for layer in summary(compilation.tiled)]
    if order is ScheduleMode.LAYERS:
        assert any(np.prod(one) > 1 for one in windows)
    samples = rng.standard_normal((3, case.channels, *case.image)).astype(np.float32)
    found = verify_program(
        compilation.program, network.SerializeToString(), Samples({"x": samples}, "normal")
    )
    assert len(found.comparisons) == 4
    assert [one.differences for one in found.comparisons] == [0, 0, 0, 0]

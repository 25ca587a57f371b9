"""Statistics and ranges against NumPy on the whole data, and against known optimal clips."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.compiler.errors import InputError
from imcc.compiler.ir import Array, DType, Graph, GraphBuilder, TensorType
from imcc.compiler.ir.ops.unary import Relu
from imcc.compiler.quantize import (
    Method,
    Statistics,
    calibrate,
    random_batches,
    sample_batches,
    value_range,
)
from imcc.compiler.quantize.readers import Data


def statistics_of(*parts: Array) -> Statistics:
    statistics = Statistics()
    for part in parts:
        statistics.update(part.astype(np.float32))
    return statistics


def test_extremes_and_counts_are_those_of_the_data() -> None:
    data = np.random.default_rng(0).standard_normal((7, 1000)).astype(np.float32) * 3
    found = statistics_of(*data)
    assert (found.low, found.high, found.count) == (data.min(), data.max(), data.size)
    assert int(found.bins.sum()) == data.size
    assert not found.whole
    assert statistics_of(np.array([0.0, 255.0, 7.0])).whole


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(1, 999), max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_histogram_does_not_depend_on_mini_batches(seed: int, cuts: list[int]) -> None:
    """Values grow along the data, so the reach doubles in between."""
    data = np.random.default_rng(seed).standard_normal(1000) * np.geomspace(1e-3, 1e3, 1000)
    whole, parts = statistics_of(data), statistics_of(*filter(len, np.split(data, sorted(cuts))))
    assert whole.reach == parts.reach
    np.testing.assert_array_equal(whole.bins, parts.bins)
    edges = np.arange(-2048, 2049) * (whole.reach / 2048)
    inside = np.histogram(data.astype(np.float32), edges)[0]
    np.testing.assert_array_equal(whole.bins, inside)


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99])
def test_percentiles_are_those_of_numpy_to_within_a_bin(percentile: float) -> None:
    data = np.random.default_rng(1).standard_normal(200_000)
    found = statistics_of(data)
    low, high = value_range(found, Method.PERCENTILE, percentile, 8)
    width = found.reach / 2048
    assert abs(high - np.percentile(data, percentile)) < 2 * width
    assert abs(low - np.percentile(data, 100 - percentile)) < 2 * width


def test_min_max_is_the_full_range_with_zero() -> None:
    found = statistics_of(np.array([2.0, 5.0]))
    assert value_range(found, Method.MIN_MAX, 99.99, 8) == (0.0, 5.0)
    found = statistics_of(np.array([-2.0, -5.0]))
    assert value_range(found, Method.MIN_MAX, 99.99, 8) == (-5.0, 0.0)


# Clips of a half-normal distribution with the least squared error, in standard deviations.
HALF_NORMAL = {2: 1.95, 3: 2.45, 4: 2.90, 5: 3.30, 6: 3.65, 7: 4.00, 8: 4.35}


@pytest.mark.parametrize("bits", HALF_NORMAL)
def test_mse_finds_the_optimal_clips_of_a_half_normal_distribution(bits: int) -> None:
    data = np.abs(np.random.default_rng(2).standard_normal(1_000_000))
    low, high = value_range(statistics_of(data), Method.MSE, 99.99, bits)
    assert low == 0.0
    assert high == pytest.approx(HALF_NORMAL[bits], abs=0.12)


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_mse_is_the_best_clip_of_a_grid_over_the_whole_data(bits: int) -> None:
    data = np.random.default_rng(3).laplace(size=50_000).astype(np.float32)
    low, high = value_range(statistics_of(data), Method.MSE, 99.99, bits)
    errors = {f: squared_error(data, f, bits) for f in np.linspace(0.2, 1, 81)}
    chosen = high / float(data.max())
    assert low / float(data.min()) == pytest.approx(chosen)
    assert squared_error(data, chosen, bits) <= min(errors.values()) * 1.01


def squared_error(data: Array, fraction: float, bits: int) -> float:
    low, high = data.min() * fraction, data.max() * fraction
    step = (high - low) / (2**bits - 1)
    zero = np.rint(-low / step)
    codes = np.clip(np.rint(data / step) + zero, 0, 2**bits - 1)
    return float(((data - (codes - zero) * step) ** 2).sum())


def test_zeros_only() -> None:
    found = statistics_of(np.zeros(10))
    for method in Method:
        assert value_range(found, method, 99.99, 8) == (0.0, 0.0)


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        Statistics().update(np.array([1.0, np.inf], np.float32))


def relu_graph(extent: int) -> Graph:
    builder = GraphBuilder("relu")
    x = builder.input("x", TensorType(DType.F32, (1, extent)))
    return builder.finish([builder.add(Relu(), [x], "y")], ["y"])


def test_calibration_covers_inputs_and_results() -> None:
    graph = relu_graph(4)
    data = np.array([[-1, 2, 3, -4], [0, 1, 0, 6]], np.float32)
    found = calibrate(graph, sample_batches(data, graph.inputs, 1), ["x", "y"])
    assert (found["x"].low, found["x"].high) == (-4, 6)
    assert (found["y"].low, found["y"].high) == (0, 6)
    with pytest.raises(InputError, match="empty"):
        calibrate(graph, [], ["x"])
    with pytest.raises(InputError, match=r"'x'.*not finite"):
        calibrate(graph, [{"x": np.full((1, 4), np.nan, np.float32)}], ["x"])


def test_memory_does_not_grow_with_the_number_of_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMCC_NUM_THREADS", "1")  # the peak of several would vary
    graph = relu_graph(1000)
    peaks = []
    for batches in (4, 80):
        tracemalloc.start()
        rng = np.random.default_rng(0)
        data = ({"x": rng.standard_normal((32, 1000)).astype(np.float32)} for _ in range(batches))
        calibrate(graph, data, ["x", "y"])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("threads", ["1", "3"])
def test_statistics_do_not_depend_on_threads(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMCC_NUM_THREADS", threads)
    graph = relu_graph(50)
    rng = np.random.default_rng(1)
    scales = (0.0, 1e-3, 1.0, 700.0, 0.1, 3.0)
    batches = [{"x": (rng.standard_normal((8, 50)) * s).astype(np.float32)} for s in scales]
    found = calibrate(graph, batches, ["x"])["x"]
    everything = np.concatenate([batch["x"] for batch in batches])
    assert (found.low, found.high) == (everything.min(), everything.max())
    assert found.count == everything.size
    edges = np.linspace(-found.reach, found.reach, len(found.bins) + 1)
    np.testing.assert_array_equal(found.bins, np.histogram(everything, edges)[0])


class NextReader:
    """A reader in the manner of onnxruntime's calibration."""

    def __init__(self, data: Array) -> None:
        self._rows = iter(data)

    def get_next(self) -> Mapping[str, Array] | None:
        row = next(self._rows, None)
        return None if row is None else {"x": row[None]}


def test_every_form_of_calibration_data_gives_the_same_samples() -> None:
    graph = relu_graph(3)
    data = np.arange(30, dtype=np.float32).reshape(10, 3)
    forms: list[Data] = [data, {"x": data}, [{"x": row[None]} for row in data], NextReader(data)]
    for form in forms:
        batches = list(sample_batches(form, graph.inputs, 4))
        assert max(len(batch["x"]) for batch in batches) <= 4
        np.testing.assert_array_equal(np.concatenate([b["x"] for b in batches]), data)
    with pytest.raises(InputError, match="no array for input x"):
        list(sample_batches({"z": data}, graph.inputs))


def test_random_samples_are_seeded() -> None:
    graph = relu_graph(3)
    first, again = (list(random_batches(graph, 5, 40)()) for _ in range(2))
    assert sum(len(batch["x"]) for batch in first) == 40
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])
    assert not np.array_equal(first[0]["x"], next(iter(random_batches(graph, 6, 40)()))["x"])

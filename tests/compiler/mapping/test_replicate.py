"""Replicas against all assignments of small problems, and what is reported about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.compiler.errors import CapacityError
from imcc.compiler.mapping.bounds import divisible_time, work_time
from imcc.compiler.mapping.replicate import (
    Layer,
    Replication,
    least_arrays,
    longest_paths,
    pipelined,
    sequential,
    sequential_greedy,
    steps,
    throughput,
)

LAYERS = st.lists(
    st.builds(
        Layer,
        name=st.just("layer"),
        windows=st.integers(1, 9),
        arrays=st.integers(1, 4),
        row_blocks=st.just(1),
        window_time=st.sampled_from([0.5, 1.0, 3.0, 0.1]),
        before=st.sampled_from([0.0, 1.0, 2.5]),
        after=st.sampled_from([0.0, 4.0]),
    ),
    min_size=1,
    max_size=4,
)


def times(layers: Sequence[Layer], replicas: Sequence[int]) -> list[float]:
    counts = zip(layers, replicas, strict=True)
    return [layer.window_time * -(-layer.windows // count) for layer, count in counts]


def period(layers: Sequence[Layer], replicas: Sequence[int]) -> float:
    return max(times(layers, replicas))


def end(layers: Sequence[Layer], replicas: Sequence[int]) -> float:
    ends = zip(layers, times(layers, replicas), strict=True)
    return max(time + layer.before + layer.after for layer, time in ends)


def total(layers: Sequence[Layer], replicas: Sequence[int]) -> float:
    return sum(times(layers, replicas))


def arrays(layers: Sequence[Layer], replicas: Sequence[int]) -> int:
    return sum(layer.arrays * count for layer, count in zip(layers, replicas, strict=True))


@pytest.mark.parametrize(
    ("replicate", "time"), [(throughput, period), (pipelined, end), (sequential, total)]
)
@given(layers=LAYERS, more=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_no_assignment_is_better(
    replicate: Callable[[Sequence[Layer], int], Replication],
    time: Callable[[Sequence[Layer], Sequence[int]], float],
    layers: list[Layer],
    more: int,
) -> None:
    chip = sum(layer.arrays for layer in layers) + more
    every = product(*(range(1, layer.windows + 1) for layer in layers))
    best = min(time(layers, counts) for counts in every if arrays(layers, counts) <= chip)
    found = replicate(layers, chip)
    assert found.time == found.bound == pytest.approx(best)
    assert time(layers, found.replicas) == pytest.approx(best)
    assert found.arrays == arrays(layers, found.replicas) <= chip


@given(layers=LAYERS, more=st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_every_bound_is_below_what_is_reached(layers: list[Layer], more: int) -> None:
    chip = sum(layer.arrays for layer in layers) + more
    best, found = sequential(layers, chip), sequential_greedy(layers, chip)
    assert found.time == pytest.approx(total(layers, found.replicas))
    assert found.arrays == arrays(layers, found.replicas) <= chip
    rounding = 1 + 1e-9
    assert divisible_time(layers, chip) <= found.bound * rounding
    assert found.bound <= best.time * rounding
    assert best.time <= found.time * rounding
    assert found.distance >= -1e-9
    assert work_time(layers, chip) <= throughput(layers, chip).time * rounding


@given(windows=st.integers(1, 5000))
def test_steps_are_all_values_that_replicas_give(windows: int) -> None:
    every = {-(-windows // count) for count in range(1, windows + 1)}
    assert steps(windows).tolist() == sorted(every, reverse=True)


def test_arrays_that_the_period_does_not_need_shorten_other_layers() -> None:
    """The period is that of the layer of 4 arrays; the other one takes what is left."""
    layers = [Layer("large", 8, 4, 1, 1.0), Layer("small", 8, 1, 1, 1.0)]
    found = throughput(layers, 11)
    assert (found.time, least_arrays(layers, found.time)) == (4, 2 * 4 + 2)
    assert (found.replicas, found.arrays) == ((2, 3), 11)
    assert least_arrays(layers, 0.5) is None


def test_a_product_with_others_before_it_gets_more_replicas() -> None:
    layers = [
        Layer("on the long path", 12, 1, 1, 1.0, before=4.0, after=4.0),
        Layer("beside it", 12, 1, 1, 1.0),
    ]
    found = pipelined(layers, 5)
    assert (found.replicas, found.time) == ((3, 2), 12)


def test_a_network_larger_than_the_chip() -> None:
    layers = [Layer("a", 4, 1500, 1, 1.0), Layer("b", 4, 10, 1, 1.0)]
    for replicate in (throughput, sequential, sequential_greedy, pipelined):
        with pytest.raises(CapacityError) as error:
            replicate(layers, 1000)
        assert str(error.value) == (
            "one replica of each of 2 products takes 1,510 arrays, the chip has 1,000: 510 short"
        )


@pytest.mark.parametrize(
    "replicate", [throughput, sequential, sequential_greedy, pipelined], ids=lambda f: f.__name__
)
def test_a_network_without_products(
    replicate: Callable[[Sequence[Layer], int], Replication],
) -> None:
    assert replicate([], 4) == Replication((), 0, 0, 0)
    assert replicate([], 4).distance == divisible_time([], 4) == 0


def test_longest_paths_take_the_slowest_branch() -> None:
    """0 leads to 1 and 2, both to 3; 2 is slower than 1."""
    edges = [(2, 3), (0, 1), (0, 2), (1, 3)]
    assert longest_paths([1.0, 2.0, 5.0, 7.0], edges) == (
        (0.0, 12.0),
        (1.0, 7.0),
        (1.0, 7.0),
        (6.0, 0.0),
    )

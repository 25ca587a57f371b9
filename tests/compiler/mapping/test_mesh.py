"""Places on the mesh: a permutation that no swap of two places makes better."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from imcc.compiler.mapping.mesh import arrange, byte_hops, distances


def test_hops_are_manhattan_distances() -> None:
    hops = distances(3, 4)
    assert hops[0, 11] == 2 + 3
    assert hops[5, 6] == 1
    np.testing.assert_array_equal(hops, hops.T)


@pytest.mark.parametrize("seed", range(4))
def test_no_swap_of_two_places_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    bytes_ = random.integers(0, 100, (12, 12)) * (random.random((12, 12)) < 0.3)
    traffic = np.asarray(bytes_, np.float64)
    places = arrange(traffic, 3, 4)
    assert sorted(places) == list(range(12))
    cost = byte_hops(traffic, places, 3, 4)
    assert cost <= byte_hops(traffic, np.arange(12), 3, 4)
    for one, other in combinations(range(12), 2):
        swapped = places.copy()
        swapped[[one, other]] = swapped[[other, one]]
        assert byte_hops(traffic, swapped, 3, 4) >= cost


def test_a_chain_of_cores_becomes_a_chain_of_neighbours() -> None:
    traffic = np.zeros((4, 4))
    traffic[0, 3] = traffic[3, 1] = traffic[1, 2] = 1.0
    assert byte_hops(traffic, arrange(traffic, 1, 4), 1, 4) == 3


def test_cores_without_traffic_stay() -> None:
    traffic = np.zeros((9, 9))
    traffic[0, 8] = 5.0
    places = arrange(traffic, 3, 3)
    np.testing.assert_array_equal(places[1:8], np.arange(1, 8))

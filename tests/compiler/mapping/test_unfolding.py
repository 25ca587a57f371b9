"""Cycles of im2col, SDK and VW-SDK, as the authors of VW-SDK publish them.

Sources: arXiv 2112.11282 and the table of its repository (djwhsdj/VW-SDK) for arrays of 512 x 512
cells: layers without padding, each shape of a network once. Totals for smaller arrays: the same
formulas, worked out independently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.compiler.mapping.unfolding import (
    Convolution,
    Unfolding,
    im2col,
    parallel_windows,
    sdk,
    vw_sdk,
)

Unfold = Callable[[Convolution, int, int], Unfolding]


def square(image: int, kernel: int, inputs: int, outputs: int) -> Convolution:
    return Convolution((image, image), (kernel, kernel), inputs, outputs)


VGG13 = [
    square(224, 3, 3, 64),
    square(224, 3, 64, 64),
    square(112, 3, 64, 128),
    square(112, 3, 128, 128),
    square(56, 3, 128, 256),
    square(56, 3, 256, 256),
    square(28, 3, 256, 512),
    square(28, 3, 512, 512),
    square(14, 3, 512, 512),
    square(14, 3, 512, 512),
]
RESNET18 = [
    square(112, 7, 3, 64),
    square(56, 3, 64, 64),
    square(28, 3, 128, 128),
    square(14, 3, 256, 256),
    square(7, 3, 512, 512),
]


@pytest.mark.parametrize(
    ("conv", "cycles", "window"),
    [
        (VGG13[0], (49_284, 12_321, 6_216), (10, 3, 3)),
        (VGG13[1], (98_568, 24_642, 24_642), (4, 4, 32)),
        (VGG13[2], (24_200, 6_050, 6_050), (4, 4, 32)),
        (VGG13[3], (36_300, 36_300, 12_100), (4, 4, 32)),
        (VGG13[4], (8_748, 8_748, 5_832), (4, 3, 42)),
        (VGG13[5], (14_580, 14_580, 10_206), (4, 3, 42)),
        (RESNET18[0], (11_236, 2_809, 1_431), (10, 8, 3)),
        (RESNET18[1], (5_832, 1_458, 1_458), (4, 4, 32)),
        (RESNET18[2], (2_028, 2_028, 676), (4, 4, 32)),
        (RESNET18[3], (720, 720, 504), (4, 3, 42)),
    ],
)
def test_published_layers(
    conv: Convolution, cycles: tuple[int, int, int], window: tuple[int, int, int]
) -> None:
    assert tuple(unfold(conv, 512, 512).cycles for unfold in (im2col, sdk, vw_sdk)) == cycles
    best = vw_sdk(conv, 512, 512)
    assert (max(best.rows, best.cols), min(best.rows, best.cols), best.inputs) == window


@pytest.mark.parametrize(
    ("network", "size", "unfold", "cycles"),
    [
        (VGG13, 512, im2col, 243_736),
        (VGG13, 512, sdk, 114_697),
        (VGG13, 512, vw_sdk, 77_102),
        (VGG13, 256, im2col, 381_632),
        (VGG13, 256, vw_sdk, 215_851),
        (VGG13, 128, im2col, 810_056),
        (VGG13, 128, vw_sdk, 711_488),
        (RESNET18, 512, im2col, 20_041),
        (RESNET18, 512, sdk, 7_240),
        (RESNET18, 512, vw_sdk, 4_294),
        (RESNET18, 256, im2col, 25_560),
        (RESNET18, 256, vw_sdk, 10_287),
        (RESNET18, 128, im2col, 51_920),
        (RESNET18, 128, vw_sdk, 36_310),
    ],
)
def test_totals(network: Sequence[Convolution], size: int, unfold: Unfold, cycles: int) -> None:
    assert sum(unfold(conv, size, size).cycles for conv in network) == cycles


@pytest.mark.parametrize(
    ("conv", "windows", "cycles"),
    [
        (VGG13[0], (1, 8), 6_216),
        (VGG13[1], (2, 2), 24_642),
        (VGG13[2], (2, 2), 6_050),
        (VGG13[3], (2, 2), 12_100),
        (VGG13[4], (1, 2), 5_832),
        (RESNET18[1], (2, 2), 1_458),
        (RESNET18[2], (2, 2), 676),
    ],
)
def test_programs_have_the_windows_of_the_publication(
    conv: Convolution, windows: tuple[int, int], cycles: int
) -> None:
    """The published parallel window less the kernel; where rows end inside a channel, no worse."""
    best = parallel_windows(conv, 512, 512)[-1]
    assert (best.rows, best.cols) == windows
    published = vw_sdk(conv, 512, 512)
    sides = sorted((published.rows - 2, published.cols - 2))
    assert sides == sorted(windows)
    assert published.cycles == cycles
    assert best.cycles <= cycles


@pytest.mark.parametrize(
    ("network", "size"), [(n, size) for n in (VGG13, RESNET18) for size in (128, 256, 512)]
)
def test_programs_take_no_more_cycles_than_published(
    network: Sequence[Convolution], size: int
) -> None:
    """Rows that end inside a channel save more than windows that must divide the rows cost."""
    ours = sum(parallel_windows(conv, size, size)[-1].cycles for conv in network)
    assert ours < sum(vw_sdk(conv, size, size).cycles for conv in network)


SIDES = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(
    kernel=SIDES,
    more=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cells=st.tuples(st.integers(25, 200), st.integers(1, 200)),
)
@settings(max_examples=100, deadline=None)
def test_the_search_finds_the_least_of_all_rectangles(
    kernel: tuple[int, int],
    more: tuple[int, int],
    channels: tuple[int, int],
    cells: tuple[int, int],
) -> None:
    image = (kernel[0] + more[0], kernel[1] + more[1])
    conv = Convolution(image, kernel, *channels)
    cycles = [im2col(conv, *cells).cycles]
    for high in range(1, conv.windows[0] + 1):
        for wide in range(1, conv.windows[1] + 1):
            inputs = cells[0] // ((high + kernel[0] - 1) * (wide + kernel[1] - 1))
            outputs = cells[1] // (high * wide)
            if inputs and outputs:
                places = -(-conv.windows[0] // high) * -(-conv.windows[1] // wide)
                cycles.append(places * -(-channels[0] // inputs) * -(-channels[1] // outputs))
    assert vw_sdk(conv, *cells).cycles == min(cycles)


@given(
    kernel=SIDES,
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    windows=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cells=st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
@settings(max_examples=100, deadline=None)
def test_parallel_windows_are_the_best_for_their_arrays(
    kernel: tuple[int, int],
    strides: tuple[int, int],
    windows: tuple[int, int],
    channels: tuple[int, int],
    cells: tuple[int, int],
) -> None:
    image = tuple((n - 1) * s + k for n, s, k in zip(windows, strides, kernel, strict=True))
    conv = Convolution((image[0], image[1]), kernel, *channels, strides)
    assert conv.windows == windows
    found = parallel_windows(conv, *cells)
    assert (found[0].rows, found[0].cols) == (1, 1)
    assert found[0].cycles == im2col(conv, *cells).cycles
    least: dict[int, int] = {}
    for high, wide in np.ndindex(*(min(n, *cells) for n in windows)):
        (p, q), (h, w) = windows, (high + 1, wide + 1)
        if p % h or (h > 1 and q % w):
            continue
        rows = (kernel[0] + high * strides[0]) * (kernel[1] + wide * strides[1]) * channels[0]
        arrays = -(-rows // cells[0]) * -(-h * w * channels[1] // cells[1])
        least[arrays] = min(least.get(arrays, 1 << 60), p // h * -(-q // w) * arrays)
    for one in found[1:]:
        assert one.cycles == least[one.arrays]
    assert found[-1].cycles == min(least.values())
    assert sorted((one.cycles for one in found), reverse=True) == [one.cycles for one in found]

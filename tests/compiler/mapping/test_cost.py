"""Crossbar writes, executes and latency of CIM-AQ's networks, as its simulator counts them.

Expected numbers: the layer tables of CIM-AQ's simulator (DATE 2026, arXiv 2601.21737), arrays of
256 x 256 cells, 56 us a write, 1.4 us a read, 1-bit input steps. Arrays of grouped convolutions:
MobileNetV2 and ShuffleNet-v1 as PIMCOMP has them (dense), and block-diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.product_shapes import ProductShape, mobilenet_v2, shufflenet_v1

from imcc.compiler.mapping.cost import (
    CrossbarModel,
    MatrixWork,
    Precision,
    dense_arrays,
    grouped_arrays,
    network_cost,
)
from imcc.isa.target import Encoding

RESNET18 = [
    MatrixWork(147, 64, 112 * 112),
    *[MatrixWork(576, 64, 56 * 56)] * 4,
    MatrixWork(576, 128, 28 * 28),
    MatrixWork(64, 128, 28 * 28),
    *[MatrixWork(1152, 128, 28 * 28)] * 3,
    MatrixWork(1152, 256, 14 * 14),
    MatrixWork(128, 256, 14 * 14),
    *[MatrixWork(2304, 256, 14 * 14)] * 3,
    MatrixWork(2304, 512, 7 * 7),
    MatrixWork(256, 512, 7 * 7),
    *[MatrixWork(4608, 512, 7 * 7)] * 3,
    MatrixWork(512, 1000, 1),
]


def _vgg(*blocks: tuple[int, ...]) -> list[MatrixWork]:
    layers, channels, size = [], 3, 224
    for block in blocks:
        for outputs in block:
            layers.append(MatrixWork(9 * channels, outputs, size * size))
            channels = outputs
        size //= 2
    classifier = [(25088, 4096), (4096, 4096), (4096, 1000)]
    return [*layers, *(MatrixWork(rows, outputs, 1) for rows, outputs in classifier)]


VGG11 = _vgg((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16 = _vgg((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
TOKENS, HEADS, HEAD = 50, 12, 64
# The keys and values of a head are written as matrices, too.
VIT_BLOCK = [
    MatrixWork(768, 2304, TOKENS),
    MatrixWork(HEAD, TOKENS, TOKENS, HEADS),
    MatrixWork(TOKENS, HEAD, TOKENS, HEADS),
    MatrixWork(768, 768, TOKENS),
    MatrixWork(768, 3072, TOKENS),
    MatrixWork(3072, 768, TOKENS),
]
VIT_B_32 = [MatrixWork(32 * 32 * 3, 768, 7 * 7), *VIT_BLOCK * 12, MatrixWork(768, 1000, 1)]
OFFSET = Encoding.OFFSET
COLUMNS = Encoding.DIFFERENTIAL_COLUMNS
ROWS = Encoding.DIFFERENTIAL_ROWS


def _model(encoding: Encoding, cell_bits: int) -> CrossbarModel:
    return CrossbarModel(256, 256, cell_bits, 1, 56.0, 1.4, encoding)


@pytest.mark.parametrize(
    ("layers", "encoding", "cell_bits", "writes", "executes", "seconds"),
    [
        (RESNET18, OFFSET, 4, 486, 920_544, 1.31598),
        (RESNET18, COLUMNS, 4, 727, 1_047_680, 1.50746),
        (RESNET18, ROWS, 4, 727, 1_311_104, 1.87626),
        (RESNET18, COLUMNS, 2, 1_454, 2_095_360, 3.01493),
        (VGG11, OFFSET, 4, 4_254, 3_217_296, 4.74244),
        (VGG11, COLUMNS, 4, 8_119, 4_275_200, 6.43994),
        (VGG11, ROWS, 4, 8_116, 4_124_672, 6.22904),
        (VGG11, COLUMNS, 2, 16_238, 8_550_400, 12.87989),
        (VGG16, OFFSET, 4, 4_474, 6_808_016, 9.78177),
        (VGG16, COLUMNS, 4, 8_456, 8_515_072, 12.39464),
        (VGG16, ROWS, 4, 8_454, 9_067_008, 13.16724),
        (VGG16, COLUMNS, 2, 16_912, 17_030_144, 24.78927),
        (VIT_B_32, OFFSET, 4, 3_240, 1_285_920, 1.98173),
        (VIT_B_32, COLUMNS, 4, 5_664, 2_245_632, 3.46107),
        (VIT_B_32, ROWS, 4, 5_664, 2_245_632, 3.46107),
        (VIT_B_32, COLUMNS, 2, 11_328, 4_491_264, 6.92214),
    ],
)
def test_published_counts(
    layers: Sequence[MatrixWork],
    encoding: Encoding,
    cell_bits: int,
    writes: int,
    executes: int,
    seconds: float,
) -> None:
    policy = [Precision(8, 8)] * len(layers)
    cost = network_cost(layers, policy, _model(encoding, cell_bits))
    assert (cost.writes, cost.executes) == (writes, executes)
    assert round(cost.latency_us / 1e6, 5) == seconds


def test_each_layer_has_bits_of_its_own() -> None:
    """Of 4-bit weights half the columns remain, of 3-bit inputs three steps."""
    layers = [MatrixWork(256, 128, 10), MatrixWork(256, 128, 10)]
    cost = network_cost(layers, [Precision(8, 8), Precision(4, 3)], _model(COLUMNS, 4))
    assert (cost.writes, cost.executes) == (2 + 1, 2 * 10 * 8 + 1 * 10 * 3)
    assert cost.latency_us == pytest.approx(3 * 56 + 190 * 1.4)


@pytest.mark.parametrize(
    ("network", "size", "dense", "packed"),
    [
        (mobilenet_v2(), 128, 3_006, 816),
        (mobilenet_v2(), 256, 854, 369),
        (shufflenet_v1(), 128, 1_522, 544),
    ],
    ids=["mobilenet-128", "mobilenet-256", "shufflenet-128"],
)
def test_grouped_convolutions(
    network: Sequence[ProductShape], size: int, dense: int, packed: int
) -> None:
    assert sum(dense_arrays(s.rows, s.outputs, size, size) for s in network) == dense
    assert (
        sum(
            grouped_arrays(s.rows // s.groups, s.outputs // s.groups, s.groups, size, size)
            for s in network
        )
        == packed
    )


@pytest.mark.parametrize(
    ("block", "groups", "arrays"),
    [
        ((9, 1), 14, 1),  # 14 x 9 = 126 rows
        ((9, 1), 15, 2),
        ((200, 10), 2, 4),  # a dense matrix of 400 x 20 takes 4, two blocks of 2 arrays as well
        ((129, 1), 8, 9),  # a dense matrix of 1032 x 8, not 8 blocks of 2 arrays
    ],
)
def test_blocks_on_the_diagonal(block: tuple[int, int], groups: int, arrays: int) -> None:
    assert grouped_arrays(*block, groups, 128, 128) == arrays

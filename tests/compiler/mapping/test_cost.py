"""Crossbar writes and executes of CIM-AQ's networks, as its simulator counts them.

Expected numbers: the layer tables of CIM-AQ's simulator (DATE 2026), arrays of 256 x 256 cells,
8-bit weights, eight input steps.
"""

from __future__ import annotations

import pytest

from imcc.compiler.mapping.cost import crossbar_writes
from imcc.isa.target import Encoding

Layer = tuple[int, int, int]  # rows, outputs, windows

RESNET18: list[Layer] = [
    (147, 64, 112 * 112),
    *[(576, 64, 56 * 56)] * 4,
    (576, 128, 28 * 28),
    (64, 128, 28 * 28),
    *[(1152, 128, 28 * 28)] * 3,
    (1152, 256, 14 * 14),
    (128, 256, 14 * 14),
    *[(2304, 256, 14 * 14)] * 3,
    (2304, 512, 7 * 7),
    (256, 512, 7 * 7),
    *[(4608, 512, 7 * 7)] * 3,
    (512, 1000, 1),
]


def _vgg(*blocks: tuple[int, ...]) -> list[Layer]:
    layers, channels, size = [], 3, 224
    for block in blocks:
        for outputs in block:
            layers.append((9 * channels, outputs, size * size))
            channels = outputs
        size //= 2
    return [*layers, (25088, 4096, 1), (4096, 4096, 1), (4096, 1000, 1)]


VGG11 = _vgg((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16 = _vgg((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
COLUMNS = Encoding.DIFFERENTIAL_COLUMNS
ROWS = Encoding.DIFFERENTIAL_ROWS


@pytest.mark.parametrize(
    ("layers", "encoding", "cell_bits", "writes", "executes"),
    [
        (RESNET18, Encoding.OFFSET, 4, 486, 920_544),
        (RESNET18, COLUMNS, 4, 727, 1_047_680),
        (RESNET18, ROWS, 4, 727, 1_311_104),
        (RESNET18, COLUMNS, 2, 1_454, 2_095_360),
        (VGG11, Encoding.OFFSET, 4, 4_254, 3_217_296),
        (VGG11, COLUMNS, 4, 8_119, 4_275_200),
        (VGG11, ROWS, 4, 8_116, 4_124_672),
        (VGG11, COLUMNS, 2, 16_238, 8_550_400),
        (VGG16, Encoding.OFFSET, 4, 4_474, 6_808_016),
        (VGG16, COLUMNS, 4, 8_456, 8_515_072),
        (VGG16, ROWS, 4, 8_454, 9_067_008),
        (VGG16, COLUMNS, 2, 16_912, 17_030_144),
    ],
)
def test_published_counts(
    layers: list[Layer], encoding: Encoding, cell_bits: int, writes: int, executes: int
) -> None:
    counts = [
        crossbar_writes(k, n, 8, encoding, cell_bits=cell_bits, array_rows=256, array_cols=256)
        for k, n, _ in layers
    ]
    assert sum(counts) == writes
    steps = 8
    assert sum(c * w * steps for c, (_, _, w) in zip(counts, layers, strict=True)) == executes

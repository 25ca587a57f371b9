"""Operators with a batch of their own, axis 0 of ``[N, C, ...]``, where it has several elements.

Functions of each channel by itself take N * C channels. A convolution takes N as one more spatial
axis, with a window of one element. Everything else is repeated N times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Node, Value
from ...ir.ops.attention import Attention, RotaryEmbedding
from ...ir.ops.carried_state import LinearAttention
from ...ir.ops.dilate import Dilate
from ...ir.ops.layer_norm import GroupNormalization
from ...ir.ops.linear import Conv
from ...ir.ops.normalization import BatchNormalization, LocalResponseNormalization
from ...ir.ops.pooling import AveragePool, GlobalAveragePool, LpPool, MaxPool
from ...ir.ops.sampling import AffineGrid, GridSample
from ...ir.ops.shape import Concat, Reshape, Slice, Transpose
from ...ir.ops.signal import STFT
from ...ir.ops.transposed import Col2Im, ConvTranspose
from ...ir.ops.unpooling import MaxUnpool
from .carrier import Carrier
from .registry import batches

_REPEATS = 64  # as many programs for one operator are still reasonable
_SPATIAL = 3

Results = tuple[Value, ...] | None


@batches(MaxPool, AveragePool, LpPool, GlobalAveragePool, Dilate)
def by_channel(carrier: Carrier, node: Node) -> Results:
    """Channels of all N are channels of one."""
    (x,) = node.operands
    if carrier.can_keep(x):
        return carrier.add(node.op, [carrier.kept(x)], node)
    pooled = carrier.step(node.op, [_channels(carrier, x)], node, "channels")
    return carrier.add(Reshape((1, *node.result.type.shape)), [pooled], node)


@batches(BatchNormalization)
def batch_normalization(carrier: Carrier, node: Node) -> Results:
    """The parameters of the channels, N times."""
    x, *parameters = node.operands
    if not all(carrier.is_constant(parameter) for parameter in parameters):
        return None
    if carrier.can_keep(x):
        operands = [carrier.kept(x), *map(carrier.as_is, parameters)]
        return carrier.add(node.op, operands, node)
    repeated = [
        carrier.builder.constant(np.tile(carrier.array(p), x.type.shape[0]), f"{p.name}/repeated")
        for p in parameters
    ]
    normal = carrier.step(node.op, [_channels(carrier, x), *repeated], node, "channels")
    return carrier.add(Reshape((1, *node.result.type.shape)), [normal], node)


def _channels(carrier: Carrier, x: Value) -> Value:
    count, channels, *spatial = x.type.shape
    return carrier.shaped(x, (1, count * channels, *spatial))


@batches(Conv)
def conv(carrier: Carrier, node: Node) -> Results:
    """N becomes the first spatial axis, where there are at most two others."""
    assert isinstance(node.op, Conv)
    x, w = node.operands[:2]
    constant = all(carrier.is_constant(operand) for operand in node.operands[1:])
    if not constant:
        return None
    if carrier.can_keep(x) or x.type.rank - 2 >= _SPATIAL:
        return repeated(carrier, node)
    spatial = x.type.rank - 2
    op = Conv(
        (1, *node.op.strides),
        (0, *node.op.pads[:spatial], 0, *node.op.pads[spatial:]),
        (1, *node.op.dilations),
        node.op.group,
    )
    swap = Transpose((0, 2, 1, *range(3, 3 + spatial)))
    turned = carrier.step(swap, [carrier.under(x)], node, "turned")
    shape = (*w.type.shape[:2], 1, *w.type.shape[2:])
    operands = [turned, carrier.shaped(w, shape), *map(carrier.as_is, node.operands[2:])]
    product = carrier.step(op, operands, node, "product")
    return carrier.add(swap, [product], node)


@batches(
    GroupNormalization,
    LocalResponseNormalization,
    ConvTranspose,
    Col2Im,
    STFT,
    AffineGrid,
)
def of_samples(carrier: Carrier, node: Node) -> Results:
    """Operand 0 has a batch, all others are constant."""
    if not all(carrier.is_constant(operand) for operand in node.operands[1:]):
        return None
    return repeated(carrier, node)


@batches(MaxUnpool, GridSample, Attention, RotaryEmbedding, LinearAttention)
def of_pairs(carrier: Carrier, node: Node) -> Results:
    """All operands have a batch, so none is constant."""
    if any(carrier.is_constant(operand) for operand in node.operands):
        return None
    return repeated(carrier, node)


def repeated(carrier: Carrier, node: Node) -> Results:
    """One node for each of the N; operands that are constant belong to all."""
    computed = carrier.computed(node)
    count = computed[0].type.shape[0]
    if any(value.type.shape[:1] != (count,) for value in (*computed, *node.results)):
        return None
    if count == 1:
        return carrier.add(node.op, carrier.all_kept(node), node)
    if count > _REPEATS:
        return None
    names = [result.name for result in node.results]
    rows = [_row(carrier, node, index, names) for index in range(count)]
    return tuple(
        carrier.builder.add(Concat(1), [row[i] for row in rows], name, node.origin)
        for i, name in enumerate(names)
    )


def _row(carrier: Carrier, node: Node, index: int, names: Sequence[str]) -> list[Value]:
    """What the node gives for one of the N, each result under a new axis."""
    operands = [
        carrier.as_is(o) if carrier.is_constant(o) else _element(carrier, node, o, index)
        for o in node.operands
    ]
    labels = [f"{name}/row{index}" for name in names]
    found = carrier.builder.add_many(node.op, operands, labels, node.origin)
    return [
        carrier.builder.add(Reshape((1, *v.type.shape)), [v], f"{label}/under", node.origin)
        for v, label in zip(found, labels, strict=True)
    ]


def _element(carrier: Carrier, node: Node, value: Value, index: int) -> Value:
    shape = value.type.shape
    rank = len(shape)
    starts, ends = (0, index, *(0,) * (rank - 1)), (1, index + 1, *shape[1:])
    cut = Slice(starts, ends, (1,) * (rank + 1))
    name = f"{node.results[0].name}/{value.name}/row{index}"
    part = carrier.builder.add(cut, [carrier.under(value)], name, node.origin)
    return carrier.builder.add(Reshape((1, *shape[1:])), [part], f"{name}/one", node.origin)

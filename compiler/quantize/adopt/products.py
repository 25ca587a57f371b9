"""Convolutions and matrix products of quantized models on codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir import Array, Node, Op, QuantParams, Value
from ...ir.ops.exact_product import accumulator_bound
from ...ir.ops.linear import Conv
from ...ir.ops.normalization import BatchNormalization
from ...ir.ops.quantized import QConv, QMatMul
from ...ir.ops.shape import Reshape
from ...ir.requant import Requant
from .adopter import Adopter, unsigned
from .scaling import Scaling, compose, real_constant
from .site import Site
from .thresholds import OutputStage, fit, fit_sign

_ACCUMULATOR_LIMIT = 1 << 31
_LARGEST_BIAS = 1 << 30
_MOST_WEIGHT_BITS = 9
_MOST_AXES = 5
_BYTE = 8
_LEVELS = 256


@dataclass(frozen=True, eq=False)
class _Product:
    """A product with its codes: weights less their zero point, and the scale of each channel."""

    node: Node
    axis: int
    x: Value
    weights: Array
    scales: NDArray[np.float32]

    @property
    def input(self) -> QuantParams:
        """Parameters of the input codes."""
        assert self.x.type.quant is not None
        return self.x.type.quant

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return int(self.weights.shape[self.axis])

    @property
    def steps(self) -> NDArray[np.float32]:
        """The real value of one accumulator of each channel."""
        return np.asarray(np.float32(self.input.scale[0]) * self.scales, np.float32)

    def bound(self, bias: Array, shift: int = 0) -> int:
        """The largest magnitude of an accumulator."""
        return accumulator_bound(self.input, self.weights, bias, self.axis, shift)

    def sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The smallest and the largest accumulator of each channel."""
        zero = self.input.zero_point[0]
        ends = np.array([self.input.low - zero, self.input.high - zero], np.int64)
        products = self.weights.astype(np.int64)[..., np.newaxis] * ends
        others = tuple(a for a in range(self.weights.ndim) if a != self.axis)
        return products.min(axis=-1).sum(axis=others), products.max(axis=-1).sum(axis=others)


def adopt_product(adopter: Adopter, site: Site) -> Value | None:
    """Conv and MatMul with the codes of their weights and bias."""
    product = _product(adopter, site.node)
    if product is None:
        return None
    scaling = _scaling(adopter, site, product)
    if scaling is None:
        codes = _bias_codes(adopter, site, product)
        stage = None if codes is None else OutputStage(product.steps.astype(np.float64), codes, 0)
    else:
        product, scaling = _positive(product, scaling)
        stage = _stage(adopter, site, product, scaling)
    return None if stage is None else _emit(adopter, site, product, stage)


def adopt_output(adopter: Adopter, site: Site) -> Value | None:
    """A product that ends in a real output of the model and has at most 256 results.

    The scale of its codes is one accumulator; only the offset of all codes is rounded.
    """
    product = _product(adopter, site.node)
    if product is None or site.bounds.nodes or site.chain.sign is not None:
        return None
    scaling = _scaling(adopter, site, product) or Scaling(
        np.ones(product.channels), np.zeros(product.channels)
    )
    real = scaling.factor * product.steps
    product, scaling = _positive(product, scaling)
    low, high = product.sums()
    zero = np.rint(-low.min() - scaling.offset / np.abs(real))
    step = np.float32(abs(real[0]))
    uneven = not np.array_equal(real, np.full_like(real, real[0])) or np.ptp(scaling.offset) > 0
    if uneven or high.max() - low.min() >= _LEVELS or not 0 <= zero[0] < _LEVELS:
        return None
    output = QuantParams((float(step),), (int(zero[0]),), None, 8, False)
    counts = np.full(product.channels, -low.min() - zero[0])
    stage = OutputStage(np.full(product.channels, float(step)), counts.astype(np.int32), 0)
    return _emit(adopter, replace(site, output=output), product, stage)


def adopt_normalization(adopter: Adopter, site: Site) -> Value | None:
    """BatchNormalization of codes: a depthwise product with weights of 1 or -1 and a window of 1.

    Its factors are scales of the output stage, so that nothing is rounded but the offsets, to
    fractions of a code.
    """
    node, x = site.node, adopter.codes(site.node.operands[0])
    if x is None:
        return None
    shape = x.type.shape
    direct = 3 <= len(shape) <= _MOST_AXES
    flat = shape if direct else (1, shape[1], prod(shape[2:]))
    scaling = compose(adopter.graph, node, (node,), shape[1])
    if scaling is None:
        return None
    if not direct:
        x = adopter.builder.add(Reshape(flat), [x], f"{node.result.name}/flat", node.origin)
    weights = np.ones((shape[1], *(1 for _ in flat[1:])), np.int64)
    ones = np.ones(shape[1], np.float32)
    product, scaling = _positive(_Product(node, 0, x, weights, ones), scaling)
    stage = _stage(adopter, site, product, scaling)
    if stage is None or direct:
        return None if stage is None else _emit(adopter, site, product, stage)
    made = _emit(adopter, replace(site, name=f"{site.name}/scaled"), product, stage)
    if made is None:
        return None
    return adopter.builder.add(Reshape(shape), [made], site.name, node.origin)


def _product(adopter: Adopter, node: Node) -> _Product | None:
    """The product with its codes; None, with a note, where it has none that are held."""
    axis = 0 if isinstance(node.op, Conv) else 1
    found, x = adopter.constant(node.operands[1]), adopter.codes(node.operands[0])
    if found is None:
        text = "its weights are not constant codes with a scale for each output channel"
        adopter.note(node, f"not adopted: {text}; they are quantized anew")
        return None
    if x is None:
        return None
    array, params = found
    if params.axis not in (None, axis):
        text = f"its weights have scales along axis {params.axis}, output channels are axis {axis}"
        adopter.note(node, f"not adopted: {text}; they are quantized anew")
        return None
    centred = array.astype(np.int64) - params.zero_points(array.ndim)
    if _bits(centred) > _MOST_WEIGHT_BITS:
        text = f"its weights need {_bits(centred)} bits, at most {_MOST_WEIGHT_BITS} are held"
        adopter.note(node, f"not adopted: {text}; they are quantized anew")
        return None
    scales = np.broadcast_to(np.asarray(params.scale, np.float32), (array.shape[axis],))
    return _Product(node, axis, x, centred, scales)


def _bits(codes: Array) -> int:
    """Bits that signed codes need."""
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1) + 1


def _scaling(adopter: Adopter, site: Site, product: _Product) -> Scaling | None:
    """Scales and offsets behind the product, its own real bias among them.

    None where there is nothing but a bias of codes, which is taken as it is, or a real bias
    before 8-bit codes, which onnxruntime rounds to accumulators.
    """
    chain, graph = site.chain, adopter.graph
    own = product.node.operands[2:] or _added(adopter, site)
    bias = real_constant(graph, own[0]) if own else None
    coded = bool(own) and adopter.constant(own[0]) is not None
    wide = site.output.bits == product.input.bits == _BYTE
    rounded = bias is None or coded or wide
    if not chain.scaling and chain.sign is None and rounded:
        return None
    behind = compose(graph, product.node, chain.scaling, product.channels)
    if behind is None or (own and bias is None):
        return None
    offset = np.zeros(1) if bias is None else bias.astype(np.float64).reshape(-1)
    first = Scaling(np.ones(product.channels), np.broadcast_to(offset, (product.channels,)))
    return first.then(behind.factor, behind.offset)


def _added(adopter: Adopter, site: Site) -> tuple[Value, ...]:
    """The bias that is added behind the product."""
    if site.chain.bias is None:
        return ()
    a, b = site.chain.bias.operands
    return (b,) if adopter.graph.producer(a) is site.node else (a,)


def _positive(product: _Product, scaling: Scaling) -> tuple[_Product, Scaling]:
    """The product with weights of the other sign where a factor is negative.

    The scaling is one of accumulators then. Channels with the factor 0 get weights 0.
    """
    shape = tuple(-1 if axis == product.axis else 1 for axis in range(product.weights.ndim))
    signs = np.sign(scaling.factor)
    weights = product.weights * signs.astype(np.int64).reshape(shape)
    factor = np.abs(scaling.factor) * product.steps.astype(np.float64)
    # The largest step has no meaning of its own, it only must not lose the offset.
    factor = np.where(signs == 0, factor.max(initial=0) or 1.0, factor)
    return replace(product, weights=weights), Scaling(factor, scaling.offset)


def _stage(adopter: Adopter, site: Site, product: _Product, scaling: Scaling) -> OutputStage | None:
    """The output stage that has the thresholds of the model."""
    if _bits(product.weights) > _MOST_WEIGHT_BITS:
        adopter.note(product.node, "not adopted: a negative scale makes weights of 10 bits")
        return None
    scale, reach = site.output.scale[0], product.bound(np.zeros(product.channels, np.int64))
    if site.chain.sign is not None:
        return fit_sign(scaling, scale, reach)
    stage = adopter.requant(site, site.output)
    zero = site.output.zero_point[0]
    return fit(scaling, scale, (stage.low - zero, stage.high - zero), reach)


def _bias_codes(adopter: Adopter, site: Site, product: _Product) -> NDArray[np.int32] | None:
    """The model's own codes, or ``rint(b / f32(sx * sw))`` for another scale, as onnxruntime."""
    own, steps = product.node.operands[2:] or _added(adopter, site), product.steps
    if site.chain.scaling or site.chain.sign is not None:
        adopter.note(product.node, "not adopted: a scale behind it differs within a channel")
        return None
    if not own:
        return np.zeros(len(steps), np.int32)
    reals, found = real_constant(adopter.graph, own[0]), adopter.constant(own[0])
    if reals is None:
        adopter.note(product.node, "not adopted: its bias is computed")
        return None
    if found is not None and _counts_in(found[1], steps):
        return np.asarray(_one_a_channel(found[0], len(steps)), np.int32)
    counts = np.rint(_one_a_channel(reals, len(steps)).astype(np.float32) / steps)
    return np.asarray(np.clip(counts, -_LARGEST_BIAS, _LARGEST_BIAS), np.int32)


def _counts_in(params: QuantParams, steps: NDArray[np.float32]) -> bool:
    """Whether codes have these scales, one a channel, and zero points 0."""
    scales = np.broadcast_to(np.asarray(params.scale, np.float32), steps.shape)
    return np.array_equal(scales, steps) and not any(params.zero_point)


def _one_a_channel(array: Array, channels: int) -> Array:
    """A bias as one number for each output channel."""
    return np.broadcast_to(array.reshape(-1), (channels,))


def _emit(adopter: Adopter, site: Site, product: _Product, stage: OutputStage) -> Value | None:
    bound = product.bound(stage.bias, stage.shift)
    if bound >= _ACCUMULATOR_LIMIT:
        text = f"an accumulator can reach {bound}, beyond 32 bits"
        adopter.note(product.node, f"not adopted: {text}")
        return None
    signed = adopter.wants_signed(site)
    requant = adopter.requant(site, site.output if signed else unsigned(site.output))
    bits, node, builder = _bits(product.weights), product.node, adopter.builder
    sx = np.float64(product.input.scale[0])
    scales = (stage.step / sx).astype(np.float32)
    # Untouched scales stay those of the model, bit for bit.
    scales = np.where(stage.step == product.steps, product.scales, scales)
    codes = product.weights.astype(np.int8 if bits <= 8 else np.int16)
    units = np.ldexp(np.float32(sx) * scales, -stage.shift).astype(np.float32)
    weights = builder.constant(
        codes, node.operands[1].name, _channel_params(scales, product.axis, bits)
    )
    bias = builder.constant(stage.bias, f"{node.result.name}/bias", _channel_params(units, 0, 32))
    op = _product_op(product, requant, stage.shift)
    return adopter.add(op, (product.x, weights, bias), site)


def _product_op(product: _Product, requant: Requant, shift: int) -> Op:
    op = product.node.op
    if isinstance(op, Conv):
        return QConv(op.strides, op.pads, op.dilations, op.group, requant, shift)
    if isinstance(op, BatchNormalization):
        ones = (1,) * (product.weights.ndim - 2)
        return QConv(ones, (0,) * 2 * len(ones), ones, product.channels, requant, shift)
    return QMatMul(requant, shift)


def _channel_params(scales: NDArray[np.float32], axis: int, bits: int) -> QuantParams:
    values = tuple(float(scale) for scale in scales)
    return QuantParams(values, (0,) * len(values), axis, bits, True)

"""QLinear operators: codes in, codes out. Each becomes Dequantize, the float operator, Quantize.

So one form of quantized networks reaches the passes, and the float operators' converters read
the attributes. Scales and zero points are operands; those of weights may be one a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import NodeProto

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.quant import Dequantize, Quantize
from ...ir.ops.shape import Transpose
from ...ir.requant import dequantize
from ..conversion import Conversion, Operand, Rejection
from ..dequantized import Codes, constant_codes
from ..inputs import tensor_quantization
from ..registry import Form, converts, find_converter

_MICROSOFT = "com.microsoft::"
_LAST = "channels_last"


@dataclass(frozen=True)
class _Form:
    """How a QLinear operator lays its operands out.

    `real` is the float operator. `operands` are where the (codes, scale, zero point) of each of
    its operands begin, `output` where the scale and zero point of the result do. `dropped` are
    attributes that the float operator has not. `condition` says that a condition comes first.
    """

    real: str
    operands: tuple[int, ...]
    output: int
    dropped: tuple[str, ...] = ()
    condition: bool = False


_FORMS = {
    "QLinearConv": _Form("Conv", (0, 3), 6, (_LAST,)),
    "QLinearMatMul": _Form("MatMul", (0, 3), 6),
    "QGemm": _Form("Gemm", (0, 3), 7),
    "QLinearAdd": _Form("Add", (0, 3), 6),
    "QLinearMul": _Form("Mul", (0, 3), 6),
    "QLinearSigmoid": _Form("Sigmoid", (0,), 3),
    "QLinearLeakyRelu": _Form("LeakyRelu", (0,), 3),
    "QLinearSoftmax": _Form("Softmax", (0,), 3, ("opset",)),
    "QLinearWhere": _Form("Where", (1, 4), 7, condition=True),
    "QLinearAveragePool": _Form("AveragePool", (0,), 3, (_LAST,)),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", (0,), 3, (_LAST,)),
}
_BIAS = {"QLinearConv": 8, "QGemm": 6}


def constant_parameters(conversion: Conversion) -> str | None:
    """Scales and zero points are constant, and those of the result are for the whole tensor."""
    form = _form(conversion)
    others = {*form.operands, _BIAS.get(conversion.node.proto.op_type, -1)}
    given = set(range(int(form.condition), len(conversion.operands))) - others
    computed = any(conversion.has(i) and not conversion.is_constant(i) for i in given)
    return "with computed scales" if computed else None


@converts(
    "QLinearConv",
    "QLinearMatMul",
    *(f"{_MICROSOFT}{name}" for name in _FORMS if name != "QLinearMatMul"),
    form=Form.SHARED,
    constraints=(constant_parameters,),
)
def qlinear(conversion: Conversion) -> Value:
    """The float operator between Dequantize and Quantize; channels are moved to axis 1 for it."""
    form, last = _form(conversion), bool(conversion.integer(_LAST, 0))
    operands = [_dequantized(conversion, start) for start in form.operands]
    if form.condition:
        operands.insert(0, conversion.operand(0))
    bias = _bias(conversion)
    if last and isinstance(operands[0], Value):
        operands[0] = channels_moved(conversion, operands[0], 1, "first")
    real = _converted(conversion, form, operands if bias is None else [*operands, bias])
    if last:
        real = channels_moved(conversion, real, -1, "last")
    if not conversion.has(form.output):
        return real
    return _quantized(conversion, real, form.output)


@converts(f"{_MICROSOFT}QLinearConcat", form=Form.SHARED)
def qlinear_concat(conversion: Conversion) -> Value:
    """Concat of real values; its first two operands are the parameters of the result."""
    operands = [_dequantized(conversion, start) for start in range(2, len(conversion.operands), 3)]
    real = _converted(conversion, _Form("Concat", (), 0), operands)
    return _quantized(conversion, real, 0)


@converts(f"{_MICROSOFT}NhwcMaxPool", form=Form.SHARED)
def nhwc_max_pool(conversion: Conversion) -> Value:
    """Maximum of each window of codes whose channels are the last axis."""
    x = channels_moved(conversion, conversion.value(0), 1, "first")
    pooled = _converted(conversion, _Form("MaxPool", (0,), 0), [x])
    return channels_moved(conversion, pooled, -1, "")


def channels_moved(conversion: Conversion, x: Value, axis: int, step: str) -> Value:
    """The tensor with its last axis as axis 1, or with axis 1 as its last axis."""
    axes = list(range(x.type.rank))
    axes.insert(1, axes.pop()) if axis == 1 else axes.append(axes.pop(1))
    return conversion.emit(Transpose(tuple(axes)), x, step=step)


def _form(conversion: Conversion) -> _Form:
    return _FORMS[conversion.node.proto.op_type]


def _dequantized(conversion: Conversion, start: int) -> Operand | Codes:
    """The real values of the operand whose codes, scale and zero point begin at `start`."""
    scale = conversion.floats(start + 1, "scale")
    zero = conversion.array(start + 2, "zero point") if conversion.has(start + 2) else None
    if conversion.is_constant(start):
        array = conversion.array(start, "codes")
        codes = constant_codes(array, scale, zero, _channel_axis(conversion, array))
        if codes is None:
            raise conversion.reject(f"of {array.dtype} codes", "codes are integers of 8 bits")
        return codes
    x = conversion.value(start)
    quant = x.type.quant
    given = None if quant is None else tensor_quantization(scale, zero, quant.signed)
    if quant is None or given is None or replace(given, bits=quant.bits) != quant:
        raise conversion.reject("with another scale than its operand has", "both must be the same")
    name = conversion.name(f"real{start}")
    return conversion.builder.add(Dequantize(), (x,), name, (conversion.node.label,))


def _channel_axis(conversion: Conversion, weights: Array) -> int:
    """The axis of weights that counts output channels."""
    op_type = conversion.node.proto.op_type
    transposed = op_type == "QGemm" and conversion.integer("transB", 0)
    return 0 if op_type == "QLinearConv" or transposed else weights.ndim - 1


def _bias(conversion: Conversion) -> Codes | None:
    """The bias in units of the scales of operand and weights."""
    index = _BIAS.get(conversion.node.proto.op_type, -1)
    if index < 0 or not conversion.has(index):
        return None
    steps = conversion.floats(1, "scale").reshape(-1) * conversion.floats(4, "scale").reshape(-1)
    array = conversion.array(index, "bias")
    return constant_codes(array, steps, None, max(array.ndim - 1, 0))


def _converted(conversion: Conversion, form: _Form, operands: Sequence[Operand | Codes]) -> Value:
    """What the float operator's converter makes of the operands."""
    names = [conversion.name(f"operand{index}") for index in range(len(operands))]
    arrays: list[Operand] = []
    for name, operand in zip(names, operands, strict=True):
        if isinstance(operand, Codes):
            conversion.codes[name] = operand
            operand = dequantize(operand.array, operand.params)
        arrays.append(operand)
    proto = NodeProto(op_type=form.real, name=conversion.node.label, input=names)
    proto.output.append(conversion.name("real"))
    for attribute in conversion.node.proto.attribute:
        conversion.ignore(attribute.name)
        if attribute.name not in form.dropped:
            proto.attribute.append(attribute)
    node = replace(conversion.node, proto=proto)
    inner = replace(conversion, node=node, operands=tuple(arrays), _asked=set(), _seen=set())
    return _run(conversion, inner)


def _run(conversion: Conversion, inner: Conversion) -> Value:
    op_type = inner.node.proto.op_type
    opset = conversion.integer("opset", inner.node.opset)
    forms = (Form.BATCHED,) if conversion.batched else (Form.COMPILED, Form.WHOLE)
    found = (find_converter(op_type, opset, form) for form in forms)
    converter = next((entry for entry in found if entry is not None), None)
    if converter is None:
        raise conversion.reject("with a batch", f"{op_type} has no form with a batch axis")
    for constraint in converter.constraints:
        wrong = constraint(inner)
        if wrong is not None:
            raise conversion.reject(wrong, " ".join((constraint.__doc__ or "").split()))
    result = converter.function(inner)
    unknown = inner.unknown_attributes()
    if unknown or not isinstance(result, Value):
        text = f"attributes {', '.join(unknown) or 'none'} of {conversion.node.op_type}"
        raise Rejection("IMC0407", f"{text} are not known")
    return result


def _quantized(conversion: Conversion, real: Value, start: int) -> Value:
    """Codes of the result, with the scale and zero point at `start`."""
    scale = conversion.floats(start, "scale")
    zero = conversion.array(start + 1, "zero point") if conversion.has(start + 1) else None
    signed = zero is not None and zero.dtype == np.int8
    quant = tensor_quantization(scale, zero, signed)
    if quant is None or (zero is not None and zero.dtype.itemsize > 1):
        raise conversion.reject("with a result of several scales or more than 8 bits", "")
    return conversion.emit(Quantize(quant), real)

"""Attention and RotaryEmbedding."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.attention import Attention, AttentionOperand, RotaryEmbedding, Scores
from ...ir.types import DType
from ..conversion import Conversion, Rejection
from ..registry import Form, converts
from ..tensors import numpy_type, type_name

_OPTIONAL = (
    (3, AttentionOperand.MASK),
    (4, AttentionOperand.PAST_KEY),
    (5, AttentionOperand.PAST_VALUE),
    (6, AttentionOperand.VALID_KEYS),
)


@converts("Attention", form=Form.WHOLE)
def attention(conversion: Conversion) -> tuple[Value, ...]:
    """Scaled dot-product attention; what is not read is not computed."""
    given = [(index, name) for index, name in _OPTIONAL if conversion.has(index)]
    operands = [conversion.value(index) for index in (0, 1, 2, *(i for i, _ in given))]
    present = conversion.wants(1) or conversion.wants(2)
    mode = conversion.integer("qk_matmul_output_mode", 0)
    if not 0 <= mode < len(Scores):
        raise Rejection("IMC0210", f"qk_matmul_output_mode of Attention is {mode}")
    op = Attention(
        tuple(name for _, name in given),
        conversion.integer("q_num_heads", 0),
        conversion.integer("kv_num_heads", 0),
        conversion.real("scale", 0.0) or None,
        conversion.real("softcap", 0.0),
        bool(conversion.integer("is_causal", 0)),
        conversion.integer("left_window_size", -1),
        conversion.integer("right_window_size", -1),
        _softmax_type(conversion),
        present,
        list(Scores)[mode] if conversion.wants(3) else None,
    )
    return _results(conversion, op, operands)


@converts("RotaryEmbedding", form=Form.WHOLE)
def rotary_embedding(conversion: Conversion) -> Value:
    """Rotation of pairs of features."""
    operands = [conversion.value(index) for index in range(4) if conversion.has(index)]
    op = RotaryEmbedding(
        conversion.integer("num_heads", 0),
        conversion.integer("rotary_embedding_dim", 0),
        bool(conversion.integer("interleaved", 0)),
    )
    return conversion.emit(op, *operands)


def _results(conversion: Conversion, op: Attention, operands: list[Value]) -> tuple[Value, ...]:
    """Results by their places among the outputs; places of what is not computed repeat y."""
    wanted = [0, *((1, 2) if op.present else ()), *((3,) if op.scores is not None else ())]
    label = conversion.node.label
    outputs = [*conversion.node.proto.output, "", "", ""]
    names = [outputs[index] or f"{label}/output{index}" for index in wanted]
    values = conversion.builder.add_many(op, operands, names, (label,))
    found = dict(zip(wanted, values, strict=True))
    return tuple(found.get(index, values[0]) for index in range(wanted[-1] + 1))


def _softmax_type(conversion: Conversion) -> DType | None:
    element = conversion.integer("softmax_precision", 0)
    if not element:
        return None
    dtype = numpy_type(element)
    if dtype is None or dtype.kind != "f":
        raise conversion.reject(f"with softmax in {type_name(element)}", "allowed are IEEE floats")
    return DType.of(dtype)

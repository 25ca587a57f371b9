"""Elements of whole tensors by index."""

from __future__ import annotations

import numpy as np
from onnx import AttributeProto

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.embedding import Embedding
from ...ir.ops.indexing import (
    Gather,
    GatherElements,
    GatherNd,
    Merge,
    OneHot,
    ReverseSequence,
    ScatterElements,
    ScatterNd,
    TopK,
    Triangle,
)
from ...ir.ops.shape import Reshape, Transpose
from ..conversion import Conversion, Rejection, normal_axis
from ..registry import Form, Result, converts


@converts("Gather", form=Form.WHOLE)
def gather(conversion: Conversion) -> Value:
    """Slices along an axis."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", 0), x.type.rank)
    return conversion.emit(Gather(axis), x, conversion.value(1))


def constant_table_or_indices(conversion: Conversion) -> str | None:
    """Of data and indices one is constant, and no sample is chosen by index."""
    if conversion.is_constant(0) == conversion.is_constant(1):
        return "of computed data by computed indices"
    if not conversion.builder.batched:
        return None
    along = normal_axis(conversion, conversion.integer("axis", 0), conversion.type(0).rank)
    if conversion.is_constant(0):
        return f"from a constant along axis {along}" if along else None
    return None if along else "along axis 0, which is the batch"


@converts("Gather", form=Form.SHARED, constraints=(constant_table_or_indices,))
def gather_or_embed(conversion: Conversion) -> Value:
    """Slices by constant indices, or rows of a constant table."""
    if not conversion.is_constant(0):
        return gather(conversion)
    table, indices = conversion.array(0, "data"), conversion.value(1)
    axis = normal_axis(conversion, conversion.integer("axis", 0), table.ndim)
    if axis == 0:
        return conversion.emit(Embedding(), conversion.value(0), indices)
    rows = conversion.constant(np.moveaxis(table, axis, 0), conversion.node.proto.input[0])
    found = conversion.emit(Embedding(), rows, indices, step="rows")
    count = indices.type.rank
    before, after = range(count, count + axis), range(count + axis, found.type.rank)
    return conversion.emit(Transpose((*before, *range(count), *after)), found)


@converts("GatherElements", form=Form.WHOLE)
def gather_elements(conversion: Conversion) -> Value:
    """Single elements."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", 0), x.type.rank)
    return conversion.emit(GatherElements(axis), x, conversion.value(1))


@converts("GatherND", form=Form.WHOLE)
def gather_nd(conversion: Conversion) -> Value:
    """Slices by coordinates."""
    op = GatherNd(conversion.integer("batch_dims", 0))
    return conversion.emit(op, conversion.value(0), conversion.value(1))


@converts("Scatter", "ScatterElements", form=Form.WHOLE)
def scatter_elements(conversion: Conversion) -> Value:
    """Single elements; indices that repeat add up only where a reduction is given."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", 0), x.type.rank)
    op = ScatterElements(axis, _merge(conversion))
    return conversion.emit(op, x, conversion.value(1), conversion.value(2))


@converts("ScatterND", form=Form.WHOLE)
def scatter_nd(conversion: Conversion) -> Value:
    """Slices by coordinates."""
    op = ScatterNd(_merge(conversion))
    return conversion.emit(op, *(conversion.value(index) for index in range(3)))


def _merge(conversion: Conversion) -> Merge:
    given = conversion.text("reduction", "none")
    if given not in set(Merge):
        raise conversion.reject(f"with reduction '{given}'", f"known are {', '.join(Merge)}")
    return Merge(given)


@converts("OneHot", form=Form.WHOLE, constants=(1,))
def one_hot(conversion: Conversion) -> Value:
    """The depth must be constant."""
    indices, depth = conversion.value(0), conversion.array(1, "depth").reshape(-1)
    if depth.size != 1:
        raise Rejection("IMC0210", f"OneHot has {depth.size} depths")
    axis = normal_axis(conversion, conversion.integer("axis", -1), indices.type.rank + 1)
    return conversion.emit(OneHot(axis, int(depth[0])), indices, conversion.value(2))


@converts("TopK", form=Form.WHOLE, constants=(1,))
def top_k(conversion: Conversion) -> tuple[Value, ...]:
    """The number of elements must be constant; they come sorted in any case."""
    x = conversion.value(0)
    k = conversion.integers(1, "k") if conversion.has(1) else (conversion.integer("k", 0),)
    axis = normal_axis(conversion, conversion.integer("axis", -1), x.type.rank)
    largest = bool(conversion.integer("largest", 1))
    conversion.ignore("sorted")
    return conversion.emit_many(TopK(k[0], axis, largest), x)


@converts("Trilu", form=Form.WHOLE, constants=(1,))
def trilu(conversion: Conversion) -> Value:
    """The diagonal must be constant."""
    diagonal = conversion.integers(1, "k")[0] if conversion.has(1) else 0
    upper = bool(conversion.integer("upper", 1))
    return conversion.emit(Triangle(diagonal, upper), conversion.value(0))


@converts("ReverseSequence", form=Form.WHOLE)
def reverse_sequence(conversion: Conversion) -> Value:
    """Each sequence up to its length."""
    op = ReverseSequence(conversion.integer("time_axis", 0), conversion.integer("batch_axis", 1))
    return conversion.emit(op, conversion.value(0), conversion.value(1))


@converts("Compress", form=Form.WHOLE, constants=(1,))
def compress(conversion: Conversion) -> Value:
    """The condition must be constant, since it decides the shape."""
    x, condition = conversion.value(0), conversion.array(1, "condition").reshape(-1)
    (kept,) = np.nonzero(condition)
    indices = conversion.constant(kept.astype(np.int64), conversion.name("indices"))
    if conversion.attribute("axis", AttributeProto.INT) is None:
        flat = conversion.emit(Reshape((x.type.size,)), x, step="flat")
        return conversion.emit(Gather(0), flat, indices)
    axis = normal_axis(conversion, conversion.integer("axis", 0), x.type.rank)
    return conversion.emit(Gather(axis), x, indices)


@converts("NonZero", form=Form.WHOLE, constants=(0,))
def non_zero(conversion: Conversion) -> Array:
    """Of a constant, whose elements decide the shape."""
    return np.stack(np.nonzero(conversion.array(0, "data"))).astype(np.int64)


@converts("Unique", form=Form.WHOLE, constants=(0,))
def unique(conversion: Conversion) -> list[Result]:
    """Of a constant, whose elements decide the shape."""
    x = conversion.array(0, "data")
    axis = None
    if conversion.attribute("axis", AttributeProto.INT) is not None:
        axis = normal_axis(conversion, conversion.integer("axis", 0), x.ndim)
    values, first, inverse, counts = np.unique(x, True, True, True, axis)
    order = np.arange(len(first)) if conversion.integer("sorted", 1) else np.argsort(first)
    values = np.take(values, order, 0 if axis is None else axis)
    inverse = np.argsort(order)[inverse.reshape(-1)]
    return [values, *(a.astype(np.int64) for a in (first[order], inverse, counts[order]))]

"""The user's model in a form that onnxruntime can run, where it cannot run the model itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from ..frontend.precision import single_precision
from .plain_qonnx import is_qonnx, plain_model

# onnxruntime has few kernels for them on a CPU.
_RARE = (TensorProto.DOUBLE, TensorProto.BFLOAT16)


def is_runnable(model: onnx.ModelProto) -> bool:
    """Whether onnxruntime runs the model as it is; weights need not be loaded."""
    return not (is_qonnx(model) or _is_rare(model))


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in standard operators and in float32."""
    found = plain_model(model) if is_qonnx(model) else model
    return _single(found) if _is_rare(model) else found


def _is_rare(model: onnx.ModelProto) -> bool:
    ends = (*model.graph.input, *model.graph.output)
    types = {entry.type.tensor_type.elem_type for entry in ends}
    types.update(tensor.data_type for tensor in _tensors(model))
    return not types.isdisjoint(_RARE)


def _single(model: onnx.ModelProto) -> onnx.ModelProto:
    proto, _ = single_precision(model)
    single = onnx.ModelProto()
    single.CopyFrom(proto)
    for tensor in _tensors(single):
        if tensor.data_type in (*_RARE, TensorProto.FLOAT16):
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return single


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """All constants, but for those of graphs inside nodes."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t

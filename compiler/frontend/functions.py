"""Operators without a converter that ONNX defines by others: they are replaced by their bodies."""

from __future__ import annotations

from onnx import ModelProto, defs

from ..diagnostics import Diagnostic
from ..errors import InputError, expect_within
from ..native import NativeCrashError, NativeError, inlined
from .registry import NEWEST_OPSET, Form, find_converter

_ROUNDS = 4  # bodies may use functions themselves


def inline_functions(proto: ModelProto, opset: int) -> ModelProto:
    """The model with bodies in place of operators that only their definition explains.

    Raises `LimitError` where the bodies have too many nodes.
    """
    for _ in range(_ROUNDS):
        for domain, name in sorted({(node.domain, node.op_type) for node in proto.graph.node}):
            proto = _inlined(proto, domain, name) if _is_function(domain, name, opset) else proto
        count = len(proto.graph.node)
        expect_within(count, "nodes", f"inlined functions make {count:,} nodes")
    return proto


def _inlined(proto: ModelProto, domain: str, name: str) -> ModelProto:
    try:
        return inlined(proto, domain, name)
    except NativeError:  # some bodies depend on types that ONNX cannot infer
        return proto
    except NativeCrashError as error:
        text = f"ONNX cannot write out operator {name}: {error}"
        raise InputError([Diagnostic("IMC0211", text)]) from error


def _is_function(domain: str, name: str, opset: int) -> bool:
    if not domain and find_converter(name, opset, Form.WHOLE) is not None:
        return False
    try:
        # Other domains count their versions apart; their newest is meant.
        schema = defs.get_schema(name, NEWEST_OPSET if domain else opset, domain)
    except defs.SchemaError:
        return False
    # ONNX's type stubs do not know these two.
    kinds = ("has_function", "has_context_dependent_function")
    return any(getattr(schema, kind) for kind in kinds)

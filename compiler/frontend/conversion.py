"""One ONNX node being converted: what a converter sees and what it may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto

from ..ir.builder import GraphBuilder
from ..ir.graph import Value
from ..ir.op import Array, Op
from ..ir.ops.quant import Dequantize
from ..ir.types import DType, QuantParams, TensorType
from .dequantized import Codes
from .tensors import TensorReader


class Rejection(Exception):  # noqa: N818 -- control flow inside the frontend, never seen outside
    """A node that cannot be converted, as a diagnostic in the making."""

    def __init__(
        self, code: str, message: str, reason: str = "", help: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.reason, self.help = code, message, reason, help


@dataclass(frozen=True)
class OnnxNode:
    """A node of the ONNX graph. `label` is its name, or one made from its type and position."""

    proto: NodeProto
    index: int
    opset: int

    @property
    def op_type(self) -> str:
        """The operator, with its domain where that is not ONNX's own."""
        domain = self.proto.domain
        return (
            self.proto.op_type if domain in ("", "ai.onnx") else f"{domain}::{self.proto.op_type}"
        )

    @property
    def label(self) -> str:
        """The name by which the user knows the node."""
        return self.proto.name or f"{self.proto.op_type}_{self.index}"


Operand = Value | Array


@dataclass
class Conversion:
    """Operands and attributes of a node, and the graph being built.

    Operands are values (computed), arrays (constant) or None (left out). Attributes that a
    converter never asks for are reported afterwards: nothing is ignored unseen.
    """

    node: OnnxNode
    operands: tuple[Operand | None, ...]
    builder: GraphBuilder
    tensors: TensorReader
    single: bool
    """Whether the model is written for exactly one sample, so that extent 1 is sure."""
    batches: frozenset[int]
    """Sizes of the batch axis that the model's inputs are declared with."""
    wanted: tuple[bool, ...]
    """For each output, whether anything reads it."""
    nested: Callable[[GraphProto, Mapping[str, Operand]], list[Operand]]
    """Imports a graph inside the node, with its inputs bound, and gives its outputs."""
    codes: dict[str, Codes] = field(default_factory=dict)
    """The codes of constants that are dequantized, by tensor name; shared by the whole import."""
    _asked: set[str] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)

    # -- operands ------------------------------------------------------------------------------

    def has(self, index: int) -> bool:
        """Whether the operand is given."""
        self._seen.add(index)
        return index < len(self.operands) and self.operands[index] is not None

    def is_constant(self, index: int) -> bool:
        """Whether the operand is given and constant."""
        return self.has(index) and not isinstance(self.operands[index], Value)

    def operand(self, index: int) -> Operand:
        """The operand, which must be given."""
        found = self.operands[index] if self.has(index) else None
        if found is None:
            raise Rejection("IMC0210", f"{self.node.op_type} lacks operand {index}")
        return found

    def value(self, index: int) -> Value:
        """The operand as a value; a constant is added to the graph."""
        operand = self.operand(index)
        if isinstance(operand, Value):
            return operand
        codes = self.codes_of(index)
        name = self.node.proto.input[index]
        return self.constant(operand, name) if codes is None else self.dequantized(codes, name)

    def codes_of(self, index: int) -> Codes | None:
        """The codes behind a constant operand, if it is dequantized."""
        return self.codes.get(self.node.proto.input[index]) if self.is_constant(index) else None

    def type(self, index: int) -> TensorType:
        """The type of the operand."""
        operand = self.operand(index)
        if isinstance(operand, Value):
            return operand.type
        return TensorType(DType.of(operand.dtype), operand.shape)

    def array(self, index: int, what: str) -> Array:
        """The operand, which must be constant."""
        operand = self.operand(index)
        if isinstance(operand, Value):
            raise self.reject(f"with computed {what}", f"{what} must be constant")
        return operand

    def arrays(self) -> list[Array]:
        """All operands, which are known to be constant."""
        return [self.array(index, "operands") for index in range(len(self.operands))]

    def floats(self, index: int, what: str) -> Array:
        """The operand, which must be constant and float32."""
        array = self.array(index, what)
        if array.dtype != np.float32:
            raise self.reject(f"with {array.dtype} {what}", "only float32 is computed", "IMC0405")
        return array

    def integers(self, index: int, what: str) -> tuple[int, ...]:
        """The operand, which must be a constant integer vector or scalar."""
        array = self.array(index, what)
        if array.dtype.kind not in "iu" or array.ndim > 1:
            raise Rejection(
                "IMC0210", f"{what} of {self.node.op_type} must be a vector of integers"
            )
        return tuple(int(element) for element in array.reshape(-1))

    # -- attributes ----------------------------------------------------------------------------

    def attribute(self, name: str, kind: AttributeProto.AttributeType) -> AttributeProto | None:
        """The attribute of this name, None if it is not given; its kind is checked."""
        self._asked.add(name)
        attributes: Iterable[AttributeProto] = self.node.proto.attribute
        for attribute in attributes:
            if attribute.name == name and attribute.type in (kind, 0):
                return attribute
            if attribute.name == name:
                raise Rejection(
                    "IMC0210",
                    f"attribute '{name}' of {self.node.op_type} has the wrong kind: "
                    f"{AttributeProto.AttributeType.Name(attribute.type)} in place of "
                    f"{AttributeProto.AttributeType.Name(kind)}",
                )
        return None

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        found = self.attribute(name, AttributeProto.INT)
        return default if found is None else found.i

    def real(self, name: str, default: float) -> float:
        """A float attribute; it holds a float32 value."""
        found = self.attribute(name, AttributeProto.FLOAT)
        return default if found is None else found.f

    def ints(self, name: str) -> tuple[int, ...] | None:
        """An attribute that is a list of integers."""
        found = self.attribute(name, AttributeProto.INTS)
        return None if found is None else tuple(found.ints)

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        found = self.attribute(name, AttributeProto.STRING)
        return default if found is None else found.s.decode("utf-8", "backslashreplace")

    def ignore(self, *names: str) -> None:
        """Say that attributes have no meaning for inference."""
        self._asked.update(names)

    def unknown_attributes(self) -> list[str]:
        """Attributes that the converter did not ask for."""
        names = (attribute.name for attribute in self.node.proto.attribute)
        return [name for name in names if name not in self._asked]

    def unknown_operands(self) -> list[int]:
        """Operands that are given and that the converter did not look at."""
        given = (index for index, operand in enumerate(self.operands) if operand is not None)
        return [index for index in given if index not in self._seen]

    # -- results -------------------------------------------------------------------------------

    def emit(self, op: Op, *operands: Value, step: str = "") -> Value:
        """Add a node, named after the ONNX output, or after the step that leads to it."""
        return self.builder.add(op, operands, self.name(step), (self.node.label,))

    def emit_many(self, op: Op, *operands: Value) -> tuple[Value, ...]:
        """Add a node with one result for each ONNX output, named after them; unread ones too."""
        names = [name or self.name(f"output{i}") for i, name in enumerate(self.node.proto.output)]
        return self.builder.add_many(op, operands, names, (self.node.label,))

    @property
    def batched(self) -> bool:
        """Whether axis 0 is the batch, whose samples must stay apart."""
        return self.builder.batched

    def constant(self, array: Array, name: str, quant: QuantParams | None = None) -> Value:
        """Add a constant."""
        return self.builder.constant(array, name, quant)

    def dequantized(self, codes: Codes, name: str) -> Value:
        """Add a constant of codes and its real values."""
        constant = self.constant(codes.array, f"{name}/codes", codes.params)
        return self.builder.add(Dequantize(), (constant,), name, (self.node.label,))

    def name(self, step: str = "") -> str:
        """The name of the first output, or of a step on the way to it."""
        output = self.node.proto.output[0]
        return f"{output}/{step}" if step else output

    def wants(self, output: int) -> bool:
        """Whether the output is read by anything."""
        return output < len(self.wanted) and self.wanted[output]

    def reject(self, found: str, reason: str, code: str = "IMC0403") -> Rejection:
        """A rejection: `found` says in which form the operator occurs, `reason` what is allowed."""
        return Rejection(code, f"{self.node.op_type} {found} is not supported", reason)

    def reject_batch(self, found: str) -> Rejection:
        """A rejection because samples would be mixed."""
        return self.reject(
            found, "axis 0 is the batch, and every sample is computed by itself", "IMC0404"
        )


def normal_axis(conversion: Conversion, axis: int, rank: int) -> int:
    """The axis counted from the front; rejects what is out of range."""
    if not -rank <= axis < rank:
        raise Rejection(
            "IMC0209",
            f"axis {axis} of {conversion.node.op_type} is out of range: the operand has {rank}",
        )
    return axis % rank


def normal_axes(conversion: Conversion, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in ascending order; rejects duplicates."""
    found = sorted(normal_axis(conversion, axis, rank) for axis in axes)
    if len(set(found)) < len(found):
        raise Rejection("IMC0209", f"axes {list(axes)} of {conversion.node.op_type} repeat")
    return tuple(found)

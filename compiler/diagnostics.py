"""Diagnostics: one problem each, with the place in the user's model and what to do about it.

The text form follows the conventions of current compilers::

    error[IMC0401]: operator com.acme::Foo is not supported
      --> model.onnx: node '/block/foo' (#3, opset 17)
       |  x: float32[1,8]  ->  y
       = because: no converter exists for it
       = help: `imcc ops` lists the operators that can be imported
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .limits import limits


class Severity(StrEnum):
    """How bad it is: an error ends the compilation."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Diagnostic:
    """A problem. `index` is the node's position in the ONNX graph, `tensors` what it works on."""

    code: str
    message: str
    node: str = ""
    op_type: str = ""
    index: int | None = None
    opset: int | None = None
    tensors: str = ""
    reason: str = ""
    help: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR


EXPLANATIONS = {
    "IMC0201": "The model file does not exist, is no regular file or cannot be read.",
    "IMC0202": "The file is not an ONNX model: its bytes are no protocol buffer of that kind, or "
    "it was cut off while it was copied.",
    "IMC0203": "The model lacks what every ONNX model has: an IR version, an operator set, a "
    "graph.",
    "IMC0204": "Two tensors have the same name. In ONNX each name is assigned once.",
    "IMC0205": "A node or the graph reads a tensor that nothing provides.",
    "IMC0206": "Nodes depend on each other in a circle, so no order of execution exists, or "
    "functions of the model call each other without an end.",
    "IMC0207": "A weight is not what it claims to be: its dimensions and its bytes disagree.",
    "IMC0208": "External data is read only from regular files beside the model, named by a "
    "relative path without '..', and only where the file holds as many bytes as the "
    "tensor needs.",
    "IMC0209": "The operands of a node do not fit together or do not fit its attributes, so the "
    "model is not valid ONNX.",
    "IMC0210": "An attribute or an operand that the operator needs is missing or has the wrong "
    "kind.",
    "IMC0211": "ONNX's or onnxruntime's own code crashed on a part of the model, or took longer or "
    "more memory than the limits allow. It was tried in a process of its own, so nothing else is "
    "harmed; the model is damaged or hostile.",
    "IMC0301": "Shapes are fixed at compile time, except for the batch axis (axis 0 of each "
    "input). Give every other symbol a value with --dim NAME=SIZE, or a whole shape "
    "with --input-shapes NAME:[...].",
    "IMC0302": "A dimension or shape given on the command line does not match the model.",
    "IMC0401": "No converter exists for the operator. `imcc ops` lists those that can be imported.",
    "IMC0402": "The model uses an operator set outside the supported range. Convert the model "
    "with onnx.version_converter, or export it again.",
    "IMC0403": "The operator is supported, but not in this form. `imcc ops` states the conditions.",
    "IMC0404": "Axis 0 is the batch: every sample is computed by itself. An operator that moves, "
    "mixes or counts samples cannot be compiled.",
    "IMC0405": "Activations are float32 (or 8-bit codes behind DequantizeLinear). Convert the "
    "model to float32.",
    "IMC0407": "The node has an attribute or operand that the importer does not know, so that "
    "its meaning might be missed.",
    "IMC0408": "The model uses a part of ONNX that is not supported as a whole, such as control "
    "flow or sparse tensors.",
    "IMC0409": "An output of the model does not depend on any input.",
    "IMC0502": "The machine has no form for the operator, so the host computes it with "
    "onnxruntime. Values cross between chip and host there. With --strict this is refused.",
    "IMC0601": "The model exceeds a limit that guards against hostile or accidental size.",
}


def escape(text: str) -> str:
    """The text with control characters and undecodable bytes made visible."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def render(diagnostics: Iterable[Diagnostic], file: str) -> str:
    """All problems in graph order as plain text, at most as many as the limit, and their count."""
    ordered = in_graph_order(diagnostics)
    most = limits().diagnostics
    blocks = [_block(diagnostic, file) for diagnostic in ordered[:most]]
    if len(ordered) > most:
        blocks.append(f"... and {len(ordered) - most} more")
    return "\n".join([*blocks, _count(ordered)])


def in_graph_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Problems of the whole model first, then those of nodes in the order of the graph."""
    return sorted(diagnostics, key=lambda d: (d.index is not None, d.index or 0))


def _block(diagnostic: Diagnostic, file: str) -> str:
    lines = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"]
    lines.append(f"  --> {file}{_place(diagnostic)}")
    if diagnostic.tensors:
        lines.append(f"   |  {diagnostic.tensors}")
    if diagnostic.reason:
        lines.append(f"   = because: {diagnostic.reason}")
    lines.extend(f"   = help: {text}" for text in diagnostic.help)
    return "\n".join(escape(line) for line in lines)


def _place(diagnostic: Diagnostic) -> str:
    if diagnostic.index is None:
        return f": {diagnostic.node}" if diagnostic.node else ""
    opset = "" if diagnostic.opset is None else f", opset {diagnostic.opset}"
    return f": node '{diagnostic.node}' (#{diagnostic.index}{opset})"


def _count(diagnostics: Sequence[Diagnostic]) -> str:
    errors = sum(d.severity is Severity.ERROR for d in diagnostics)
    warnings = len(diagnostics) - errors
    counts = [_plural(errors, "error")] if errors or not warnings else []
    if warnings:
        counts.append(_plural(warnings, "warning"))
    codes = list(dict.fromkeys(d.code for d in diagnostics))
    return f"{', '.join(counts)}. (imcc explain {' '.join(codes)})"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

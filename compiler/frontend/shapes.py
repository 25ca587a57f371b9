"""Shapes of the graph's inputs: the batch axis is free, everything else gets a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from shlex import quote

from onnx import GraphProto, TensorShapeProto, ValueInfoProto

from ..diagnostics import Diagnostic
from ..limits import limits
from .tensors import type_name


@dataclass
class InputShapes:
    """Shapes with batch 1, sizes of the batch axis as declared, and problems."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    batches: set[int | None] = field(default_factory=set)
    problems: list[Diagnostic] = field(default_factory=list)


def bind_whole_inputs(
    graph: GraphProto,
    dims: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]],
    batch: int | None = None,
) -> InputShapes:
    """Give every input that is not a weight its whole shape, without a batch axis.

    `batch` is the extent of first axes that are open, and of all axes with the same symbols;
    without it they are refused. With it no extent may be 0.
    """
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in weights]
    bound = InputShapes(problems=_unknown_names(inputs, dims, shapes))
    if batch is not None:
        dims = {**dict.fromkeys(_first_symbols(inputs), batch), **dims}
    for entry in inputs:
        found = _whole_extents(entry, dims, shapes.get(entry.name), batch)
        if isinstance(found, Diagnostic):
            bound.problems.append(found)
        else:
            bound.shapes[entry.name] = found
    return bound


def _first_symbols(inputs: list[ValueInfoProto]) -> set[str]:
    firsts = [dim for entry in inputs for dim in entry.type.tensor_type.shape.dim[:1]]
    return {dim.dim_param for dim in firsts if dim.dim_param}


def _whole_extents(
    entry: ValueInfoProto,
    dims: Mapping[str, int],
    given: tuple[int, ...] | None,
    batch: int | None,
) -> tuple[int, ...] | Diagnostic:
    tensor = entry.type.tensor_type
    declared = [_extent(dim, dims) for dim in tensor.shape.dim]
    if given is not None and tensor.HasField("shape") and not _matches(given, declared):
        text = f"shape {list(given)} for input '{entry.name}' does not match {type_text(entry)}"
        return Diagnostic("IMC0302", text)
    extents = declared if given is None else list(given)
    if given is None and extents and extents[0] is None:
        extents[0] = batch
    least = 0 if batch is None else 1
    known = tuple(extent for extent in extents if extent is not None and extent >= least)
    ranked = given is not None or tensor.HasField("shape")
    if ranked and len(known) == len(extents) <= limits().rank:
        return known
    text = f"input '{entry.name}' has type {type_text(entry)}"
    reason = f"without a batch axis every extent needs a size, and {limits().rank} axes are allowed"
    return Diagnostic("IMC0301", text, reason=reason)


def bind_inputs(
    graph: GraphProto, dims: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]
) -> InputShapes:
    """Give every input that is not a weight its shape with batch 1."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in weights]
    bound = InputShapes()
    bound.problems += _unknown_names(inputs, dims, shapes)
    open_dims: list[tuple[ValueInfoProto, list[str]]] = []
    for entry in inputs:
        unbound = _bind(entry, dims, shapes, bound)
        if unbound:
            open_dims.append((entry, unbound))
    if open_dims:
        bound.problems.append(_unbound(open_dims))
    if len(bound.batches - {None}) > 1:
        bound.problems.append(_no_batch(inputs))
    return bound


def type_text(entry: ValueInfoProto) -> str:
    """The declared type, such as ``float32[N,3,H,W]``."""
    tensor = entry.type.tensor_type
    return f"{type_name(tensor.elem_type)}[{','.join(_symbols(tensor.shape))}]"


def _symbols(shape: TensorShapeProto) -> list[str]:
    return [str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in shape.dim]


def _bind(
    entry: ValueInfoProto,
    dims: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]],
    bound: InputShapes,
) -> list[str]:
    """Record the shape of one input; returns what is missing for it."""
    given = shapes.get(entry.name)
    tensor = entry.type.tensor_type
    if given is None and not tensor.HasField("shape"):
        return [""]
    declared = [_extent(d, dims) for d in tensor.shape.dim] if tensor.HasField("shape") else None
    if given is not None:
        if declared is not None and not _matches(given, declared):
            text = f"shape {list(given)} for input '{entry.name}' does not match {type_text(entry)}"
            bound.problems.append(Diagnostic("IMC0302", text))
        declared = list(given)
    assert declared is not None  # one of the two is given
    missing = [
        symbol or "?"
        for symbol, extent in zip(_symbols(tensor.shape)[1:], declared[1:], strict=False)
        if extent is None
    ]
    if missing:
        return missing
    extents = [extent for extent in declared[1:] if extent is not None]
    bad = [extent for extent in extents if not 0 < extent <= limits().extent]
    if not declared or len(declared) > limits().rank or bad:
        text = f"input '{entry.name}' has type {type_text(entry)}"
        reason = f"it needs a batch axis, at most {limits().rank} axes, and extents of at least 1"
        bound.problems.append(Diagnostic("IMC0302", text, reason=reason))
        return []
    bound.batches.add(declared[0] if tensor.shape.dim[:1] or given else None)
    bound.shapes[entry.name] = (1, *extents)
    return []


def _extent(dim: TensorShapeProto.Dimension, dims: Mapping[str, int]) -> int | None:
    return dim.dim_value if dim.HasField("dim_value") else dims.get(dim.dim_param)


def _matches(given: tuple[int, ...], declared: list[int | None]) -> bool:
    return len(given) == len(declared) and all(
        expected in (None, extent) for extent, expected in zip(given[1:], declared[1:], strict=True)
    )


def _unknown_names(
    inputs: list[ValueInfoProto], dims: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]
) -> list[Diagnostic]:
    symbols = {d.dim_param for e in inputs for d in e.type.tensor_type.shape.dim if d.dim_param}
    names = {entry.name for entry in inputs}
    return [
        _unknown(name, known, what)
        for given, known, what in ((dims, symbols, "dimension"), (shapes, names, "input"))
        for name in given
        if name not in known
    ]


def _unknown(name: str, known: set[str], what: str) -> Diagnostic:
    close = get_close_matches(name, sorted(known), 1)
    hint = (f"did you mean '{close[0]}'?",) if close else ()
    listed = ", ".join(f"'{entry}'" for entry in sorted(known)) or "none"
    text = f"the model has no {what} '{name}'"
    return Diagnostic("IMC0302", text, reason=f"it has {listed}", help=hint)


def _no_batch(inputs: list[ValueInfoProto]) -> Diagnostic:
    listed = ", ".join(f"input '{entry.name}' {type_text(entry)}" for entry in inputs)
    text = "the first axes of the inputs have different extents"
    reason = "they cannot be the batch, which all inputs share"
    return Diagnostic("IMC0404", text, node=listed, reason=reason)


def _unbound(open_dims: list[tuple[ValueInfoProto, list[str]]]) -> Diagnostic:
    symbols = dict.fromkeys(s for _, missing in open_dims for s in missing if s not in ("", "?"))
    anonymous = [entry.name for entry, missing in open_dims if "" in missing or "?" in missing]
    flags = [f"--dim {quote(symbol)}=..." for symbol in symbols]
    flags += [f"--input-shapes {quote(f'{name}:[...]')}" for name in anonymous]
    listed = [f"'{symbol}'" for symbol in symbols]
    listed += [f"unnamed ones of '{name}'" for name in anonymous]
    inputs = ", ".join(f"input '{entry.name}' {type_text(entry)}" for entry, _ in open_dims)
    return Diagnostic(
        "IMC0301",
        f"dimensions without a size: {', '.join(listed)}",
        node=inputs,
        reason="only the first axis, the batch, may stay open",
        help=(f"give each a size: {' '.join(flags)}",),
    )

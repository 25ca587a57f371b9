"""Inputs and outputs at the host's side: quantization by binding, shapes, problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from imcc.isa.fields import HostType, Space
from imcc.isa.program import Binding, Program
from imcc.isa.stream import StreamState

from .errors import MachineError
from .memory import DTYPES, GLOBAL, Elements, Place

HOST_DTYPES: Mapping[HostType, np.dtype[Any]] = {
    HostType.F32: np.dtype(np.float32),
    HostType.F16: np.dtype(np.float16),
    HostType.I8: np.dtype(np.int8),
    HostType.I16: np.dtype(np.int16),
    HostType.I32: np.dtype(np.int32),
    HostType.I64: np.dtype(np.int64),
    HostType.U8: np.dtype(np.uint8),
    HostType.U16: np.dtype(np.uint16),
    HostType.U32: np.dtype(np.uint32),
    HostType.U64: np.dtype(np.uint64),
    HostType.BOOL: np.dtype(np.bool_),
}
# Floats that lie in memory as their bits.
_FLOATS = {host: HOST_DTYPES[host] for host in (HostType.F32, HostType.F16)}


def place_of(binding: Binding) -> Place:
    """Return where a binding lies in global memory."""
    counts = (1, 1, 1, 1, 1, binding.count)
    strides = (0, 0, 0, 0, 0, binding.element.size)
    stream = StreamState(Space.GLOBAL, binding.element, binding.address, counts, strides)
    return Place(GLOBAL, stream)


def codes_of(binding: Binding, values: Elements) -> Elements:
    """Return the codes of values; arrays of the binding's own type are codes already.

    ``clip(rint(x / scale), low - zero_point, high - zero_point) + zero_point`` in float32, NaN
    to the lowest code, as onnxruntime's QuantizeLinear. Without a scale, floats become their bits
    and integers are what they are.
    """
    dtype = DTYPES[binding.element]
    if values.dtype == dtype:
        return values
    if not binding.scale:
        bits = _FLOATS.get(binding.dtype)
        return values.astype(dtype) if bits is None else values.astype(bits).view(dtype)
    low, high = (np.float32(limit - binding.zero_point) for limit in binding.limits)
    with np.errstate(over="ignore"):
        scaled = values.astype(np.float32, copy=False) / np.float32(binding.scale)
    scaled = np.where(np.isnan(scaled), low, np.clip(scaled, low, high))
    return np.asarray((np.rint(scaled).astype(np.int32) + binding.zero_point).astype(dtype))


def values_of(binding: Binding, codes: Elements) -> Elements:
    """Return the values behind codes, as the host has them.

    ``(code - zero_point) * scale`` in float32, for an integer `dtype` rounded half to even;
    without a scale the bits of floats, and integers as they are.
    """
    dtype = HOST_DTYPES[binding.dtype]
    if binding.scale:
        centred = codes.astype(np.int32) - binding.zero_point
        reals = centred.astype(np.float32) * np.float32(binding.scale)
        return (reals if dtype.kind == "f" else np.rint(reals)).astype(dtype, copy=False)
    if binding.dtype in _FLOATS:
        return np.ascontiguousarray(codes).view(dtype)
    return codes.astype(dtype, copy=False)


def check_inputs(program: Program, inputs: Mapping[str, Elements]) -> int:
    """Return the batch size; raise `MachineError` listing every input that does not fit."""
    problems = list(_problems(program, inputs))
    sizes = (
        {len(inputs[b.name]) for b in program.inputs if b.name in inputs} if not problems else {0}
    )
    if len(sizes) > 1:
        problems.append(f"inputs have batches of {sorted(sizes)}; they must be equal")
    if problems:
        raise MachineError("inputs do not fit the program:\n  " + "\n  ".join(problems))
    return sizes.pop()


def _problems(program: Program, inputs: Mapping[str, Elements]) -> Iterator[str]:
    known = {binding.name: binding for binding in program.inputs}
    for name in inputs.keys() - known.keys():
        yield f"there is no input '{name}'; the program has {', '.join(sorted(known))}"
    for name, binding in known.items():
        if name not in inputs:
            yield f"input '{name}' is missing"
            continue
        array = np.asarray(inputs[name])
        if array.ndim == 0 or array.shape[1:] != binding.shape[1:] or not len(array):
            wanted = ", ".join(str(extent) for extent in ("batch", *binding.shape[1:]))
            yield f"input '{name}' has shape {array.shape}; it must be ({wanted})"
        elif array.dtype.kind not in "iuf" and array.dtype != np.bool_:
            yield f"input '{name}' has type {array.dtype}; it must be a number"
        elif not binding.scale and binding.dtype not in _FLOATS:
            yield from _code_problems(binding, array)


def _code_problems(binding: Binding, array: Elements) -> Iterator[str]:
    """Codes given as they are must be whole numbers that fit."""
    limits = np.iinfo(DTYPES[binding.element])
    low, high = array.min(), array.max()
    whole = array.dtype.kind != "f" or bool((np.rint(array) == array).all())
    if not whole or low < limits.min or high > limits.max:
        yield (
            f"input '{binding.name}' has values in {low}..{high}; it takes codes, whole numbers "
            f"in {limits.min}..{limits.max}"
        )

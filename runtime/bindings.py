"""Inputs and outputs at the host's side: quantization by binding, shapes, problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import Space
from imcc.isa.program import Binding, Program
from imcc.isa.walk import StreamState

from .errors import MachineError
from .memory import DTYPES, GLOBAL, Elements, Place


def place_of(binding: Binding) -> Place:
    """Return where a binding lies in global memory."""
    counts = (1, 1, 1, 1, 1, binding.count)
    strides = (0, 0, 0, 0, 0, binding.element.size)
    stream = StreamState(Space.GLOBAL, binding.element, binding.address, counts, strides)
    return Place(GLOBAL, stream)


def codes_of(binding: Binding, values: Elements) -> Elements:
    """Return the codes of values; arrays of the binding's own type are codes already.

    ``clip(rint(x / scale), low - zero_point, high - zero_point) + zero_point`` in float32, NaN
    to the lowest code, as onnxruntime's QuantizeLinear.
    """
    dtype = DTYPES[binding.element]
    if values.dtype == dtype or not binding.scale:
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    low = np.float32(limits.min - binding.zero_point)
    high = np.float32(limits.max - binding.zero_point)
    with np.errstate(over="ignore"):
        scaled = values.astype(np.float32, copy=False) / np.float32(binding.scale)
    scaled = np.where(np.isnan(scaled), low, np.clip(scaled, low, high))
    return np.asarray((np.rint(scaled).astype(np.int32) + binding.zero_point).astype(dtype))


def reals_of(binding: Binding, codes: Elements) -> NDArray[np.float32] | Elements:
    """Return ``(code - zero_point) * scale`` in float32; codes as they are where scale is 0."""
    if not binding.scale:
        return codes
    centred = codes.astype(np.int32) - binding.zero_point
    return centred.astype(np.float32) * np.float32(binding.scale)


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
        elif not binding.scale:
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

"""Sample data for networks: safe reading of ``.npz`` and ``.npy`` files, and where to find them.

A data file is untrusted: nothing is unpickled, sizes are known from headers before anything is
allocated, and an archive may not expand beyond the limit or
beyond `MAX_RATIO` times its size unless that is little.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from .errors import InputError, LimitError, expect_within
from .ir.graph import Value
from .ir.op import Array

MAX_RATIO = 200
SMALL_BYTES = 16 << 20  # what may be of any ratio
UNNAMED = "x"  # the key of the only array of a .npy file
CALIBRATION_KEY = "calib"
LABEL_KEY = "y"
RANDOM_SAMPLES = 64
RANDOM_ELEMENTS = 1 << 20  # of random samples that nobody has counted; but there are at least 4
RANDOM_MIB = 256  # of random samples, of which there are fewer where they are large
RANDOM_OPERATIONS = 1 << 35  # that random samples may take, of which there is one at least
_RANDOM_BYTES = 8  # of an element while it is made
BATCH = 64

# What NumPy raises for headers: they are Python literals, which it reads in two ways.
_WRONG_HEADER = (ValueError, TokenError, SyntaxError, RecursionError, TypeError, KeyError)


class DataError(InputError):
    """A data file that cannot be read, or does not fit the inputs of the network."""


class MissingCalibrationError(InputError):
    """No calibration data was given, and none lies beside the model."""


@dataclass(frozen=True)
class Samples:
    """Arrays [samples, ...] by input name, the labels where known, and what they are."""

    inputs: Mapping[str, Array]
    source: str
    labels: Array | None = None

    @property
    def count(self) -> int:
        """Number of samples."""
        return min((len(array) for array in self.inputs.values()), default=0)

    def first(self, count: int) -> Samples:
        """At most `count` samples from the beginning."""
        labels = None if self.labels is None else self.labels[:count]
        return Samples({k: a[:count] for k, a in self.inputs.items()}, self.source, labels)

    def batches(self) -> Iterator[Mapping[str, Array]]:
        """Mini-batches, in order; nothing is copied."""
        for start in range(0, self.count, BATCH):
            yield {name: array[start : start + BATCH] for name, array in self.inputs.items()}


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a ``.npz`` or ``.npy`` file by name (a ``.npy`` file has one, ``x``)."""
    try:
        with path.open("rb") as file:
            magic = file.read(6)
            file.seek(0)
            if magic == npy.MAGIC_PREFIX:
                return {UNNAMED: _read_npy(file, path.stat().st_size, str(path))}
            if magic[:4] == b"PK\x03\x04":
                return _read_npz(file, path)
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read: {error.strerror}") from error
    raise DataError(f"{path}: the file is neither .npz nor .npy; save it with numpy.savez or save")


def load_samples(path: Path, inputs: Sequence[Value], preferred: str = UNNAMED) -> Samples:
    """Samples for these network inputs from a file.

    Each input takes the array of its own name; a network with one input also takes the key
    `preferred`, or else ``x``, ``calib``, or the only array of the file. Labels are ``y``.
    """
    arrays = read_arrays(path)
    chosen = {value.name: _choose(value, inputs, arrays, preferred, path) for value in inputs}
    fitted = {value.name: fit(chosen[value.name], value, str(path)) for value in inputs}
    counts = {name: len(array) for name, array in fitted.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"{path}: the inputs have different numbers of samples: {counts}")
    labels = arrays.get(LABEL_KEY)
    if labels is not None and (labels.shape != (len(next(iter(fitted.values()))),)):
        labels = None
    return Samples(fitted, f"file {path.name} sha256 {_sha256(path)}", labels)


def fit(array: Array, value: Value, where: str) -> Array:
    """Check samples against an input and give them its type; integers become floats exactly."""
    wanted = value.type.shape[1:]
    if array.ndim == len(wanted) and array.shape == wanted:
        array = array[None]
    if array.shape[1:] != wanted or array.ndim == 0:
        raise DataError(
            f"{where}: input '{value.name}' takes samples of shape {_shape(wanted)}, "
            f"the data has {_shape(array.shape[1:])}; give an array of shape "
            f"{_shape(('N', *wanted))}"
        )
    if array.dtype.kind not in "buif":
        raise DataError(f"{where}: input '{value.name}' takes numbers, the data is {array.dtype}")
    if len(array) == 0:
        raise DataError(f"{where}: input '{value.name}' has no samples")
    _expect_codes(array, value, where)
    cast = array.astype(value.type.dtype.numpy, copy=False)
    if cast.dtype.kind == "f" and not np.isfinite(cast).all():
        raise DataError(f"{where}: input '{value.name}' holds values that are not finite")
    return cast


def _expect_codes(array: Array, value: Value, where: str) -> None:
    """Check that an input of integers gets whole numbers that its type holds."""
    dtype = value.type.dtype.numpy
    if dtype.kind not in "iu":
        return
    limits = np.iinfo(str(dtype))
    fits = array.dtype.kind in "biu" and limits.min <= array.min() <= array.max() <= limits.max
    if not fits and dtype.itemsize > 1:
        raise DataError(
            f"{where}: input '{value.name}' takes whole numbers of type {dtype}; the data is "
            f"{array.dtype}, {array.min()} to {array.max()}"
        )
    if not fits:
        raise DataError(
            f"{where}: input '{value.name}' takes {dtype} codes, {limits.min} to {limits.max}; the "
            f"data is {array.dtype}, {array.min()} to {array.max()}: quantize it as the model's "
            "documentation says (pixels of a signed model are often moved by -128)"
        )


def random_samples(
    inputs: Sequence[Value],
    seed: int,
    count: int | None = None,
    indices: Mapping[str, int] | None = None,
    operations: int = 0,
) -> Samples:
    """Seeded samples: standard normal, or all codes alike; for timing, not for accuracy.

    Large samples are fewer than `count`: they fill `RANDOM_MIB` at most, or there is one. Where
    nobody has counted them, and a sample takes many `operations`, they are fewer too.
    `indices` says of inputs that choose rows how many there are. Other integers are 0 and 1.
    """
    elements = sum(value.type.size for value in inputs)
    if count is None:
        count = min(RANDOM_SAMPLES, max(4, RANDOM_ELEMENTS // max(1, elements)))
        count = min(count, RANDOM_OPERATIONS // max(1, operations))
    count = max(1, min(count, (RANDOM_MIB << 20) // max(1, elements * _RANDOM_BYTES)))
    generator = np.random.default_rng(seed)
    arrays = {v.name: _random(generator, v, count, (indices or {}).get(v.name)) for v in inputs}
    return Samples(arrays, f"random, seed {seed}, {count} samples")


def _random(generator: np.random.Generator, value: Value, count: int, rows: int | None) -> Array:
    shape, dtype = (count, *value.type.shape[1:]), value.type.dtype.numpy
    if dtype.kind in "iu" and dtype.itemsize == 1 and rows is None:
        limits = np.iinfo(str(dtype))
        codes: Array = generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        return codes
    if dtype.kind in "iub":
        return generator.integers(0, rows or 2, shape).astype(dtype)
    return generator.standard_normal(shape).astype(np.float32).astype(dtype)


def find_beside(model: Path) -> Path | None:
    """The data file of a model: its stem, shortened at the last ``_`` until a ``.npz`` exists.

    For ``fmnist_resnet8_bn.onnx``: ``fmnist_resnet8_bn.npz``, ``fmnist_resnet8.npz``,
    ``fmnist.npz``.
    """
    for stem in _shortened(model.stem):
        candidate = model.with_name(f"{stem}.npz")
        if candidate.is_file():
            return candidate
    return None


def calibration(
    choice: str | Path | Array | Mapping[str, Array] | None,
    inputs: Sequence[Value],
    model: Path | None,
    seed: int,
    indices: Mapping[str, int] | None = None,
    operations: int = 0,
) -> Samples:
    """Calibration samples: from arrays, a file, ``"random"``, or a file beside the model.

    `indices` and `operations` are as for `random_samples`. Raises `MissingCalibrationError` where
    there are none.
    """
    if isinstance(choice, np.ndarray):
        choice = dict.fromkeys((value.name for value in inputs[:1]), choice)
    if isinstance(choice, Mapping):
        return with_rows(_from_arrays(choice, inputs), indices or {}, "calibration")
    if choice == "random":
        return random_samples(inputs, seed, indices=indices, operations=operations)
    path = Path(choice) if choice is not None else find_beside(model) if model else None
    if path is None:
        raise MissingCalibrationError(_no_calibration(model))
    return with_rows(load_samples(path, inputs, CALIBRATION_KEY), indices or {}, str(path))


def with_rows(samples: Samples, indices: Mapping[str, int], where: str) -> Samples:
    """The samples; raises `DataError` where an input that chooses rows names one there is not.

    `indices` says for such inputs how many rows there are; -1 is the last one.
    """
    for name in samples.inputs.keys() & indices.keys():
        found, rows = samples.inputs[name], indices[name]
        if found.size and (found.min() < -rows or found.max() >= rows):
            raise DataError(
                f"{where}: input '{name}' chooses among {rows} rows, 0 to {rows - 1}; the data is "
                f"{found.min()} to {found.max()}"
            )
    return samples


def _from_arrays(arrays: Mapping[str, Array], inputs: Sequence[Value]) -> Samples:
    missing = [value.name for value in inputs if value.name not in arrays]
    if missing:
        raise DataError(f"the calibration data has no array for input {', '.join(missing)}")
    fitted = {v.name: fit(np.asarray(arrays[v.name]), v, "calibration") for v in inputs}
    digest = hashlib.sha256()
    for name, array in sorted(fitted.items()):
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return Samples(fitted, f"arrays sha256 {digest.hexdigest()}")


def _no_calibration(model: Path | None) -> str:
    looked = ", ".join(f"{s}.npz" for s in _shortened(model.stem)) if model else ""
    beside = f", and beside the model there is none of {looked}" if model else ""
    return (
        f"quantization needs calibration data: none was given{beside}\n"
        "  = help: --calib FILE.npz   arrays named like the inputs, or 'calib'; 100 samples do\n"
        "  = help: --calib random     seeded random inputs: right for cost, not for accuracy"
    )


def _shortened(stem: str) -> list[str]:
    parts = stem.split("_")
    return ["_".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _choose(
    value: Value, inputs: Sequence[Value], arrays: Mapping[str, Array], preferred: str, path: Path
) -> Array:
    candidates = [value.name]
    if len(inputs) == 1:
        candidates = [preferred, value.name, UNNAMED, CALIBRATION_KEY]
    for name in candidates:
        if name in arrays:
            return arrays[name]
    if len(inputs) == 1 and len(arrays) == 1:
        return next(iter(arrays.values()))
    known = ", ".join(sorted(arrays)) or "nothing"
    raise DataError(
        f"{path}: no array for input '{value.name}'; the file has {known}; "
        f"name one of them {' or '.join(repr(name) for name in candidates)}"
    )


def _read_npz(file: IO[bytes], path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_sizes(members, path)
            arrays = {}
            for member in members:
                with archive.open(member) as stream:
                    where = f"{path}[{member.filename}]"
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = _read_npy(stream, member.file_size, where)
            return arrays
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, RuntimeError) as error:
        raise DataError(f"{path}: the .npz archive is damaged: {error}") from error


def _check_sizes(members: Sequence[zipfile.ZipInfo], path: Path) -> None:
    mib = -(-sum(member.file_size for member in members) >> 20)
    expect_within(mib, "data_mib", f"its arrays take {mib:,} MiB", path.name)
    for member in members:
        if member.file_size > max(MAX_RATIO * member.compress_size, SMALL_BYTES):
            raise LimitError(
                f"{path}: '{member.filename}' grows from {member.compress_size} to "
                f"{member.file_size} bytes; at most {MAX_RATIO} times is read"
            )


def _read_npy(stream: IO[Any], size: int, where: str) -> Array:
    try:
        header = _Counted(stream)
        version = npy.read_magic(header)  # type: ignore[arg-type]
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(header)  # type: ignore[arg-type]
    except _WRONG_HEADER as error:
        raise DataError(f"{where}: not a .npy array: {error}") from error
    if dtype.hasobject:
        raise DataError(f"{where}: the array holds Python objects; only numbers are read")
    expected = prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or expected != size - header.count:
        raise DataError(
            f"{where}: the header announces {expected} bytes, the file has {size - header.count}"
        )
    flat = np.frombuffer(stream.read(expected), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


@dataclass
class _Counted:
    """Counts the bytes of the header, which `zipfile` streams cannot tell."""

    stream: IO[Any]
    count: int = 0

    def read(self, size: int) -> bytes:
        data: bytes = self.stream.read(size)
        self.count += len(data)
        return data


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shape(shape: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, shape))}]"

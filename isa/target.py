"""Target descriptions: what a chip is, in numbers, each with its source.

A target is a TOML file (`imcc.target/1`). Units are in the key: `_ns`, `_pj`, `_kib`, `_mhz`.
Unknown keys and impossible values are errors. What may be left out: without the tables `leakage`
and `area` neither is reported, and values that are then

    chip.network           "mesh"
    core.issue_window      1
    core.vector_cycles     1
    timing.t_start_ns      0
    timing.element_bytes   none: elements count the bytes that they have
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import TargetError
from .problems import Problem, did_you_mean, from_pydantic, render
from .toml_lines import TomlLines, scan

MAX_FILE_BYTES = 64 * 1024
_BUILTIN = Path(__file__).parent / "targets"


class Encoding(StrEnum):
    """How a signed weight becomes unsigned cell levels."""

    OFFSET = "offset"
    DIFFERENTIAL_COLUMNS = "differential-columns"
    DIFFERENTIAL_ROWS = "differential-rows"
    TWOS_COMPLEMENT = "twos-complement"


class Network(StrEnum):
    """What joins the cores."""

    MESH = "mesh"
    BUS = "bus"


class RequantMode(StrEnum):
    """The datapath of the output stage."""

    FLOAT24 = "float24"
    FIXED = "fixed"


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Chip(_Table):
    """A mesh of equal cores with one global memory.

    With the network ``bus`` the cores share one link, which carries one transfer at a time.
    """

    mesh_rows: int = Field(ge=1, le=256)
    mesh_cols: int = Field(ge=1, le=256)
    global_memory_mib: int = Field(ge=1, le=1 << 19)
    network: Network = Field(default=Network.MESH, strict=False)

    @property
    def global_memory_bytes(self) -> int:
        """Bytes of the global memory."""
        return self.global_memory_mib << 20

    @property
    def cores(self) -> int:
        """Number of cores."""
        return self.mesh_rows * self.mesh_cols


class Core(_Table):
    """What one core has besides its arrays.

    `issue_window` instructions of a core can be under way at a time; with 1 each begins when the
    one before has ended. The vector unit takes `vector_lanes` elements each `vector_cycles`.
    """

    arrays: int = Field(ge=1, le=1 << 16)
    local_memory_kib: int = Field(ge=1, le=1 << 20)
    vector_lanes: int = Field(ge=1, le=4096)
    issue_window: int = Field(default=1, ge=1, le=64)
    vector_cycles: int = Field(default=1, ge=1, le=4096)

    @property
    def local_memory_bytes(self) -> int:
        """Bytes of the local memory."""
        return self.local_memory_kib * 1024


class Array(_Table):
    """One crossbar array: cells, levels, input steps."""

    rows: int = Field(ge=2, le=2048)
    cols: int = Field(ge=2, le=2048)
    cell_bits: Literal[1, 2, 4, 8]
    step_bits: int = Field(ge=1, le=8)
    encoding: Encoding = Field(strict=False)
    subtract_analog: bool


class Converter(_Table):
    """The ADC of the columns. `bits = 0` is a digital array whose sums are exact."""

    bits: int = Field(ge=0, le=24)
    per_array: int = Field(ge=1, le=4096)


class Numerics(_Table):
    """Arithmetic of the output stage. `multiplier_bits` counts for `fixed` only."""

    requant: RequantMode = Field(strict=False)
    multiplier_bits: int = Field(ge=8, le=24)


class Timing(_Table):
    """Times for the cycle count.

    A core starts a row block (the arrays that one part of an input vector drives) each `t_start_ns`
    at most; 0 is no limit. `element_bytes` are the bytes that memories and the network move for an
    element of any type, on chips that hold each in a word; without it, those that it has.
    """

    clock_mhz: Positive
    t_step_ns: Positive
    t_adc_ns: NotNegative
    t_write_row_ns: NotNegative
    local_bytes_per_cycle: Positive
    global_bytes_per_cycle: Positive
    noc_bytes_per_cycle: Positive
    noc_hop_cycles: NotNegative
    t_start_ns: NotNegative = 0.0
    element_bytes: int | None = Field(default=None, ge=1, le=8)

    def moved(self, size: int) -> int:
        """Bytes that an element of `size` bytes counts where it is moved."""
        return self.element_bytes or size


class Energy(_Table):
    """Energies of what instructions do."""

    e_adc_pj: NotNegative
    e_row_step_pj: NotNegative
    e_array_step_pj: NotNegative
    e_shift_add_pj: NotNegative
    e_vector_op_pj: NotNegative
    e_local_byte_pj: NotNegative
    e_global_byte_pj: NotNegative
    e_noc_byte_pj: NotNegative
    e_write_cell_pj: NotNegative


class Leakage(_Table):
    """Power that is drawn all the time: of one array, one converter, what else a core has."""

    array_mw: NotNegative
    adc_mw: NotNegative
    local_memory_mw: NotNegative
    vector_unit_mw: NotNegative
    router_mw: NotNegative
    global_memory_mw: NotNegative


class Area(_Table):
    """Silicon: of one array, one converter, what else a core has, and the global memory."""

    array_mm2: NotNegative
    adc_mm2: NotNegative
    local_memory_mm2: NotNegative
    vector_unit_mm2: NotNegative
    router_mm2: NotNegative
    global_memory_mm2: NotNegative


class Target(_Table):
    """A chip that programs are compiled for.

    `sources` says for each number where it comes from: the key is a table ("timing") or a value
    ("timing.t_step_ns"); every number of the file must be covered by one. Other values may be.
    """

    schema_: Literal["imcc.target/1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)
    description: str = Field(max_length=1000)
    chip: Chip
    core: Core
    array: Array
    adc: Converter
    numerics: Numerics
    timing: Timing
    energy: Energy
    leakage: Leakage | None = None
    area: Area | None = None
    sources: dict[str, str]

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, ASCII; equal targets give equal text."""
        return json.dumps(
            self.tables(),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=True,
        )

    def tables(self) -> dict[str, Any]:
        """The tables as plain values, without what the file leaves out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raises `TargetError` listing every problem."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TargetError(f"the target is not valid JSON: {error}") from error
        return cls.from_tables(raw, "target")

    @classmethod
    def from_tables(cls, raw: object, name: str, toml: TomlLines | None = None) -> Self:
        """Check plain tables; `name` and `toml` say where they come from in error messages."""
        problems = _source_problems(raw)
        try:
            target = cls.model_validate(raw)
        except ValidationError as error:
            problems += from_pydantic(cls, error)
            raise TargetError(render(name, problems, toml)) from error
        problems += _cross_problems(target)
        if problems:
            raise TargetError(render(name, problems, toml))
        return target


def builtin_targets() -> tuple[str, ...]:
    """Names of the targets that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _BUILTIN.glob("*.toml")))


def load_target(name_or_path: str | Path) -> Target:
    """Load a built-in target by name, or a target file by path.

    Raises `TargetError` with every problem of the file, each with its line.
    """
    if isinstance(name_or_path, str) and name_or_path in builtin_targets():
        path = _BUILTIN / f"{name_or_path}.toml"
    else:
        path = Path(name_or_path)
    if not path.is_file():
        raise TargetError(_no_such_target(str(name_or_path)))
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TargetError(f"{path}: the file is larger than {MAX_FILE_BYTES} bytes")
    return _parse(_read(path), str(name_or_path))


def _no_such_target(name: str) -> str:
    builtins = builtin_targets()
    hint = did_you_mean(name, builtins)
    known = ", ".join(builtins)
    return f"no target '{name}': it is neither a file nor one of the built-in {known}{hint}"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise TargetError(f"{path}: the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TargetError(f"{path}: the file is not UTF-8 at byte {error.start}") from error


def _parse(text: str, name: str) -> Target:
    try:
        raw = tomllib.loads(text)
    except RecursionError as error:
        raise TargetError(f"{name}: arrays or tables are nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        raise TargetError(_syntax_message(name, text, str(error))) from error
    except ValueError as error:  # as Python puts integers of thousands of digits
        raise TargetError(f"{name}: a number cannot be read: {error}") from error
    return Target.from_tables(raw, name, scan(text))


def _syntax_message(name: str, text: str, message: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if place is None or place[1] is None:
        return f"{name}: not valid TOML: {message}"
    line, column = int(place[1]), int(place[2])
    excerpt = TomlLines(tuple(text.splitlines()), {}).excerpt(line, column, 1)
    return f"{name}:{line}:{column}: not valid TOML: {message[: place.start()]}\n{excerpt}"


def _source_problems(raw: object) -> list[Problem]:
    """Every number needs a source, and every source something that it speaks of."""
    if not isinstance(raw, dict) or not isinstance(raw.get("sources"), dict):
        return []
    sources: dict[str, Any] = raw["sources"]
    values = [(table, key) for table, key, _ in _values(raw)]
    known = sorted({name for table, key in values for name in (table, f"{table}.{key}")})
    problems = [
        Problem(
            ("sources", name),
            f"source '{name}' names no value of this file{did_you_mean(name, known)}",
            at_key=True,
        )
        for name in sources
        if name not in known
    ]
    problems += [
        Problem(("sources", name), f"source '{name}' is empty; say where the number comes from")
        for name, source in sources.items()
        if isinstance(source, str) and not source.strip()
    ]
    numbers = [(table, key) for table, key, value in _values(raw) if _is_number(value)]
    return problems + _uncovered(numbers, sources)


def _uncovered(numbers: list[tuple[str, str]], sources: dict[str, Any]) -> list[Problem]:
    by_table: dict[str, list[str]] = {}
    for table, key in numbers:
        if table not in sources and f"{table}.{key}" not in sources:
            by_table.setdefault(table, []).append(key)
    return [
        Problem(
            (table, keys[0]),
            f"[{table}] has no source for {', '.join(keys)}; "
            f"add '{table}' or '\"{table}.{keys[0]}\"' to [sources]",
        )
        for table, keys in by_table.items()
    ]


def _values(raw: dict[str, Any]) -> Iterator[tuple[str, str, object]]:
    for table, values in raw.items():
        if isinstance(values, dict) and table != "sources":
            yield from ((str(table), str(key), value) for key, value in values.items())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cross_problems(target: Target) -> Iterator[Problem]:
    """Find what one value alone cannot show to be wrong."""
    array = target.array
    differential = array.encoding.value.startswith("differential")
    if array.cols * array.cell_bits % 8:
        yield Problem(
            ("array", "cols"),
            f"a row of {array.cols} cells of {array.cell_bits} bits is not a whole number of bytes",
        )
    if array.subtract_analog and not differential:
        yield Problem(
            ("array", "subtract_analog"),
            f"encoding '{array.encoding.value}' has no negative cells to subtract; "
            "it must be false, or the encoding differential",
        )
    if target.adc.per_array > array.cols:
        yield Problem(
            ("adc", "per_array"),
            f"{target.adc.per_array} converters for {array.cols} columns; "
            f"it must be at most {array.cols}",
        )
    cells = -(-8 // array.cell_bits) * (2 if array.encoding is Encoding.DIFFERENTIAL_COLUMNS else 1)
    if array.cols < cells:
        yield Problem(
            ("array", "cols"),
            f"an 8-bit weight takes {cells} cells of a row; the array has {array.cols} columns",
        )

"""Target descriptions: what a chip is, in numbers, each with its source.

A target is a TOML file (`imcc.target/1`). Units are in the key: `_ns`, `_pj`, `_kib`, `_mhz`.
Unknown keys and impossible values are errors; nothing has a silent default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Encoding(StrEnum):
    """How a signed weight becomes unsigned cell levels."""

    OFFSET = "offset"
    DIFFERENTIAL_COLUMNS = "differential-columns"
    DIFFERENTIAL_ROWS = "differential-rows"
    TWOS_COMPLEMENT = "twos-complement"


class RequantMode(StrEnum):
    """The datapath of the output stage."""

    FLOAT24 = "float24"
    FIXED = "fixed"


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Chip(_Table):
    """A mesh of equal cores with one global memory."""

    mesh_rows: int = Field(ge=1, le=256)
    mesh_cols: int = Field(ge=1, le=256)
    global_memory_mib: int = Field(ge=1, le=1 << 20)

    @property
    def cores(self) -> int:
        """Number of cores."""
        return self.mesh_rows * self.mesh_cols


class Core(_Table):
    """What one core has besides its arrays."""

    arrays: int = Field(ge=1, le=1 << 16)
    local_memory_kib: int = Field(ge=1, le=1 << 20)
    vector_lanes: int = Field(ge=1, le=4096)


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
    """Times for the first-order cycle count."""

    clock_mhz: Positive
    t_step_ns: Positive
    t_adc_ns: NotNegative
    t_write_row_ns: NotNegative
    local_bytes_per_cycle: Positive
    global_bytes_per_cycle: Positive
    noc_bytes_per_cycle: Positive
    noc_hop_cycles: NotNegative


class Energy(_Table):
    """Energies for the first-order energy count."""

    e_adc_pj: NotNegative
    e_row_step_pj: NotNegative
    e_array_step_pj: NotNegative
    e_shift_add_pj: NotNegative
    e_vector_op_pj: NotNegative
    e_local_byte_pj: NotNegative
    e_global_byte_pj: NotNegative
    e_noc_byte_pj: NotNegative
    e_write_cell_pj: NotNegative


class Target(_Table):
    """A chip that programs are compiled for.

    `sources` says for each number where it comes from: the key is a table ("timing") or a value
    ("timing.t_step_ns"); every number of the file must be covered by one.
    """

    schema_: Literal["imcc.target/1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)
    description: str
    chip: Chip
    core: Core
    array: Array
    adc: Converter
    numerics: Numerics
    timing: Timing
    energy: Energy
    sources: dict[str, str]

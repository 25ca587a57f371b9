"""Options of a compilation, and the notes in a program from which it can be repeated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from imcc.isa import Program

from .errors import InputError
from .ir import QuantParams
from .mapping import AdcPolicy, KernelUnfolding
from .schedule.options import ScheduleMode

# Operators become primitive and the graph batched first: only then do they have a form on codes.
_FRONT = "recognize,decompose,add-batch-axis,adopt-quantization,fold-constants"
_UP_TO_2 = (
    f"{_FRONT},lower-batch-norm",
    f"{_FRONT},fold-batch-norm,lower-batch-norm,fuse-elementwise",
    f"{_FRONT},canonicalize,fold-batch-norm,lower-batch-norm,canonicalize,fuse-elementwise",
)
LEVELS = (*_UP_TO_2, _UP_TO_2[-1])
_GOOD_ENOUGH = 2  # the level up to which compilers are quick
# Of programs whose products all have arrays of their own (`apart`), up to that level and above it.
_MOST_INSTRUCTIONS = (100_000, 600_000)


@dataclass(frozen=True)
class CompileOptions:
    """What a user can choose. `level` is the N of ``-ON``; `pipeline` replaces all its passes.

    Level 3 has the passes of level 2, and schedules of long programs are searched for longer.

    `dims` binds symbolic dimensions and `input_shapes` whole inputs of the model. `seed` counts
    for ``calibration="random"`` only. With `strict` no node may run on the host.
    """

    level: int = 2
    pipeline: str | None = None
    weight_bits: int = 8
    activation_bits: int = 8
    method: str | None = None
    adc: AdcPolicy = AdcPolicy.LOSSLESS
    dims: Mapping[str, int] = field(default_factory=dict)
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    seed: int = 0
    verify_each: bool = True
    strict: bool = False
    schedule: ScheduleMode = ScheduleMode.LAYERS
    unfolding: KernelUnfolding = KernelUnfolding.AUTO

    def passes(self) -> str:
        """The pass pipeline in text form."""
        if self.pipeline is not None:
            return self.pipeline
        if not 0 <= self.level < len(LEVELS):
            raise InputError(f"-O{self.level}: the levels are 0..{len(LEVELS) - 1}")
        chosen = [f"weight-bits={self.weight_bits}", f"activation-bits={self.activation_bits}"]
        if self.method is not None:
            chosen.append(f"method={self.method}")
        return f"{LEVELS[self.level]},partition-host,quantize{{{' '.join(chosen)}}}"

    @property
    def takes_time(self) -> bool:
        """Whether a schedule may be searched for longer than one that is good enough takes."""
        return self.level > _GOOD_ENOUGH

    @property
    def most_instructions(self) -> int:
        """Of a program that may take long to make."""
        return _MOST_INSTRUCTIONS[self.takes_time]

    def to_json(self) -> str:
        """Canonical JSON."""
        return _canonical(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CompileOptions:
        """Read what `to_json` wrote."""
        plain: dict[str, Any] = json.loads(text)
        shapes = {name: tuple(shape) for name, shape in plain.pop("input_shapes").items()}
        adc, mode = AdcPolicy(plain.pop("adc")), ScheduleMode(plain.pop("schedule"))
        unfolding = KernelUnfolding(plain.pop("unfolding"))
        return cls(**plain, adc=adc, input_shapes=shapes, schedule=mode, unfolding=unfolding)


@dataclass(frozen=True)
class Facts:
    """How a program was made: the calibration data, the options and what calibration found.

    With `activations` the quantized graph can be made again without the data. `indices` says for
    each input of indices how many there are.
    """

    calibration: str
    options: CompileOptions
    activations: Mapping[str, QuantParams]
    model: str = ""
    model_sha256: str = ""
    indices: Mapping[str, int] = field(default_factory=dict)


def write_facts(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Notes for a program."""
    activations = {
        name: (params.scale[0], params.zero_point[0], params.bits)
        for name, params in sorted(facts.activations.items())
    }
    return (
        ("model", facts.model),
        ("model.sha256", facts.model_sha256),
        ("calibration", facts.calibration),
        ("pipeline", facts.options.passes()),
        ("options", facts.options.to_json()),
        ("activations", _canonical(activations)),
        ("indices", _canonical(dict(facts.indices))),
    )


def read_facts(program: Program) -> Facts:
    """Read the notes; raises `InputError` where they are missing or damaged."""
    notes = dict(program.notes)
    try:
        return Facts(
            notes["calibration"],
            # The passes of a level may change; what was run is what is repeated.
            replace(CompileOptions.from_json(notes["options"]), pipeline=notes["pipeline"]),
            {
                name: QuantParams((scale,), (zero,), None, bits)
                for name, (scale, zero, bits) in json.loads(notes["activations"]).items()
            },
            notes["model"],
            notes["model.sha256"],
            json.loads(notes["indices"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the program does not say how it was compiled: note {error} is missing or damaged; "
            "compile the model again with imcc compile"
        ) from error


def _canonical(plain: object) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

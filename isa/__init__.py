"""The contract between compiler and machine: targets, instructions, programs."""

from __future__ import annotations

from . import instructions
from .assembler import assemble
from .bound import accumulator_bound
from .cells import pack_levels, packed_bytes, unpack_levels
from .container import load_program, program_bytes, program_from_bytes, save_program
from .disassembler import disassemble
from .encoding import decode, encode
from .errors import (
    AssemblyError,
    ContainerError,
    EncodingError,
    IsaError,
    TargetError,
    ValidationError,
)
from .fields import ElementType, HostType, Role, Rounding, Space
from .instruction import BY_MNEMONIC, TABLE, Field, Instruction
from .matrix import Adc, Matrix, Slice, Tile
from .planes import Planes, gather_planes
from .program import ISA_VERSION, Binding, HostPartition, Origin, Program
from .scale import decode_scale, encode_fixed, encode_scale, encode_scales, fixed_shift
from .stream import StreamState, Walk
from .target import (
    Encoding,
    Network,
    RequantMode,
    Target,
    builtin_targets,
    load_target,
)
from .validator import validate
from .walk import Exchange, Operation, OutputStage, interleave, walk

__all__ = [
    "BY_MNEMONIC",
    "ISA_VERSION",
    "TABLE",
    "Adc",
    "AssemblyError",
    "Binding",
    "ContainerError",
    "ElementType",
    "Encoding",
    "EncodingError",
    "Exchange",
    "Field",
    "HostPartition",
    "HostType",
    "Instruction",
    "IsaError",
    "Matrix",
    "Network",
    "Operation",
    "Origin",
    "OutputStage",
    "Planes",
    "Program",
    "RequantMode",
    "Role",
    "Rounding",
    "Slice",
    "Space",
    "StreamState",
    "Target",
    "TargetError",
    "Tile",
    "ValidationError",
    "Walk",
    "accumulator_bound",
    "assemble",
    "builtin_targets",
    "decode",
    "decode_scale",
    "disassemble",
    "encode",
    "encode_fixed",
    "encode_scale",
    "encode_scales",
    "fixed_shift",
    "gather_planes",
    "instructions",
    "interleave",
    "load_program",
    "load_target",
    "pack_levels",
    "packed_bytes",
    "program_bytes",
    "program_from_bytes",
    "save_program",
    "unpack_levels",
    "validate",
    "walk",
]

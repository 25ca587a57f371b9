"""Error codes: which error has which code and exit, how it reads, and what to do about it."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

import click

from ..diagnostics import EXPLANATIONS, render
from ..diagnostics import Diagnostic as Problem
from ..errors import UNNAMED, CompileError
from .formats import Record
from .text import sanitize


@dataclass(frozen=True)
class Code:
    """One error code: the exit code that goes with it, a title and an explanation."""

    name: str
    exit_code: int
    title: str
    explanation: str


CODES = (
    Code(
        "IMC0100",
        3,
        "the input cannot be used",
        "A model, graph text, pass pipeline or option is not what it claims to be: it is not\n"
        "ONNX, a shape is unknown, no pass has that name. The message says where, and what is\n"
        "allowed there. docs/reference/passes.md lists passes and their options.",
    ),
    Code(
        "IMC0101",
        3,
        "a file cannot be read or written",
        "The path does not exist, is a directory, or the operating system refuses access.",
    ),
    Code(
        "IMC0102",
        3,
        "no calibration data",
        "Quantization measures the range of every activation on sample inputs. Give them with\n"
        "--calib FILE.npz (arrays named like the model's inputs, or one called 'calib'), or put\n"
        "a file with the model's name and .npz beside the model: for fmnist_resnet8_bn.onnx,\n"
        "fmnist_resnet8_bn.npz, fmnist_resnet8.npz and fmnist.npz are tried. --calib random\n"
        "takes seeded random inputs: right for counting arrays and cycles, wrong for accuracy.",
    ),
    Code(
        "IMC0103",
        3,
        "the data file does not fit",
        "A .npz or .npy file is damaged, holds Python objects, or its arrays do not have the\n"
        "shape of the model's inputs: [samples, ...] with the input's shape behind the first axis.",
    ),
    Code(
        "IMC0110",
        3,
        "the target description is wrong",
        "The message lists every problem with its line. `imcc target show isaac` prints a\n"
        "complete description to start from; docs/how-to/add_a_target.md goes through it.",
    ),
    Code(
        "IMC0120",
        3,
        "the assembly text is wrong",
        "The message points at line and column. docs/reference/isa.md has the syntax of every\n"
        "instruction; `imcc disasm` prints an example.",
    ),
    Code(
        "IMC0130",
        3,
        "a program file cannot be read or written",
        "The file is not a well-formed .imc container of a version that this imcc reads, or the\n"
        "operating system refuses access.",
    ),
    Code(
        "IMC0131",
        3,
        "the program is not valid",
        "The program is well formed but could do something undefined: touch memory that it does\n"
        "not have, read what was never written, wait for a core that never sends. Nothing runs\n"
        "until all of the listed problems are gone.",
    ),
    Code(
        "IMC0400",
        4,
        "the model has something that is not supported",
        "The model is valid ONNX, but has operators, attributes or types that imcc or the target\n"
        "cannot do. The message lists all of them. `imcc ops` lists what is supported.",
    ),
    Code(
        "IMC0500",
        5,
        "the network does not fit the chip",
        "It needs more arrays, memory or accumulator bits than the target has; the message says\n"
        "by how much. Fewer weight bits, another target or a larger chip help.",
    ),
    Code(
        "IMC0501",
        1,
        "converters lose something",
        "A warning of `imcc check`, and a no with --strict: the ADCs of the target cannot hold\n"
        "every sum of a column, so results differ from those of exact sums. `imcc verify` shows\n"
        "by how much. Wider ADCs, cells of fewer bits or fewer rows a conversion help.",
    ),
    Code(
        "IMC0503",
        1,
        "weights are reloaded",
        "A warning of `imcc check`, and a no with --strict: the network has more weights than the\n"
        "chip has cells, so it runs in stages, and their weights are written anew for every\n"
        "input. That takes time and energy, and wears cells out. A larger chip or fewer weight\n"
        "bits help.",
    ),
    Code(
        "IMC0600",
        6,
        "a limit was reached",
        "A file is larger, or expands further, than imcc accepts from a file that it does not\n"
        "trust, or the computer has no more memory.",
    ),
    Code(
        "IMC0700",
        70,
        "internal error",
        "A defect of imcc, never of your model. Run again with --debug for the traceback and, for\n"
        "compile and opt, with --crash-reproducer FILE to keep the graph that triggers it.",
    ),
)
_BY_NAME = {code.name: code for code in CODES}
_HELP = "  = help: "  # how lines of advice start in messages that are one text
# Codes of problems in models start with the digit pair of their exit code.
_MODEL_EXITS = {"IMC02": 3, "IMC03": 3, "IMC04": 4, "IMC05": 4, "IMC06": 6}


@dataclass(frozen=True)
class Diagnostic:
    """An error as the user sees it. `notes` say in which pass it arose."""

    code: Code
    message: str
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return self.code.exit_code

    def render(self) -> str:
        """``error[IMCnnnn]: message``, coloured where standard error is a terminal.

        Problems of a model are already written so, each with its own code.
        """
        notes = "".join(f"\n   = note: {sanitize(note)}" for note in self.notes)
        if self.problems:
            painted = re.sub(r"(?m)^error(?=\[IMC)", _paint("error"), sanitize(self.message))
            return f"{painted}{notes}"
        return f"{_paint('error')}[{self.code.name}]: {sanitize(self.message)}{notes}"

    def records(self, file: str) -> list[Record]:
        """The error for machines: one record for each problem of a model, else one."""
        if self.problems:
            return [record_of(problem, file, self.notes) for problem in self.problems]
        lines = self.message.split("\n")
        help_ = tuple(line.removeprefix(_HELP) for line in lines if line.startswith(_HELP))
        message = "\n".join(line for line in lines if not line.startswith(_HELP))
        return [Record(self.code.name, "error", message, help=help_, file=file, notes=self.notes)]


def record_of(problem: Problem, file: str, notes: tuple[str, ...] = ()) -> Record:
    """A problem of a model for machines."""
    return Record(
        problem.code,
        problem.severity.value,
        problem.message,
        problem.node,
        problem.op_type,
        problem.index,
        problem.reason,
        problem.help,
        file,
        notes,
    )


def find_code(name: str) -> Code | None:
    """The code of this name, written as ``IMC0400``, ``imc400`` or ``400``."""
    full = f"IMC{name.upper().removeprefix('IMC'):0>4}"
    return next((code for code in all_codes() if code.name == full), None)


def all_codes() -> tuple[Code, ...]:
    """Every code in order: those of the commands and those of problems in models."""
    problems = [
        Code(name, _MODEL_EXITS[name[:5]], text.split(". ")[0].rstrip("."), text)
        for name, text in EXPLANATIONS.items()
    ]
    return tuple(sorted((*CODES, *problems), key=lambda code: code.name))


def describe(error: BaseException, file: str = "") -> Diagnostic:
    """The diagnostic of an error; `file` is what the command was given, if that is not known."""
    code = _BY_NAME[_code_name(error)]
    notes = tuple(getattr(error, "__notes__", ()))
    if code.exit_code == 70:
        return Diagnostic(code, f"{type(error).__name__}: {error}", notes)
    if isinstance(error, MemoryError):
        return Diagnostic(code, f"out of memory: {error}", notes)
    if isinstance(error, OSError):
        message = f"{error.filename or 'file'}: {error.strerror or error}"
        return Diagnostic(code, message, notes)
    if not isinstance(error, CompileError) or not error.diagnostics:
        return Diagnostic(code, str(error), notes)
    known = file if error.file == UNNAMED and file else error.file
    return Diagnostic(code, render(error.diagnostics, known), notes, error.diagnostics)


def internal_hint() -> str:
    """What to do about a defect of imcc."""
    return "  = help: this is a defect of imcc; run again with --debug for the traceback"


def _code_name(error: BaseException) -> str:
    for kind, name in _kinds():
        if isinstance(error, kind):
            return name
    return "IMC0700"


def _kinds() -> list[tuple[type[BaseException], str]]:
    """Error classes and codes, the special before the general. Imported late: they are heavy."""
    from imcc.isa import errors as isa

    from .. import errors
    from ..data import DataError, MissingCalibrationError

    return [
        (MissingCalibrationError, "IMC0102"),
        (DataError, "IMC0103"),
        (errors.InputError, "IMC0100"),
        (errors.UnsupportedError, "IMC0400"),
        (errors.CapacityError, "IMC0500"),
        (errors.LimitError, "IMC0600"),
        (isa.TargetError, "IMC0110"),
        (isa.AssemblyError, "IMC0120"),
        (isa.EncodingError, "IMC0120"),
        (isa.ContainerError, "IMC0130"),
        (isa.ValidationError, "IMC0131"),
        (MemoryError, "IMC0600"),
        (OSError, "IMC0101"),
    ]


def _paint(word: str) -> str:
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return click.style(word, fg="red", bold=True) if colour else word

"""Instructions a second of the timing model, on loops that nothing else slows down.

    python benchmarks/timing_speed.py [--iterations 40000]

Each iteration has an `accumulate` and a `lut` on moving addresses and two `step`. In the rows
with a shared table all cores read it from global memory, so that every `lut` waits its turn.
Processor time of this process counts, so other work of the computer does not.
"""

from __future__ import annotations

import argparse
from time import process_time

from imcc.isa import Instruction, Program, load_target
from imcc.isa.fields import ElementType, Space
from imcc.isa.instructions import Accumulate, Dim, Halt, Loop, Lut, Step, Stream
from imcc.runtime import profile

LOCAL, GLOBAL = Space.LOCAL, Space.GLOBAL
U8, I32 = ElementType.U8, ElementType.I32


def stream(register: int, space: Space, element: ElementType, base: int) -> list[Instruction]:
    """Eight elements."""
    return [Stream(register, space, element, base), Dim(register, 5, 8, element.size)]


def loop(iterations: int, table: Space) -> tuple[Instruction, ...]:
    """The code of one core."""
    body = (Accumulate(0, 1, 2), Step(0, 4), Lut(3, 4, 5), Step(1, 4))
    code = [one for register in range(3) for one in stream(register, LOCAL, I32, 4096 * register)]
    code += stream(3, LOCAL, U8, 20000) + stream(4, LOCAL, U8, 30000)
    code += [Stream(5, table, U8, 0), Dim(5, 5, 256, 1)]
    return (*code, Loop(iterations, len(body)), *body, Halt())


def measure(window: int, cores: int, iterations: int, table: Space) -> tuple[float, float]:
    """Operations a second, and instructions with `step`."""
    tiny = load_target("tiny")
    core = tiny.core.model_copy(update={"issue_window": window})
    target = tiny.model_copy(update={"core": core})
    code = dict.fromkeys(range(cores), loop(iterations // cores, table))
    program = Program(target, code, (), bytes(4096), (), (), 1 << 16)
    start = process_time()
    profile(program, inputs=2)
    seconds = process_time() - start
    return 2 * 2 * iterations / seconds, 2 * 4 * iterations / seconds


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=40_000)
    iterations = parser.parse_args().iterations
    print("window  cores  table   operations/s  instructions/s")
    for window in (1, 4, 12):
        for cores, table in ((1, LOCAL), (16, LOCAL), (16, GLOBAL)):
            operations, instructions = measure(window, cores, iterations, table)
            name = table.name.lower()
            print(f"{window:6}  {cores:5}  {name:6}  {operations:12.0f}  {instructions:14.0f}")


if __name__ == "__main__":
    main()

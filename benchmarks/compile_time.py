"""Seconds to compile every bundled model for every built-in target."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from imcc.compiler import CompileError, compile_model
from imcc.compiler.passes import Timing
from imcc.isa import builtin_targets

MODELS = Path(__file__).parents[1] / "models"


def main() -> None:
    print(f"{'model':24}{'target':12}{'seconds':>9}{'passes':>9}{'rest':>9}{'instructions':>14}")
    for model in sorted(MODELS.glob("*.onnx")):
        for target in builtin_targets():
            clock = Timing()
            start = perf_counter()
            try:
                compilation = compile_model(model, target, instruments=[clock])
            except CompileError as error:
                print(f"{model.stem:24}{target:12}{type(error).__name__:>9}")
                continue
            total = perf_counter() - start
            passes = sum(seconds for _, seconds in clock.seconds)
            count = sum(map(len, compilation.program.cores.values()))
            row = f"{total:9.2f}{passes:9.2f}{total - passes:9.2f}{count:14}"
            print(f"{model.stem:24}{target:12}{row}")


if __name__ == "__main__":
    main()

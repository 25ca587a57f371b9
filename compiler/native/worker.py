"""The worker: answers messages until its input ends. It imports nothing of imcc but `messages`."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from messages import receive, send  # type: ignore  # of this folder: it is run as a script

_FATAL_ONLY = 4  # errors are raised as well
_COPIES = 4  # of a model in memory: the message, its parts, and what is made of them
_NUMPY = {"float": "float32", "double": "float64"}


def main() -> None:
    """Serve; every question says how much processor time and memory its answer may take."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    while _answer(sys.stdin.buffer, answers):
        pass


def _answer(questions: IO[bytes], answers: IO[bytes]) -> bool:
    try:
        header, body = receive(questions)
    except EOFError:
        return False
    try:
        found, data = _WORK[header["task"]](body, header)
    except Exception as error:  # whatever the libraries raise is the answer
        found, data = {"error": f"{error}" or type(error).__name__}, b""
    send(answers, found, data)
    return True


@contextmanager
def _bounded(header: dict[str, Any], given: int) -> Iterator[None]:
    """Let the kernel end this process after too much processor time, and refuse it more memory.

    What the libraries take does not count, and of what was given there may be some copies.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + header["bytes"] + _COPIES * given
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    soft = room if most == resource.RLIM_INFINITY else min(room, most)
    resource.setrlimit(resource.RLIMIT_AS, (soft, most))
    signal.setitimer(signal.ITIMER_PROF, header["seconds"])
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _try(model: bytes, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Open a model and run it once, on zeros."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    with _bounded(header, len(model)):
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        outputs = [(entry.name, entry.type, entry.shape) for entry in session.get_outputs()]
        feeds = {}
        for entry in session.get_inputs():
            name = entry.type.removeprefix("tensor(").removesuffix(")")
            feeds[entry.name] = np.zeros(entry.shape, _NUMPY.get(name, name))
        with suppress(Exception):  # zeros may be no valid input; what matters is that it survives
            session.run(None, feeds)
    return {"outputs": outputs}, b""


def _inline(model: bytes, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Put the body of one operator in its place."""
    import onnx
    from onnx.inliner import inline_selected_functions

    selected = [(header["domain"], header["name"])]
    with _bounded(header, len(model)):
        proto = onnx.load_model_from_string(model)
        made = inline_selected_functions(proto, selected, inline_schema_functions=True)
        return {}, made.SerializeToString()


_WORK = {"try": _try, "inline": _inline}

if __name__ == "__main__":
    main()

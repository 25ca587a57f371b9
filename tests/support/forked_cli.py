"""The command line in processes of its own: one fork for each run of a server that has it loaded.

Every run has a limit on its address space and on its time, and tells the most memory that it held.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOM = 1 << 30  # bytes of address space beyond what the server has
SECONDS = 60  # after which a run is killed
PEAK_KIB = 500 << 10


@dataclass(frozen=True)
class Run:
    """What came of ``imcc ARGUMENTS``: a negative exit code is the signal that ended it."""

    exit_code: int
    stdout: str
    stderr: str
    peak_kib: int
    seconds: float

    @property
    def errors(self) -> list[str]:
        """The first line of every error."""
        return [line for line in self.stderr.splitlines() if line.startswith("error[")]


class ForkedCli:
    """A client of the server; use it in a ``with`` statement."""

    def __enter__(self) -> Self:
        """Start the server."""
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self._server.communicate()

    def run(self, *arguments: str | Path) -> Run:
        """Run ``imcc ARGUMENTS`` in a new process."""
        server = self._server
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        server.stdin.flush()
        return Run(**json.loads(server.stdout.readline()))


def _serve() -> None:
    import imcc.compiler.check
    import imcc.compiler.driver  # noqa: F401

    room = _address_space() + ROOM
    for line in sys.stdin:
        print(json.dumps(asdict(_forked(json.loads(line), room))), flush=True)


def _forked(arguments: list[str], room: int) -> Run:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _become(arguments, room, out.fileno(), err.fileno())
        _, status, usage = os.wait4(child, 0)
        return Run(
            os.waitstatus_to_exitcode(status),
            _text(out.fileno()),
            _text(err.fileno()),
            usage.ru_maxrss,
            usage.ru_utime + usage.ru_stime,
        )


def _become(arguments: list[str], room: int, out: int, err: int) -> None:
    """Turn this process into the command; does not return."""
    from imcc.compiler.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    signal.alarm(SECONDS)
    sys.argv = ["imcc", *arguments]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))
    except BaseException:  # also an interrupt: whatever happens, there is one server only
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(255)


def _text(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 1 << 24).decode("utf-8", "backslashreplace")


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    _serve()

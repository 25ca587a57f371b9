"""Writing results: atomically to files, or to standard output where the path is ``-``."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

STDOUT = "-"


def expect_writable(path: str | Path) -> None:
    """Raise `OSError` where nothing can be written to `path`: sooner than after a long command."""
    if str(path) == STDOUT:
        return
    where = Path(path).resolve()
    code = 0
    if where.is_dir():
        code = errno.EISDIR
    elif not where.parent.is_dir():
        code = errno.ENOENT
    elif not os.access(where if where.exists() else where.parent, os.W_OK):
        code = errno.EACCES
    if code:
        raise OSError(code, f"the output cannot be written: {os.strerror(code)}", str(path))


def write_output(path: str | Path, data: bytes) -> None:
    """Write `data` so that `path` holds the old content or the new, never half of it."""
    from imcc.isa.container import write_atomically

    if str(path) == STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    write_atomically(Path(path), data)

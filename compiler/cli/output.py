"""Writing results: atomically to files, or to standard output where the path is ``-``."""

from __future__ import annotations

import sys
from pathlib import Path

STDOUT = "-"


def write_output(path: str | Path, data: bytes) -> None:
    """Write `data` so that `path` holds the old content or the new, never half of it."""
    from imcc.isa.container import write_atomically

    if str(path) == STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    write_atomically(Path(path), data)
